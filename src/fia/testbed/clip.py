"""A small CLIP on scenes and captions. Its text tower, frozen, is the test-bed's text encoder."""

import string

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from .places import IMAGE_SIZE
from .scenes import NO_OBJECT, PLACE_NAMES, Scenes, all_captions

MAX_TOKENS = 24
TEXT_WIDTH = 192


def build_tokenizer() -> CLIPTokenizer:
    """Learns a byte-pair vocabulary in which the words of the captions are whole; any text can be encoded."""
    # The alphabet is taught too: a byte never seen would be read as the end of the text.
    letters = [f"{a} {a}{b}" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    alphabet = [*letters, *string.digits, *(f"{p} {p}{p}" for p in string.punctuation)]
    special = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    blank = CLIPTokenizer(vocab=special, merges=[], model_max_length=MAX_TOKENS)
    return blank.train_new_from_iterator([*all_captions(), *alphabet], vocab_size=2000, show_progress=False)


def build_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Returns an untrained CLIP: a 3-layer text tower and a 4-layer vision transformer of 8x8 patches."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 4 * TEXT_WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
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
    """The contrastive loss over batches in which every scene shows another pair of object and place."""

    def __init__(self, clip: CLIPModel, tokenizer: CLIPTokenizer, scenes: Scenes, batch_size: int) -> None:
        super().__init__()
        self.clip, self.tokenizer, self.scenes, self.batch_size = clip, tokenizer, scenes, batch_size

    def forward(self, generator: torch.Generator) -> Tensor:
        pairs = torch.randperm((NO_OBJECT + 1) * len(PLACE_NAMES), generator=generator)[: self.batch_size]
        objects = pairs.div(len(PLACE_NAMES), rounding_mode="floor")
        batch = self.scenes.sample(len(pairs), generator, objects=objects, places=pairs % len(PLACE_NAMES))
        tokens = self.tokenizer(batch.captions, padding="max_length", truncation=True, return_tensors="pt")
        tokens = tokens.to(batch.images.device)
        images = batch.images + 0.1 * torch.randn(batch.images.shape, generator=generator).to(batch.images.device)
        return self.clip(**tokens, pixel_values=images, return_loss=True).loss
