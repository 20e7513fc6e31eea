"""Networks that measure images: a classifier of transformers, for classes and features, and FID's Inception."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageClassification

from ..errors import DataError, NotFoundError, UsageError
from ..provenance import Identity, hash_file, identify


@contextmanager
def loading_judge(what: str, model: str, flag: str) -> Iterator[None]:
    """Explains it if transformers cannot load a judge within the `with` block.

    Args:
        what: the kind of judge, for people.
        model: the folder or repository from which it is loaded.
        flag: the flag that names another one.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise NotFoundError(
            f"There is no {what} {model!r}, and none could be fetched from the Hub. Give its folder with {flag}. "
            f"({reason})"
        ) from error


class ImageNetwork:
    """A classifier with feature maps, such as ResNet-50.

    Attributes:
        identity: name and hash of the model.
        labels: the label of each class, by index.
    """

    def __init__(self, model: str, device: torch.device | str = "cpu") -> None:
        """Loads the network from a folder or a repository, in the format of transformers, onto a device."""
        with loading_judge("classifier", model, "--classifier"):
            network = AutoModelForImageClassification.from_pretrained(model, dtype=torch.float32)
            self.processor = AutoImageProcessor.from_pretrained(model, backend="pil")
        self.network = network.to(device).eval()
        self.identity = identify(model, self.network)
        self.labels: dict[int, str] = self.network.config.id2label

    @torch.no_grad()
    def classes(self, images: Sequence[Image.Image]) -> list[int]:
        """Returns the index of the most likely class of each image."""
        indices: list[int] = self.network(self._pixels(images)).logits.argmax(dim=1).tolist()
        return indices

    @torch.no_grad()
    def stages(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """Returns the feature maps (images, channels, y, x) after each stage.

        Raises:
            ValueError: if the network has no feature maps, like a vision transformer.
        """
        maps = list(self.network(self._pixels(images), output_hidden_states=True).hidden_states[1:])
        if maps[0].ndim != 4:
            kind = type(self.network).__name__
            raise UsageError(f"{self.identity['name']} is a {kind}, which has no feature maps; give a ResNet.")
        return maps

    def pooled(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Returns the features of the last stage (images, channels), averaged over the places."""
        return self.stages(images)[-1].mean(dim=(2, 3)).cpu().numpy()

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        pixels: Tensor = self.processor(list(images), return_tensors="pt").pixel_values
        return pixels.to(self.network.device)


class Inception:
    """The network of FID, from the user's file: TorchScript that takes uint8 images and returns 2,048 features.

    One such file is the `inception-2015-12-05.pt` that NVIDIA distributes with StyleGAN. TorchScript is code: open only
    a file that you trust.
    """

    def __init__(self, file: Path, device: torch.device | str = "cpu") -> None:
        """Loads the network from a file onto a device.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a TorchScript file.
        """
        self.identity: Identity = {"name": file.name, "hash": hash_file(file)}
        self.device = device
        try:
            self.network = torch.jit.load(file, map_location=device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise DataError(f"{file} is no TorchScript file; give FID's network as TorchScript. ({error})") from None

    @torch.no_grad()
    def pooled(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Returns the features (images, 2048)."""
        arrays = [torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] for image in images]
        same_size = len({array.shape for array in arrays}) == 1
        batches = [torch.cat(arrays)] if same_size else arrays
        return np.concatenate(
            [self.network(pixels.to(self.device), return_features=True).cpu().numpy() for pixels in batches]
        )
