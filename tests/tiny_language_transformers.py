"""Tiny pipelines of the families whose text encoders are language models, with a few thousand random weights."""

from diffusers import (
    AuraFlowTransformer2DModel,
    AutoencoderKLFlux2,
    ChromaTransformer2DModel,
    CogView4Transformer2DModel,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2Transformer2DModel,
    HunyuanDiT2DModel,
    Lumina2Transformer2DModel,
    QwenImageTransformer2DModel,
    SanaTransformer2DModel,
    ZImageTransformer2DModel,
)
from made_up_text import (
    SIDE,
    TEXT,
    TinyAuraFlow,
    TinyChroma,
    TinyCogView4,
    TinyFlux2,
    TinyFlux2Klein,
    TinyHunyuanDiT,
    TinyLumina2,
    TinyQwenImage,
    TinySana,
    TinyZImage,
)
from tiny_pipelines import WIDTH


def tiny_sana() -> TinySana:
    transformer = SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WIDTH,
        sample_size=16,
    )
    return _without_text_encoder(TinySana, transformer)


def tiny_qwen_image() -> TinyQwenImage:
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(2, 2, 4),
    )
    return _without_text_encoder(TinyQwenImage, transformer)


def tiny_lumina2() -> TinyLumina2:
    transformer = Lumina2Transformer2DModel(
        sample_size=8,
        in_channels=4,
        hidden_size=24,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=8,
        axes_dim_rope=(4, 4, 4),
        axes_lens=(64, 32, 32),
        cap_feat_dim=WIDTH,
    )
    return _without_text_encoder(TinyLumina2, transformer)


def tiny_auraflow() -> TinyAuraFlow:
    transformer = AuraFlowTransformer2DModel(
        sample_size=8,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        caption_projection_dim=16,
        pos_embed_max_size=64,
    )
    return _without_text_encoder(TinyAuraFlow, transformer)


def tiny_hunyuan_dit() -> TinyHunyuanDiT:
    transformer = HunyuanDiT2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        patch_size=2,
        sample_size=8,
        hidden_size=16,
        num_layers=2,
        cross_attention_dim=WIDTH,
        cross_attention_dim_t5=WIDTH,
        pooled_projection_dim=16,
        text_len=TEXT,
        text_len_t5=TEXT + 1,
    )
    parts = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return _without_text_encoder(TinyHunyuanDiT, transformer, scheduler=DDPMScheduler(), **parts)


def tiny_cogview4() -> TinyCogView4:
    transformer = CogView4Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        text_embed_dim=WIDTH,
        time_embed_dim=16,
        condition_dim=4,
        sample_size=8,
        rope_axes_dim=(16, 16),
    )
    return _without_text_encoder(TinyCogView4, transformer)


def tiny_chroma() -> TinyChroma:
    transformer = ChromaTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(2, 2, 4),
        approximator_num_channels=16,
        approximator_hidden_dim=16,
        approximator_layers=1,
    )
    return _without_text_encoder(TinyChroma, transformer)


def tiny_z_image() -> TinyZImage:
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=24,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[4, 4, 4],
        axes_lens=[128, 32, 32],
    )
    return _without_text_encoder(TinyZImage, transformer)


def tiny_flux2_klein() -> TinyFlux2Klein:
    decoder = AutoencoderKLFlux2(
        block_out_channels=(4,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    )
    return _without_text_encoder(TinyFlux2Klein, tiny_flux2().transformer, vae=decoder.eval())


def tiny_flux2() -> TinyFlux2:
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        timestep_guidance_channels=16,
        axes_dims_rope=(2, 2, 2, 2),
    )
    return _without_text_encoder(TinyFlux2, transformer)


def _without_text_encoder(kind, transformer, scheduler=None, vae=None, **parts):
    """Returns a pipeline without a text encoder, and without a decoder unless `vae` is given; nothing is decoded."""
    pipe = kind(
        scheduler=scheduler or FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        transformer=transformer.eval(),
        **parts,
    )
    if hasattr(pipe, "default_sample_size"):
        pipe.default_sample_size = SIDE // 8
    return pipe
