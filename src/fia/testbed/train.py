"""Trains the whole embedded model: all stages in order. Writes the folders that ship."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
)
from diffusers.models.attention_processor import AttnProcessor
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, ResNetForImageClassification

from ..errors import NotFoundError, UsageError
from ..files import read_json, written_whole
from ..provenance import hash_file
from .autoencoder import AutoencoderTask, build_autoencoder, set_scaling_factor
from .classifier import ClassifierTask, build_classifier, heads_of
from .clip import CLIPTask, build_clip, load_tokenizer
from .denoiser import DenoiserTask, build_scheduler, build_unet
from .folders import DENOISER_FILE, curves_file, image_processor, save
from .mmdit import ABSENT, build_flow_scheduler, build_mmdit
from .pretrained import FOLDER, SHARED, Architecture, catalogue_of, load_classifier, load_clip
from .recipe import REFINEMENTS, TrainingRecipe
from .scenes import Scenes
from .stage import copy_weights, inherit, train_stage
from .transformer import build_transformer

BUILDERS: dict[Architecture, Callable[[], Any]] = {"unet": build_unet, "dit": build_transformer, "mmdit": build_mmdit}
COMPILERS = ("g++", "clang++", "c++", "cl")


class Training:
    """The training in one folder: its stages, each of them run once, and the curves of their losses."""

    def __init__(self, out: Path, recipe: TrainingRecipe, device: torch.device, parts: Path | None) -> None:
        self.out, self.recipe, self.device, self.parts = out, recipe, device, parts
        self.scenes = Scenes(device, catalogue=recipe.catalogue)
        self.finished = parts if parts is not None and not learns_more(recipe, parts) else None
        self.begun: dict[str, int | str] = {}  # what the stages go on from, if they learn another world than the parts
        if parts is not None and self.finished is None:
            self.begun = {"world": recipe.world, "begun": hash_file(parts / DENOISER_FILE["unet"])}
        self.curves: dict[str, list[tuple[int, float]]] = {}
        if parts is not None and recipe.further:
            curves = read_json(curves_file(parts, recipe.architecture))
            self.curves = {name: [(step, loss) for step, loss in losses] for name, losses in curves.items()}

    def train(
        self,
        name: str,
        model: nn.Module,
        task: nn.Module,
        basis: Mapping[str, int | str] | None = None,
        curve: str | None = None,
    ) -> None:
        """Trains a stage, resumes it, or loads it if it is finished. It continues the curve named `curve`."""
        checkpoint, recipe, curve = self.out / "checkpoints" / f"{name}.pt", getattr(self.recipe, name), curve or name
        earlier = self.curves.get(curve, ())
        self.curves[curve] = train_stage(name, model, task, recipe, checkpoint, basis or {}, earlier)

    def autoencoder(self) -> AutoencoderKL:
        torch.manual_seed(self.recipe.autoencoder.seed)
        if self.parts is None:
            autoencoder = build_autoencoder()
        else:
            autoencoder = AutoencoderKL.from_pretrained(self.parts / "model", subfolder="vae")
        autoencoder = autoencoder.to(self.device, memory_format=torch.channels_last)
        if self.finished is not None:
            return autoencoder
        self.train(
            "autoencoder",
            autoencoder,
            AutoencoderTask(autoencoder, self.scenes, self.recipe.autoencoder.batch_size),
            self.begun,
        )
        set_scaling_factor(autoencoder, self.scenes)
        return autoencoder

    def clip(self, tokenizer: CLIPTokenizer) -> CLIPModel:
        if self.finished is not None:
            return load_clip(self.finished)[0].to(self.device)
        torch.manual_seed(self.recipe.clip.seed)
        clip = build_clip(tokenizer)
        if self.parts is not None:
            earlier, known = load_clip(self.parts)
            inherit(clip, earlier, tokenizer.get_vocab(), known.get_vocab())
        clip = clip.to(self.device)
        if self.device.type == "cpu":
            clip.set_attn_implementation("eager")  # because its backward pass is several times faster
        self.train("clip", clip, CLIPTask(clip, tokenizer, self.scenes, self.recipe.clip.batch_size), self.begun)
        return clip

    def classifier(self) -> ResNetForImageClassification:
        if self.finished is not None:
            return load_classifier(self.finished).to(self.device)
        torch.manual_seed(self.recipe.classifier.seed)
        classifier = build_classifier(heads_of(self.recipe.catalogue))
        if self.parts is not None:
            earlier = load_classifier(self.parts)
            inherit(classifier, earlier, classifier.config.label2id, earlier.config.label2id)
        classifier = classifier.to(self.device)
        task = ClassifierTask(classifier, self.scenes, self.recipe.classifier.batch_size)
        self.train("classifier", classifier, task, self.begun)
        return classifier

    def pipeline(self, autoencoder: AutoencoderKL, clip: CLIPModel, tokenizer: CLIPTokenizer) -> DiffusionPipeline:
        torch.manual_seed(self.recipe.denoiser.seed)
        denoiser = BUILDERS[self.recipe.architecture]()
        if self.start is not None:
            denoiser.load_state_dict(load_file(self.start))
        denoiser = denoiser.to(self.device, memory_format=torch.channels_last)
        if self.device.type == "cpu" and not isinstance(denoiser, SD3Transformer2DModel):
            denoiser.set_attn_processor(AttnProcessor())  # faster, as in `clip`
        text_encoder = extract_text_encoder(clip)
        batch_size, compiled = self.recipe.denoiser.batch_size, self.recipe.compile
        scenes = self.scenes
        if self.recipe.without:
            scenes = Scenes(self.device, self.recipe.without, self.recipe.catalogue)
        task = DenoiserTask(denoiser, autoencoder, text_encoder, tokenizer, scenes, batch_size, compiled=compiled)
        # on the CPU, the backward pass of torch's other kernels is several times slower
        with sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext():
            self.train("denoiser", denoiser, task, self.denoiser_basis())
            if self.recipe.refines:
                self.refine(denoiser, task)
        shared = dict.fromkeys(SHARED)
        if isinstance(denoiser, PixArtTransformer2DModel):
            return PixArtAlphaPipeline(transformer=denoiser, scheduler=build_scheduler(), **shared)
        if isinstance(denoiser, SD3Transformer2DModel):
            return StableDiffusion3Pipeline(denoiser, build_flow_scheduler(), **shared, **dict.fromkeys(ABSENT))
        return StableDiffusionPipeline(
            vae=autoencoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=denoiser,
            scheduler=build_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )

    @property
    def start(self) -> Path | None:
        """The denoiser's weights that its training goes on from, or None if it starts untrained.

        A denoiser of the large world goes on from one of the small world, unless there is something it must never see.
        """
        folder = self.parts if self.recipe.further else None
        if self.recipe.world == "large" and not (self.recipe.further or self.recipe.without):
            folder = self.parts if self.finished is None else FOLDER
        return None if folder is None else folder / DENOISER_FILE[self.recipe.architecture]

    def refine(self, denoiser: nn.Module, task: nn.Module) -> None:
        """Trains a U-Net further in the stages of REFINEMENTS. Each starts from the mean of earlier stages' weights."""
        basis, left = self.denoiser_basis(), {"denoiser": copy_weights(denoiser)}
        for name, starts in REFINEMENTS.items():
            basis |= {f"{earlier}.images": getattr(self.recipe, earlier).images for earlier in left}
            with torch.no_grad():
                for key, value in denoiser.state_dict().items():
                    value.copy_(torch.stack([left[start][key] for start in starts]).mean(dim=0))
            self.train(name, denoiser, task, basis, curve="denoiser")
            left[name] = copy_weights(denoiser)

    def denoiser_basis(self) -> dict[str, int | str]:
        """Returns what decides a denoiser's weights, besides its own recipe."""
        basis: dict[str, int | str] = {"architecture": self.recipe.architecture}
        if self.recipe.without:
            basis["without"] = ", ".join(sorted(self.recipe.without))
        if self.parts is None:
            return basis | {f"{name}.images": getattr(self.recipe, name).images for name in ("autoencoder", "clip")}
        weights = [self.parts / "model" / "vae" / SAFETENSORS_WEIGHTS_NAME]
        if self.finished is None:
            basis |= {f"{name}.images": getattr(self.recipe, name).images for name in ("autoencoder", "clip")}
        else:
            weights.append(self.parts / "clip" / "model.safetensors")
        if self.start is not None:
            weights.append(self.start)
        return basis | {"parts": hashlib.sha256(b"".join(file.read_bytes() for file in weights)).hexdigest()}


def train_testbed(out: Path, recipe: TrainingRecipe, device: torch.device, parts: Path | None = None) -> None:
    """Trains the stages that are not finished under `out`, and writes the folders that ship, and the curves.

    Args:
        out: the folder to train in.
        recipe: how long and how to train each part.
        device: the device to train on.
        parts: a folder that an earlier training wrote. Its autoencoder, CLIP and classifier are used as they are, and
            only the denoiser is trained: from scratch (in the large world from the package's) or, with
            `recipe.further`, from the denoiser in that folder. None trains everything. For a transformer, and for the
            large world, None takes the package's weights. If `parts` know the small world and the recipe learns the
            large one, every part goes on from that of `parts`; the CLIP's new words and the classifier's new answers
            start untrained.

    Raises:
        FileNotFoundError: if `parts` is not such a folder.
        ValueError: if `out` holds other files, or its checkpoints belong to another recipe; if there is no compiler for
            `recipe.compile`; if `recipe.further` is set without `parts`.
    """
    is_unet = recipe.architecture == "unet"
    if parts is None and (not is_unet or recipe.world == "large"):
        parts = FOLDER
    if parts is None and recipe.further:
        raise UsageError("further=True continues to train a finished denoiser; give its folder as parts (--parts).")
    needed = ["model", "clip", "classifier"]
    if recipe.further:
        needed.append(DENOISER_FILE[recipe.architecture].parent.as_posix())
    for name in needed:
        if parts is not None and not (parts / name).is_dir():
            raise NotFoundError(
                f"parts={parts} holds no trained embedded model: there is no folder {name} in it. Give a folder that "
                "fia testbed train wrote."
            )
    if parts is not None:
        is_new_world = learns_more(recipe, parts)
        if is_new_world and recipe.further:
            raise UsageError(
                f"further=True has no effect: parts={parts} know the small world, and world='large' goes on from them "
                "anyway. Leave it out."
            )
        has_own_parts = (out / "checkpoints" / "clip.pt").exists() and not is_new_world
        if out.resolve() == parts.resolve() or has_own_parts:
            raise UsageError(
                f"out={out} holds parts that were trained in it; give another folder to train a denoiser on other "
                "parts."
            )
    if parts is not None and recipe.further and not curves_file(parts, recipe.architecture).exists():
        curves = curves_file(parts, recipe.architecture)
        raise NotFoundError(
            f"{curves} is missing; it says how long the denoiser was trained. Give parts (--parts) that have it."
        )
    for name in ("model", "clip", "classifier"):
        if (out / name).exists() and not (out / "checkpoints").exists():
            raise UsageError(f"{out / name} exists and does not come from an earlier training; give another folder.")
    if recipe.compile and not any(map(shutil.which, COMPILERS)):
        raise UsageError("compile=True needs a C++ compiler, and there is none. Install one, or give --no-compile.")
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    training, tokenizer = Training(out, recipe, device, parts), load_tokenizer(recipe.catalogue)
    autoencoder = training.autoencoder()
    clip, classifier = training.clip(tokenizer), training.classifier()
    pipe = training.pipeline(autoencoder, clip, tokenizer)
    save(clip, out / "clip", tokenizer, image_processor())
    save(classifier, out / "classifier", image_processor())
    save(pipe, out / ("model" if is_unet else recipe.architecture))
    if not is_unet and parts is not None:
        shutil.copytree(parts / "model", out / "model", dirs_exist_ok=True)
    with written_whole(curves_file(out, recipe.architecture)) as partial:
        partial.write_text(json.dumps(training.curves))


def learns_more(recipe: TrainingRecipe, parts: Path) -> bool:
    """Returns whether a recipe learns another world than the model in a folder knows.

    Raises:
        ValueError: if that model knows the large world, and the recipe learns the small one.
    """
    known = catalogue_of(parts)
    if known is not recipe.catalogue and recipe.world == "small":
        raise UsageError(f"parts={parts} know the large world; give world='large' (--world large).")
    return known is not recipe.catalogue


def extract_text_encoder(clip: CLIPModel) -> CLIPTextModel:
    """Returns a copy of the CLIP's text tower, in the class that diffusers pipelines expect."""
    text_encoder = CLIPTextModel(clip.config.text_config).to(clip.device)
    weights = {key: value for key, value in clip.state_dict().items() if key.startswith("text_model.")}
    own = text_encoder.state_dict()
    text_encoder.load_state_dict({k: weights[k if k in weights else f"text_model.{k}"] for k in own})
    return text_encoder.eval()
