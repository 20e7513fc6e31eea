"""Regenerates the whole test-bed: the stages in order, and the folders that ship.

`out/model` is a diffusers folder (StableDiffusionPipeline), `out/clip` the CLIP whose text tower it uses, and
`out/classifier` the judge; all in safetensors, float16 but for the text encoder. `out/checkpoints` lets an interrupted
run, or a longer one, continue; `out/curves.json` has the losses of each stage.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, PreTrainedModel

from .autoencoder import AutoencoderTask, build_autoencoder, set_scaling_factor
from .classifier import ClassifierTask, build_classifier
from .clip import CLIPTask, build_clip, load_tokenizer
from .denoiser import DenoiserTask, build_scheduler, build_unet
from .scenes import Scenes
from .training import Recipe, train_stage


@dataclass(frozen=True)
class TrainingRecipe:
    """How long each part of the test-bed is trained (in images) and how."""

    autoencoder: Recipe = field(default=Recipe(images=50_000, batch_size=16, learning_rate=2e-3, weight_decay=0.0))
    """pixels to latents and back"""
    clip: Recipe = field(default=Recipe(images=160_000, batch_size=128, learning_rate=1e-3))
    """the CLIP whose text tower becomes the text encoder"""
    denoiser: Recipe = field(default=Recipe(images=1_200_000, batch_size=128, learning_rate=1e-3, weight_decay=0.1))
    """the U-Net"""
    classifier: Recipe = field(default=Recipe(images=250_000, batch_size=64, learning_rate=2e-3, weight_decay=0.05))
    """the judge of subjects, places, styles and the attribute"""
    seed: int = 0
    """of the initial weights"""
    compile: bool = True
    """compile the U-Net while it is trained: a third faster, but a CPU needs a C++ compiler for it"""


def train_testbed(out: Path, recipe: TrainingRecipe, device: torch.device) -> None:
    """Trains what is not trained yet under `out` and writes the folders that ship, and the curves."""
    checkpoints, scenes = out / "checkpoints", Scenes(device)
    curves: dict[str, list[tuple[int, float]]] = {}
    for name in ("model", "clip", "classifier"):
        if (out / name).exists() and not checkpoints.exists():
            raise ValueError(f"{out / name} exists and is not of an earlier training; give a folder of its own.")

    def train(name: str, model: nn.Module, task: nn.Module) -> None:
        curves[name] = train_stage(name, model, task, getattr(recipe, name), checkpoints / f"{name}.pt")

    torch.manual_seed(recipe.seed)
    autoencoder = build_autoencoder().to(device, memory_format=torch.channels_last)
    reconstruction = AutoencoderTask(autoencoder, scenes, recipe.autoencoder.batch_size)
    train("autoencoder", autoencoder, reconstruction)
    set_scaling_factor(autoencoder, scenes)

    torch.manual_seed(recipe.seed)
    tokenizer = load_tokenizer()
    clip = build_clip(tokenizer).to(device)
    clip.set_attn_implementation("eager")  # on a CPU its backward pass is several times faster
    contrast = CLIPTask(clip, tokenizer, scenes, recipe.clip.batch_size)
    train("clip", clip, contrast)
    save(clip, out / "clip", tokenizer)

    torch.manual_seed(recipe.seed)
    classifier = build_classifier().to(device)
    judge = ClassifierTask(classifier, scenes, recipe.classifier.batch_size)
    train("classifier", classifier, judge)
    save(classifier, out / "classifier")

    torch.manual_seed(recipe.seed)
    unet = build_unet().to(device, memory_format=torch.channels_last)
    if device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # as above
    text_encoder = extract_text_encoder(clip)
    denoising = DenoiserTask(
        unet, autoencoder, text_encoder, tokenizer, scenes, recipe.denoiser.batch_size, compiled=recipe.compile
    )
    train("denoiser", unet, denoising)
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    save(pipeline, out / "model")
    (out / "curves.json").write_text(json.dumps(curves))


def extract_text_encoder(clip: CLIPModel) -> CLIPTextModel:
    """Returns a copy of the CLIP's text tower, as the class that diffusers pipelines expect."""
    text_encoder = CLIPTextModel(clip.config.text_config).to(clip.device)
    weights = {key: value for key, value in clip.state_dict().items() if key.startswith("text_model.")}
    own = text_encoder.state_dict()
    text_encoder.load_state_dict({k: weights[k if k in weights else f"text_model.{k}"] for k in own})
    return text_encoder.eval()


def save(
    model: PreTrainedModel | StableDiffusionPipeline, folder: Path, tokenizer: CLIPTokenizer | None = None
) -> None:
    """Writes a float16 model and its tokenizer to a temporary folder first, then swaps it in."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # The text encoder stays float32: transformers loads the stored type where diffusers loads float32.
    halved = (model.unet, model.vae) if isinstance(model, StableDiffusionPipeline) else (model,)
    for part in halved:
        part.half()
    model.save_pretrained(partial)
    for part in halved:
        part.float()
    if tokenizer is not None:
        tokenizer.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
