"""CLIP measures how well an image fits a text (Hessel et al., CLIPScore, arXiv 2104.08718)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from ..drawing.gallery import in_batches
from ..provenance import Identity, identify
from .network import loading_judge


class ClipScorer:
    """A CLIP model in the format of transformers.

    Attributes:
        identity: name and hash of the model.
    """

    identity: Identity

    def __init__(self, model: str, device: torch.device | str = "cpu") -> None:
        """Loads the model.

        Args:
            model: a folder, or a repository such as openai/clip-vit-large-patch14.
            device: the device to run on.
        """
        with loading_judge("CLIP", model, "--clip"):
            clip = CLIPModel.from_pretrained(model, dtype=torch.float32)
            self.tokenizer = AutoTokenizer.from_pretrained(model)
            self.processor = AutoImageProcessor.from_pretrained(model, backend="pil")
        self.clip = clip.to(device).eval()
        self.identity = identify(model, self.clip)

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
        positions = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        unique, parts = list(positions), []
        for start in range(0, len(unique), 256):
            batch = unique[start : start + 256]
            tokens = self.tokenizer(batch, padding="max_length", truncation=True, return_tensors="pt")
            parts.append(self.clip.get_text_features(**tokens.to(self.clip.device)).pooler_output.cpu())
        return torch.cat(parts)[[positions[text] for text in texts]]

    def similarities(self, images: Float[Tensor, "n width"], texts: Float[Tensor, "n width"]) -> list[float]:
        """Returns 100 times the cosine similarity of each image and its text, at least 0."""
        return (100 * cosine_similarity(images, texts)).clamp(min=0).tolist()
