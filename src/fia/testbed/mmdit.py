"""The embedded model's transformer with joint attention: a small Stable Diffusion 3, trained as a flow."""

from typing import Any

from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from .autoencoder import LATENT_CHANNELS, LATENT_SIZE
from .clip import MAX_TOKENS, TEXT_WIDTH

WIDTH = 192
ABSENT = ("text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")  # of Stable Diffusion 3's parts


def build_mmdit() -> SD3Transformer2DModel:
    """Returns an untrained transformer (7.8M parameters): 6 blocks of width 192.

    Each block has joint attention and a feed-forward of 768 channels for the image; all but the last have another for
    the text. A token is one latent. At first every block does nothing, as in the larger models.
    """
    transformer = SD3Transformer2DModel(
        sample_size=LATENT_SIZE,
        patch_size=1,
        in_channels=LATENT_CHANNELS,
        num_layers=6,
        attention_head_dim=32,
        num_attention_heads=WIDTH // 32,
        joint_attention_dim=TEXT_WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        out_channels=LATENT_CHANNELS,
        pos_embed_max_size=LATENT_SIZE,
        qk_norm="rms_norm",
    )
    for name, module in transformer.named_modules():
        if name.endswith(("norm1.linear", "norm1_context.linear", "norm_out.linear")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return transformer


def build_flow_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Returns Stable Diffusion 3's scheduler, without its shift towards noise, which is for large images."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)


class MiniatureSD3Pipeline(StableDiffusion3Pipeline):  # type: ignore[misc]  # its own types do not check
    """Stable Diffusion 3's pipeline with one CLIP of 24 tokens in place of its three text encoders."""

    def __init__(
        self,
        transformer: SD3Transformer2DModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        text_encoder_2: None = None,
        tokenizer_2: None = None,
        text_encoder_3: None = None,
        tokenizer_3: None = None,
        image_encoder: None = None,
        feature_extractor: None = None,
    ) -> None:
        """Takes the parts. There is no second and third text encoder, and no encoder of images."""
        super().__init__(
            *(transformer, scheduler, vae, text_encoder, tokenizer, text_encoder_2, tokenizer_2),
            *(text_encoder_3, tokenizer_3, image_encoder, feature_extractor),
        )
        if vae is not None and vae.config.shift_factor is None:  # this pipeline adds it, Stable Diffusion's has none
            vae.register_to_config(shift_factor=0.0)

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        *_others: object,
        num_images_per_prompt: int = 1,
        do_classifier_free_guidance: bool = True,
        negative_prompt: str | list[str] | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        pooled_prompt_embeds: Tensor | None = None,
        negative_pooled_prompt_embeds: Tensor | None = None,
        **_unused: object,
    ) -> tuple[Tensor | None, ...]:
        """Returns the token states (n, 24, 160) and the pooled state (n, 160) of prompts: (conditional states,
        unconditional states, conditional pooled, unconditional pooled). The embeddings that are given are taken."""
        if prompt_embeds is None or pooled_prompt_embeds is None:
            prompt_embeds, pooled_prompt_embeds = self._encode([prompt] if isinstance(prompt, str) else prompt or [])
        if do_classifier_free_guidance and (negative_prompt_embeds is None or negative_pooled_prompt_embeds is None):
            avoided = negative_prompt or ""
            avoided = [avoided] * len(prompt_embeds) if isinstance(avoided, str) else avoided
            negative_prompt_embeds, negative_pooled_prompt_embeds = self._encode(avoided)
        found = prompt_embeds, negative_prompt_embeds, pooled_prompt_embeds, negative_pooled_prompt_embeds
        return tuple(None if part is None else part.repeat_interleave(num_images_per_prompt, dim=0) for part in found)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Generates images. The arguments are those of StableDiffusion3Pipeline."""
        return super().__call__(*args, **({"max_sequence_length": MAX_TOKENS} | kwargs))

    def _encode(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt")
        seen = self.text_encoder(tokens.input_ids.to(self.text_encoder.device))
        return seen.last_hidden_state.to(self.transformer.dtype), seen.pooler_output.to(self.transformer.dtype)


MiniatureSD3Pipeline.__name__ = StableDiffusion3Pipeline.__name__  # diffusers knows the class that it names in files
