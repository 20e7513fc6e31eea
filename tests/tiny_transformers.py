"""Tiny pipelines of every family of diffusion transformers, with a few thousand random weights and no download."""

import string

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from made_up_text import SIDE
from tiny_language_transformers import (
    tiny_auraflow,
    tiny_chroma,
    tiny_cogview4,
    tiny_flux2,
    tiny_flux2_klein,
    tiny_hunyuan_dit,
    tiny_lumina2,
    tiny_qwen_image,
    tiny_sana,
    tiny_z_image,
)
from tiny_pipelines import WIDTH, _text_config, _tokenizer
from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel, T5Tokenizer


def tiny_pixart() -> PixArtSigmaPipeline:
    tokenizer = _t5_tokenizer()
    transformer = PixArtTransformer2DModel(
        sample_size=32,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,
        cross_attention_dim=WIDTH,
        caption_channels=WIDTH,
        use_additional_conditions=False,
    )
    return PixArtSigmaPipeline(
        tokenizer=tokenizer,
        text_encoder=_t5(tokenizer),
        vae=_autoencoder(),
        transformer=transformer.eval(),
        scheduler=DPMSolverMultistepScheduler(),
    )


def tiny_sd3() -> StableDiffusion3Pipeline:
    clip, t5 = _tokenizer(), _t5_tokenizer()
    transformer = SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
        out_channels=4,
        pos_embed_max_size=16,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_autoencoder(),
        text_encoder=CLIPTextModelWithProjection(_text_config(clip)).eval(),
        tokenizer=clip,
        text_encoder_2=CLIPTextModelWithProjection(_text_config(clip)).eval(),
        tokenizer_2=clip,
        text_encoder_3=_t5(t5, 2 * WIDTH),
        tokenizer_3=t5,
    )


def tiny_flux() -> FluxPipeline:
    clip, t5 = _tokenizer(), _t5_tokenizer()
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(2, 2, 4),
        guidance_embeds=True,
    )
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_autoencoder(),
        text_encoder=CLIPTextModel(_text_config(clip)).eval(),
        tokenizer=clip,
        text_encoder_2=_t5(t5),
        tokenizer_2=t5,
        transformer=transformer.eval(),
    )
    pipe.default_sample_size = SIDE // 8
    return pipe


BUILDERS = {
    "pixart": tiny_pixart,
    "sd3": tiny_sd3,
    "flux": tiny_flux,
    "sana": tiny_sana,
    "qwen_image": tiny_qwen_image,
    "lumina2": tiny_lumina2,
    "auraflow": tiny_auraflow,
    "hunyuan_dit": tiny_hunyuan_dit,
    "cogview4": tiny_cogview4,
    "chroma": tiny_chroma,
    "z_image": tiny_z_image,
    "flux2": tiny_flux2,
    "flux2_klein": tiny_flux2_klein,
}


def tiny_transformer(family: str, seed: int = 0):
    """Returns a pipeline of the family in which every block changes its input. Equal seeds give equal pipelines."""
    torch.manual_seed(seed)
    pipe = BUILDERS[family]()
    for parameter in pipe.transformer.parameters():
        if not parameter.count_nonzero():  # some start at zero, which would hide the layers before them
            torch.nn.init.normal_(parameter, std=0.1)
    return pipe


def _t5_tokenizer() -> T5Tokenizer:
    letters = [(letter, -6.0) for letter in string.ascii_letters + string.digits + ",.'-"]
    return T5Tokenizer(vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *letters], extra_ids=0)


def _t5(tokenizer: T5Tokenizer, width: int = WIDTH) -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(tokenizer), d_model=width, d_ff=width, d_kv=8, num_layers=1, num_heads=2, pad_token_id=0
    )
    return T5EncoderModel(config).eval()


def _autoencoder() -> AutoencoderKL:
    """Returns an autoencoder whose latents have an eighth of the image's side."""
    return AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
        shift_factor=0.1,
    ).eval()
