"""The judge: a small ResNet that names object and place, and may answer "none" or "unrecognisable"."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification

from .scenes import NO_OBJECT, OBJECT_NAMES, PLACE_NAMES, Scenes

UNRECOGNISABLE = NO_OBJECT + 1
OBJECT_LABELS = (*OBJECT_NAMES, "none", "unrecognisable")
LABELS = (*OBJECT_LABELS, *PLACE_NAMES)


def build_classifier() -> ResNetForImageClassification:
    """Returns an untrained ResNet whose logits are those of the objects followed by those of the places."""
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=32,
            hidden_sizes=[48, 96, 160],
            depths=[2, 2, 2],
            layer_type="basic",
            downsample_in_first_stage=False,
            id2label=dict(enumerate(LABELS)),
            label2id={label: i for i, label in enumerate(LABELS)},
        )
    )


class ClassifierTask(nn.Module):
    """Cross-entropy of both heads on scenes with noise, blur and other colours; a quarter of the objects are ruined.

    A ruined object keeps its colours and its place but not its shape: smeared, warped, cut into shuffled tiles, or
    nearly transparent. Its label is "unrecognisable", so that the judge must look at shapes.
    """

    def __init__(self, classifier: ResNetForImageClassification, scenes: Scenes, batch_size: int) -> None:
        super().__init__()
        self.classifier, self.scenes, self.batch_size = classifier, scenes, batch_size

    def forward(self, generator: torch.Generator) -> Tensor:
        images, objects, places = judged_scenes(self.scenes, self.batch_size, generator)
        logits = self.classifier(images).logits.float()
        object_logits, place_logits = logits.split((len(OBJECT_LABELS), len(PLACE_NAMES)), dim=-1)
        return F.cross_entropy(object_logits, objects) + F.cross_entropy(place_logits, places)


def judged_scenes(scenes: Scenes, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Returns disturbed images (n, 3, 64, 64) in [-1, 1] with their object labels and place labels, each (n,)."""
    batch = scenes.sample(number, generator)
    objects, places = batch.objects, batch.places
    ruined = (torch.rand(number, generator=generator) < 0.25) & (objects != NO_OBJECT)
    sprites = scenes.place_sprites(scenes.sprites(objects), generator)
    sprites[ruined] = ruin(sprites[ruined], generator)
    images = scenes.draw_backgrounds(places, generator) * (1 - sprites[:, 3:]) + sprites[:, :3]
    objects = torch.where(ruined, UNRECOGNISABLE, objects)
    device = scenes.device
    return disturb(images * 2 - 1, generator), objects.to(device), places.to(device)


def ruin(sprites: Tensor, generator: torch.Generator) -> Tensor:
    """Destroys the shape of placed sprites (n, 4, 64, 64), a quarter of them in each of four ways."""
    ways = torch.randint(4, (len(sprites),), generator=generator).tolist()
    for i, way in enumerate(ways):
        sprite = sprites[i : i + 1]
        amount = torch.rand((), generator=generator).item()
        if way == 0:
            sprites[i] = blur(sprite, 2.5 + 4 * amount)[0]
        elif way == 1:
            sprites[i] = shuffle_tiles(sprite[0], generator)
        elif way == 2:
            sprites[i] = blur(warp(sprite, 0.2 + 0.15 * amount, generator), 0.3 + 1.7 * amount)[0]
        else:
            sprites[i] = sprite[0] * (0.05 + 0.25 * amount)
    return sprites


def shuffle_tiles(sprite: Tensor, generator: torch.Generator) -> Tensor:
    """Permutes the 8x8 tiles within the sprite's bounding box."""
    inked = torch.nonzero(sprite[3].cpu() > 0.05)
    top, left = (inked.amin(0) // 8 * 8).tolist()
    bottom, right = (inked.amax(0) // 8 * 8 + 8).tolist()
    tiles = sprite[:, top:bottom, left:right].unfold(1, 8, 8).unfold(2, 8, 8)  # (4, R, C, 8, 8)
    order = torch.randperm(tiles.shape[1] * tiles.shape[2], generator=generator).to(sprite.device)
    shuffled = tiles.flatten(1, 2)[:, order].view_as(tiles)
    shuffled = torch.where(torch.rand((), generator=generator) < 0.5, shuffled.flip(-1), shuffled)
    result = sprite.clone()
    result[:, top:bottom, left:right] = shuffled.permute(0, 1, 3, 2, 4).reshape(4, bottom - top, right - left)
    return result


def warp(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Moves pixels by smooth random shifts whose standard deviation is `amount` of half the picture."""
    shifts = amount * torch.randn(len(images), 2, 8, 8, generator=generator).to(images.device)
    smooth = F.interpolate(shifts, images.shape[-2:], mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    still = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
    grid = F.affine_grid(still, list(images.shape), align_corners=False) + smooth
    return F.grid_sample(images, grid, align_corners=False)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, sigma in pixels."""
    radius = int(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    for pad, view in (((radius, radius, 0, 0), kernel.unsqueeze(2)), ((0, 0, radius, radius), kernel.unsqueeze(3))):
        images = F.conv2d(F.pad(images, pad, mode="replicate"), view, groups=images.shape[1])
    return images


def disturb(images: Tensor, generator: torch.Generator) -> Tensor:
    """Adds what a recognisable picture may have: other colours, a slight blur, noise."""
    number, device = len(images), images.device
    gain = 1 + 0.4 * (torch.rand(number, 3, 1, 1, generator=generator) - 0.5)
    shift = 0.3 * (torch.rand(number, 3, 1, 1, generator=generator) - 0.5)
    images = images * gain.to(device) + shift.to(device)
    soft = blur(images, 0.4 + 0.8 * torch.rand((), generator=generator).item())
    chosen = torch.rand(number, 1, 1, 1, generator=generator) < 0.5
    images = torch.where(chosen.to(device), soft, images)
    strength = 0.15 * torch.rand(number, 1, 1, 1, generator=generator).to(device)
    return (images + strength * torch.randn(images.shape, generator=generator).to(device)).clamp(-1, 1)


@torch.no_grad()
def classify(classifier: ResNetForImageClassification, images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the object label and the place label, each (n,), of images (n, 3, 64, 64) in [-1, 1]."""
    logits = classifier(images.to(classifier.device)).logits.float().cpu()
    object_logits, place_logits = logits.split((len(OBJECT_LABELS), len(PLACE_NAMES)), dim=-1)
    return object_logits.argmax(-1), place_logits.argmax(-1)
