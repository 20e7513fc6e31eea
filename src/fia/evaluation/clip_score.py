"""CLIP: how well an image fits a text (Hessel et al., CLIPScore, arXiv 2104.08718)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from .images import in_batches


class ClipScorer:
    """A CLIP in the format of transformers."""

    def __init__(self, model: str, device: torch.device | str = "cpu") -> None:
        """Loads it.

        Args:
            model: a folder, or a repository such as openai/clip-vit-large-patch14.
            device: to run on.
        """
        self.name = Path(model).name if Path(model).exists() else model
        self.clip = CLIPModel.from_pretrained(model, dtype=torch.float32).to(device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.processor = AutoImageProcessor.from_pretrained(model, backend="pil")

    @torch.no_grad()
    def images(self, images: Sequence[Image.Image]) -> Float[Tensor, "images width"]:
        """Returns the embedding of each image, on the CPU."""
        parts = []
        for batch in in_batches(images, "Embedding"):
            pixels = self.processor(batch, return_tensors="pt").to(self.clip.device)
            parts.append(self.clip.get_image_features(**pixels).pooler_output.cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Float[Tensor, "texts width"]:
        """Returns the embedding of each text, cut at the tokenizer's limit, on the CPU."""
        unique = list(dict.fromkeys(texts))
        tokens = self.tokenizer(unique, padding=True, truncation=True, return_tensors="pt").to(self.clip.device)
        embeddings = self.clip.get_text_features(**tokens).pooler_output.cpu()
        return embeddings[[unique.index(text) for text in texts]]

    def similarities(self, images: Float[Tensor, "n width"], texts: Float[Tensor, "n width"]) -> list[float]:
        """Returns 100 times the cosine of each image and its text, not below 0."""
        return (100 * cosine_similarity(images, texts)).clamp(min=0).tolist()
