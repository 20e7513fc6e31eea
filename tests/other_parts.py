"""The cases of docs/other-parts.md: what happens when a mask meets another part of diffusers, on tiny pipelines.

Each case says what should happen, and `test_other_parts.py` runs it. `python tests/other_parts.py` writes the table
into the page. For bitsandbytes, torchao and gguf, which the tests do without, a layer like theirs stands in.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "scripts")]

import torch
from accelerate import cpu_offload
from diffusers import (
    ControlNetModel,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FirstBlockCacheConfig,
    LCMScheduler,
    PyramidAttentionBroadcastConfig,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPAGPipeline,
    UNet2DConditionModel,
)
from peft import LoraConfig
from tiny_pipelines import tiny_sd
from tiny_transformers import tiny_transformer
from torch import Tensor, nn
from torch.nn.utils import parametrize

import fia
from fia.errors import FIAError
from fia.models.layers import maskable_layers
from fia.models.pipelines import get_denoiser

PAGE = Path(__file__).parent.parent / "docs" / "other-parts.md"
FAST = {"edit": "zero", "num_inference_steps": 3, "saliency_steps": 2, "prompts_per_concept": 2, "progress": False}
IMAGE = torch.linspace(0, 1, 3 * 16 * 16).view(1, 3, 16, 16)
HOLE = torch.ones(1, 1, 16, 16)

WORKS, WARNED, REFUSED = "works", "works, with a warning", "refused"
REMOVED_LATER = "works; `remove` is refused"
SAME, IN_EFFECT = "finds the same", "finds with it in effect"
IN_EFFECT_WARNED = f"{IN_EFFECT}, with a warning"
NOT_RUN = "-"


@dataclass(frozen=True)
class Case:
    """A part of diffusers, and what happens.

    Attributes:
        part: its name on the page.
        prepare: puts it into a pipeline, and returns the pipeline.
        applied: what happens when a mask is applied. If it works, the picture changes, and `remove` brings it back.
        found: what happens when neurons are found. "finds the same": those of the pipeline without the part.
        advice: what to do, for the page.
        base: makes the plain pipeline.
        call: arguments that the pipeline needs beside a prompt.
        settings: settings to find with.
        concept: the concept to find.
        is_after: whether the part comes after the mask was applied.
    """

    part: str
    prepare: Callable[[Any], Any]
    applied: str
    found: str
    advice: str
    base: Callable[[], Any] = tiny_sd
    call: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    concept: str = "tench"
    is_after: bool = False


def tiny_flux() -> DiffusionPipeline:
    return tiny_transformer("flux")


def with_class(kind: type, **more: Callable[[Any], object]) -> Callable[[Any], Any]:
    """Returns what makes a pipeline of another class from a pipeline's parts."""

    def prepare(pipe: Any) -> Any:
        return kind(
            **pipe.components, **{name: make(pipe) for name, make in more.items()}, requires_safety_checker=False
        )

    return prepare


def each(do: Callable[[Any], object]) -> Callable[[Any], Any]:
    """Returns what changes a pipeline and returns it."""

    def prepare(pipe: Any) -> Any:
        do(pipe)
        return pipe

    return prepare


def inpaint_9_channels(pipe: Any) -> Any:
    torch.manual_seed(0)
    pipe.unet = UNet2DConditionModel.from_config(pipe.unet.config, in_channels=9).eval()
    return with_class(StableDiffusionInpaintPipeline)(pipe)


def load_ip_adapter(pipe: Any) -> None:
    """Loads an adapter that reads image embeddings of 8 numbers."""
    generator = torch.Generator().manual_seed(0)
    width, own = pipe.unet.config.cross_attention_dim, {}
    cross = [name for name in pipe.unet.attn_processors if name.endswith("attn2.processor")]
    for i, name in enumerate(cross):
        outputs = pipe.unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for end in ("k", "v"):
            own[f"{2 * i + 1}.to_{end}_ip.weight"] = torch.randn(outputs, width, generator=generator)
    image = {
        "proj.weight": torch.randn(4 * width, 8, generator=generator),
        "proj.bias": torch.zeros(4 * width),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }
    pipe.unet._load_ip_adapter_weights([{"image_proj": image, "ip_adapter": own}])


def lora(targets: str) -> Callable[[Any], None]:
    """Returns what loads a LoRA on the linears whose names match."""

    def load(pipe: Any) -> None:
        torch.manual_seed(0)
        get_denoiser(pipe).add_adapter(LoraConfig(target_modules=targets, init_lora_weights=False), "style")

    return load


def fuse(pipe: Any) -> None:
    lora(r".*ff\.net\.2")(pipe)
    pipe.fuse_lora()


def fuse_and_unload(pipe: Any) -> None:
    fuse(pipe)
    pipe.unload_lora_weights()


def learn_word(pipe: Any) -> None:
    embedding = torch.linspace(-1, 1, pipe.text_encoder.config.hidden_size)
    pipe.load_textual_inversion({"<thing>": embedding}, token="<thing>")


def few_steps(pipe: Any) -> None:
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)


def turbo(pipe: Any) -> None:
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")


def offload_layers(pipe: Any) -> None:
    for model in pipe.components.values():
        if isinstance(model, nn.Module):
            cpu_offload(model, torch.device("cpu"), offload_buffers=len(model._parameters) > 0)


def compile_denoiser(pipe: Any) -> None:
    pipe.unet = torch.compile(pipe.unet, backend="eager")


class Packed(nn.Linear):
    """A linear whose weights are packed in bytes, as 4-bit and GGUF layers hold them."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.bias = linear.bias
        self.own = linear.weight.detach().clone()
        self.weight = nn.Parameter(torch.zeros(self.own.numel() // 2, 1, dtype=torch.uint8), requires_grad=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return nn.functional.linear(hidden, self.own, self.bias)


def pack(end: str) -> Callable[[Any], None]:
    """Returns what packs the denoiser's linears whose names end like this."""

    def quantise(pipe: Any) -> None:
        denoiser = get_denoiser(pipe)
        for name, module in list(denoiser.named_modules()):
            if name.endswith(end) and isinstance(module, nn.Linear):
                owner, _, own = name.rpartition(".")
                setattr(denoiser.get_submodule(owner), own, Packed(module))

    return quantise


def quantise_dynamically(pipe: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wants torchao to be used instead
        torch.ao.quantization.quantize_dynamic(pipe.unet, {nn.Linear}, dtype=torch.qint8, inplace=True)


def cast_layers(pipe: Any) -> None:
    pipe.unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)


def parametrize_layer(pipe: Any) -> None:
    layer = next(iter(maskable_layers(pipe.unet).values())).module
    parametrize.register_parametrization(layer, "weight", nn.Identity())


def chunk(pipe: Any) -> None:
    for module in pipe.unet.modules():
        if hasattr(module, "set_chunk_feed_forward"):
            module.set_chunk_feed_forward(4, 1)


def cache_first_block(pipe: Any) -> None:
    pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.9))


def broadcast_attention(pipe: Any) -> None:
    config = PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        spatial_attention_timestep_skip_range=(0, 1000),
        current_timestep_callback=lambda: pipe.current_timestep,
    )
    pipe.transformer.enable_cache(config)


FIND_IN_PLAIN = (
    "Find in `AutoPipelineForText2Image.from_pipe(pipe, controlnet=None)`; the mask applies to this one, too."
)
PUT_ASIDE = "It is put aside while neurons are found, and put back."
UNKNOWN_WORD = "made-up word"  # a warning that models with random weights always give
UNQUANTISED = "Mask the model in float16 or bfloat16, write it (`fia apply`), and quantise that."

CASES = [
    Case(
        "image to image",
        with_class(StableDiffusionImg2ImgPipeline),
        WORKS,
        REFUSED,
        FIND_IN_PLAIN,
        call={"image": IMAGE, "strength": 0.9},
    ),
    Case(
        "inpainting with an ordinary U-Net",
        with_class(StableDiffusionInpaintPipeline),
        WORKS,
        REFUSED,
        FIND_IN_PLAIN,
        call={"image": IMAGE, "mask_image": HOLE, "height": 16, "width": 16},
    ),
    Case(
        "inpainting with a U-Net of 9 channels",
        inpaint_9_channels,
        REFUSED,
        REFUSED,
        "It has other weights than the model that it was made from. Find in that one, apply with "
        "`check_weights=False`, and measure.",
        call={"image": IMAGE, "mask_image": HOLE, "height": 16, "width": 16},
    ),
    Case(
        "ControlNet",
        with_class(
            StableDiffusionControlNetPipeline,
            controlnet=lambda pipe: ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(8, 8)),
        ),
        WORKS,
        REFUSED,
        f"{FIND_IN_PLAIN} The ControlNet itself is not edited, and a picture that it is given can show anything. "
        "`ControlNetModel.from_unet` copies the weights as they are then: take the mask off first.",
        call={"image": IMAGE},
    ),
    Case(
        "IP-Adapter",
        each(load_ip_adapter),
        WORKS,
        REFUSED,
        "Find without it, then load it. A picture that it is given can show what the words no longer do.",
        call={"ip_adapter_image_embeds": [torch.ones(2, 1, 8)]},
    ),
    Case(
        "a LoRA on other layers",
        each(lora(r".*attn1\.to_k")),
        WORKS,
        IN_EFFECT_WARNED,
        "Find with it if you always use it, otherwise without it.",
    ),
    Case(
        "a LoRA on the same layers",
        each(lora(r".*ff\.net\.2")),
        WORKS,
        IN_EFFECT_WARNED,
        "The mask edits the model's own weights; what the LoRA adds stays.",
    ),
    Case(
        "a LoRA that was fused before",
        each(fuse_and_unload),
        REFUSED,
        IN_EFFECT,
        "The model has other weights now: find in it. Or apply the old mask with `check_weights=False`, and measure.",
    ),
    Case(
        "a LoRA that is loaded afterwards",
        lora(r".*ff\.net\.2"),
        WORKS,
        NOT_RUN,
        "It can bring the concept back.",
        is_after=True,
    ),
    Case(
        "a LoRA that is fused afterwards",
        fuse,
        REMOVED_LATER,
        NOT_RUN,
        "Unfuse it (`pipe.unfuse_lora()`), then remove the mask.",
        is_after=True,
    ),
    Case(
        "textual inversion",
        each(learn_word),
        WORKS,
        IN_EFFECT,
        "Forget the new word itself, or what it stands for.",
        call={"prompt": "a <thing>"},
        concept="<thing>",
    ),
    Case(
        "few steps (LCM)",
        each(few_steps),
        WORKS,
        IN_EFFECT,
        "Find with the steps that you draw with: `num_inference_steps=4, saliency_steps=4, guidance_scale=0`.",
        call={"guidance_scale": 1.0},
        settings={"num_inference_steps": 4, "saliency_steps": 4, "guidance_scale": 0.0},
    ),
    Case(
        "one step (turbo)",
        each(turbo),
        WORKS,
        IN_EFFECT,
        "The same, with one step for both.",
        call={"guidance_scale": 0.0, "num_inference_steps": 1},
        settings={"num_inference_steps": 1, "saliency_steps": 1, "guidance_scale": 0.0},
    ),
    Case(
        "first-block cache",
        each(cache_first_block),
        WORKS,
        SAME,
        PUT_ASIDE,
        base=tiny_flux,
        settings={"guidance_scale": 3.5},
    ),
    Case(
        "pyramid attention broadcast",
        each(broadcast_attention),
        WORKS,
        SAME,
        PUT_ASIDE,
        base=tiny_flux,
        settings={"guidance_scale": 3.5},
    ),
    Case(
        "perturbed-attention guidance (PAG)",
        with_class(StableDiffusionPAGPipeline, pag_applied_layers=lambda _: "mid"),
        WORKS,
        SAME,
        PUT_ASIDE,
    ),
    Case("FreeU", each(lambda pipe: pipe.enable_freeu(0.9, 0.2, 1.2, 1.4)), WORKS, IN_EFFECT, "Find as you draw."),
    Case(
        "attention slicing, VAE tiling",
        each(lambda pipe: (pipe.enable_attention_slicing(1), pipe.vae.enable_tiling())),
        WORKS,
        SAME,
        "",
    ),
    Case("model offload", each(lambda pipe: pipe.enable_model_cpu_offload(device="cpu")), WORKS, SAME, ""),
    Case("sequential offload", each(offload_layers), WORKS, SAME, "Offload to disk is refused: mask first."),
    Case("`torch.compile`", each(compile_denoiser), WORKS, SAME, "Neurons are found in the uncompiled model."),
    Case(
        "a quantised denoiser (bitsandbytes, torchao, GGUF)",
        each(pack("ff.net.2")),
        REFUSED,
        REFUSED,
        f"{UNQUANTISED} Or leave the edited layers as they are (the next row).",
    ),
    Case(
        "a denoiser in which only other layers are quantised",
        each(pack("to_k")),
        WORKS,
        SAME,
        'Name the layers that stay: `BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=["ff", "attn2"])`, '
        '`TorchAoConfig(..., modules_to_not_convert=["ff", "attn2"])`.',
    ),
    Case("dynamic int8 of `torch.ao`", each(quantise_dynamically), REFUSED, REFUSED, UNQUANTISED),
    Case(
        "float8 by `enable_layerwise_casting`",
        each(cast_layers),
        REFUSED,
        REFUSED,
        "Mask first, then enable it.",
    ),
    Case(
        "`torch.nn.utils.parametrize`, `prune`",
        each(parametrize_layer),
        REFUSED,
        REFUSED,
        "Make them permanent first (`remove_parametrizations`, `prune.remove`), then find.",
    ),
    Case(
        "chunked feed-forwards",
        each(chunk),
        REFUSED,
        REFUSED,
        "Turn them off: `set_chunk_feed_forward(None, 0)` on each block.",
    ),
]


class Log(logging.Handler):
    """Keeps the warnings of the package."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if UNKNOWN_WORD not in record.getMessage():
            self.said.append(record.getMessage())


@contextmanager
def listening() -> Iterator[Log]:
    log, heard = logging.getLogger("fia"), Log()
    log.addHandler(heard)
    try:
        yield heard
    finally:
        log.removeHandler(heard)


@cache
def plain_mask(base: Callable[[], Any], **settings: Any) -> fia.NeuronMask:
    """Returns a mask of the plain pipeline, large enough to be seen."""
    return fia.find(base(), "tench", **FAST | {"spatial_ratio": 0.2} | settings)


def draw(pipe: Any, case: Case) -> Tensor:
    pipe.set_progress_bar_config(disable=True)
    options = {"prompt": "a tench", "num_inference_steps": 2, "output_type": "pt"} | case.call
    return pipe(generator=torch.Generator().manual_seed(0), **options).images


def what_applying_does(case: Case) -> str:
    """Returns what happens when a mask is applied, after a check that it is seen and comes off."""
    mask, pipe = plain_mask(case.base), case.base()
    if not case.is_after:
        pipe = case.prepare(pipe)
    before = draw(pipe, case)
    with listening() as log:
        try:
            mask.apply(pipe)
        except FIAError:
            assert torch.equal(draw(pipe, case), before)
            return REFUSED
        if case.is_after:
            case.prepare(pipe)
            before = None
        masked = draw(pipe, case)
        assert before is None or not torch.equal(masked, before)
        try:
            mask.remove(pipe)
        except FIAError:
            assert torch.equal(draw(pipe, case), masked)
            return REMOVED_LATER
        after = draw(pipe, case)
        assert not torch.equal(after, masked)
        assert before is None or torch.equal(after, before)
    return WARNED if log.said else WORKS


def what_finding_does(case: Case) -> str:
    """Returns what happens when neurons are found, in comparison with the plain pipeline."""
    if case.is_after:
        return NOT_RUN
    settings = FAST | {"spatial_ratio": 0.2} | case.settings
    pipe = case.prepare(case.base())
    with listening() as log:
        try:
            mask = fia.find(pipe, case.concept, **settings)
        except FIAError:
            return REFUSED
    found = SAME if mask.fingerprint == plain_mask(case.base, **case.settings).fingerprint else IN_EFFECT
    return f"{found}, with a warning" if log.said else found


def table() -> str:
    """Returns the page's table."""
    lines = ["| with | a mask is applied | neurons are found | what to do |", "|---|---|---|---|"]
    lines += [f"| {case.part} | {case.applied} | {case.found} | {case.advice} |" for case in CASES]
    return "\n".join(lines)


if __name__ == "__main__":
    from update_readme import put

    put(table(), "other parts", PAGE)
