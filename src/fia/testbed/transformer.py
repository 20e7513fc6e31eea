"""The embedded model's diffusion transformer: a small PixArt-alpha, on the same latents and captions as the U-Net."""

from typing import Any

from diffusers import AutoencoderKL, DDIMScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from .autoencoder import LATENT_CHANNELS, LATENT_SIZE
from .clip import MAX_TOKENS, TEXT_WIDTH

WIDTH = 192


def build_transformer() -> PixArtTransformer2DModel:
    """Returns an untrained transformer (5.1M parameters): 8 blocks, each with a feed-forward of 768 channels.

    A token is one latent. At first every block does almost nothing, as in the larger models.
    """
    transformer = PixArtTransformer2DModel(
        num_attention_heads=WIDTH // 32,
        attention_head_dim=32,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=8,
        cross_attention_dim=WIDTH,
        sample_size=LATENT_SIZE,
        patch_size=1,
        caption_channels=TEXT_WIDTH,
        use_additional_conditions=False,
    )
    nn.init.zeros_(transformer.adaln_single.linear.weight)
    for block in transformer.transformer_blocks:
        nn.init.zeros_(block.attn2.to_out[0].weight)
    return transformer


class MiniaturePixArtPipeline(PixArtAlphaPipeline):  # type: ignore[misc]  # its own types do not check
    """PixArt-alpha's pipeline, with defaults for a CLIP of 24 tokens and images of 64x64 pixels."""

    def __init__(
        self,
        tokenizer: CLIPTokenizer,
        text_encoder: CLIPTextModel,
        vae: AutoencoderKL,
        transformer: PixArtTransformer2DModel,
        scheduler: DDIMScheduler,
    ) -> None:
        """Takes a CLIP in place of PixArt-alpha's T5."""
        super().__init__(tokenizer, text_encoder, vae, transformer, scheduler)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Generates images. The arguments are those of PixArtAlphaPipeline."""
        own = {"max_sequence_length": MAX_TOKENS, "use_resolution_binning": False, "clean_caption": False}
        return super().__call__(*args, **(own | kwargs))


MiniaturePixArtPipeline.__name__ = PixArtAlphaPipeline.__name__  # diffusers can load what it writes without us
