"""A small CLIP on scenes and captions. Its frozen text tower is the embedded model's text encoder."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from ..errors import UsageError
from .catalogue import Catalogue
from .places import IMAGE_SIZE
from .scenes import Scenes
from .stage import seeded
from .world import SMALL

MAX_TOKENS = 24
TEXT_WIDTH = 160


def tokenizer_folder(catalogue: Catalogue) -> Path:
    """Returns the folder of a catalogue's tokenizer."""
    return Path(__file__).parent / catalogue.tokenizer


def load_tokenizer(catalogue: Catalogue = SMALL) -> CLIPTokenizer:
    """Returns the tokenizer. `scripts/train_tokenizer.py` made it once; each word of the captions is one token."""
    return CLIPTokenizer.from_pretrained(tokenizer_folder(catalogue))


def build_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Returns an untrained CLIP: a 3-layer text tower and a 4-layer vision transformer of 8x8 patches."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 4 * TEXT_WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 5,
        "max_position_embeddings": MAX_TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "image_size": IMAGE_SIZE,
        "patch_size": 8,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=128))


class CLIPTask(nn.Module):
    """The contrastive loss over a batch. Every scene shows another pair of subject and place, in any style."""

    def __init__(self, clip: CLIPModel, tokenizer: CLIPTokenizer, scenes: Scenes, batch_size: int) -> None:
        super().__init__()
        number = (scenes.catalogue.no_subject + 1) * len(scenes.catalogue.places)
        if batch_size > number:
            raise UsageError(f"batch_size={batch_size} of the CLIP exceeds the {number} different scenes; give fewer.")
        self.number_of_pairs = number
        self.clip, self.tokenizer, self.scenes, self.batch_size = clip, tokenizer, scenes, batch_size

    def forward(self, step: int) -> Tensor:
        generator, catalogue = seeded("clip", step), self.scenes.catalogue
        pairs = torch.randperm(self.number_of_pairs, generator=generator)[: self.batch_size]
        subjects = pairs.div(len(catalogue.places), rounding_mode="floor")
        places = pairs % len(catalogue.places)
        styles = torch.randint(catalogue.no_style + 1, (len(pairs),), generator=generator)
        seconds = self.scenes.sample_seconds(subjects, generator) if catalogue.templates.two else None
        batch = self.scenes.sample(
            len(pairs), generator, subjects=subjects, places=places, styles=styles, seconds=seconds
        )
        tokens = self.tokenizer(batch.captions, padding="max_length", truncation=True, return_tensors="pt")
        tokens = tokens.to(batch.images.device)
        images = batch.images + 0.1 * torch.randn(batch.images.shape, generator=generator).to(batch.images.device)
        loss: Tensor = self.clip(**tokens, pixel_values=images, return_loss=True).loss
        return loss
