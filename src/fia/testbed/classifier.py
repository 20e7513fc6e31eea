"""The judge: a small ResNet that names subject, place, style and attribute, and may answer "unrecognisable".

It has the labels of four heads in a row: a subject (also "none" and "unrecognisable"), a place, an artist or "no
style", and an attribute ("smoking" or "not smoking"). If scenes may show two subjects, the first head is about the left
one, and a fifth about the right one.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification

from .catalogue import Catalogue
from .scenes import Scenes
from .stage import seeded
from .styles import blur

NOTHING = "none"  # the subject of an empty place
Heads = dict[str, tuple[str, ...]]
RUINED = 0.25  # share of subjects that we make unrecognisable
UNKNOWN = -100  # the label that cross_entropy leaves out


def heads_of(catalogue: Catalogue) -> Heads:
    """Returns the labels of each head of a catalogue's judge."""
    subjects = (*catalogue.subject_names, NOTHING, "unrecognisable")
    attributes = tuple(attribute.name for attribute in catalogue.attributes)
    heads = {
        "subject": subjects,
        "place": catalogue.place_names,
        "style": (*catalogue.style_names, "no style"),
        "attribute": (f"not {attributes[0]}" if len(attributes) == 1 else "no attribute", *attributes),
    }
    return heads | ({"second": subjects} if catalogue.templates.two else {})


def build_classifier(heads: Heads) -> ResNetForImageClassification:
    """Returns an untrained ResNet. Its logits are those of the heads, one after another."""
    names = [label if head != "second" else f"second {label}" for head, own in heads.items() for label in own]
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=32,
            hidden_sizes=[48, 96, 192],
            depths=[2, 2, 2],
            layer_type="basic",
            downsample_in_first_stage=False,
            id2label=dict(enumerate(names)),
            label2id={label: i for i, label in enumerate(names)},
        )
    )


def split_heads(logits: Tensor, heads: Heads) -> dict[str, Tensor]:
    """Splits logits (n, labels) into the logits of each head."""
    return dict(zip(heads, logits.split([len(labels) for labels in heads.values()], dim=-1), strict=True))


class ClassifierTask(nn.Module):
    """The loss: cross-entropy of every head on scenes with noise, blur and other colours.

    A quarter of the subjects are ruined. A ruined subject keeps its colours and its place, but is smeared, warped, cut
    into shuffled tiles, or nearly transparent. Its label is "unrecognisable", so the judge must look at shapes.
    """

    def __init__(self, classifier: ResNetForImageClassification, scenes: Scenes, batch_size: int) -> None:
        super().__init__()
        self.classifier, self.scenes, self.batch_size = classifier, scenes, batch_size
        self.heads = heads_of(scenes.catalogue)

    def forward(self, step: int) -> Tensor:
        images, labels = judged_scenes(self.scenes, self.batch_size, seeded("classifier", step))
        losses = []
        for head, logits in split_heads(self.classifier(images).logits.float(), self.heads).items():
            known = (labels[head] != UNKNOWN).sum().clamp(min=1)
            losses.append(F.cross_entropy(logits, labels[head], ignore_index=UNKNOWN, reduction="sum") / known)
        return torch.stack(losses).sum()


def judged_scenes(scenes: Scenes, number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns disturbed images (n, 3, 64, 64) in [-1, 1] and each head's labels (n,), UNKNOWN if there is no label."""
    nobody = scenes.catalogue.no_subject
    unrecognisable = nobody + 1
    shows_two = bool(scenes.catalogue.templates.two)
    chosen = [torch.rand(number, generator=generator) < RUINED for _ in range(1 + shows_two)]
    ways = [partial(ruin, chosen=own, generator=generator) for own in chosen]
    batch = scenes.sample(number, generator, alter=(ways[0], ways[-1]))
    ruined = chosen[0] & (batch.subjects != nobody)
    labels = {
        "subject": batch.subjects.masked_fill(ruined, unrecognisable),
        "place": batch.places,
        "style": batch.styles,
        "attribute": batch.attributes.masked_fill(ruined, UNKNOWN),
    }
    if shows_two:
        labels["second"] = batch.seconds.masked_fill(chosen[1] & (batch.seconds != nobody), unrecognisable)
    with torch.autocast(scenes.device.type, enabled=False):
        images = disturb(batch.images, generator)
    return images, {head: label.to(scenes.device) for head, label in labels.items()}


def ruin(sprites: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Destroys the shape of the chosen sprites (n, 4, 64, 64), each in one of four ways, in place."""
    ways = torch.randint(4, (len(sprites),), generator=generator).tolist()
    amounts = torch.rand(len(sprites), generator=generator).tolist()
    inked = sprites[:, 3].amax(dim=(1, 2)).cpu() > 0.05
    for i in torch.nonzero(chosen & inked).flatten().tolist():
        sprite, way, amount = sprites[i : i + 1], ways[i], amounts[i]
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
    """Moves pixels by smooth random shifts. Their standard deviation is `amount` times half the image."""
    shifts = amount * torch.randn(len(images), 2, 8, 8, generator=generator).to(images.device)
    smooth = F.interpolate(shifts, images.shape[-2:], mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    still = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
    grid = F.affine_grid(still, list(images.shape), align_corners=False) + smooth
    return F.grid_sample(images, grid, align_corners=False)


def disturb(images: Tensor, generator: torch.Generator) -> Tensor:
    """Changes images in ways that leave them recognisable: other colours, a slight blur, noise."""
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
def classify(classifier: ResNetForImageClassification, images: Tensor, heads: Heads) -> dict[str, Tensor]:
    """Returns each head's answers (n,) on images (n, 3, 64, 64) in [-1, 1]."""
    logits = classifier(images.to(classifier.device)).logits.float().cpu()
    return {head: logits.argmax(-1) for head, logits in split_heads(logits, heads).items()}
