"""Galleries: any number of images in a folder. Each image is opened only when it is needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from diffusers import DiffusionPipeline
from PIL import Image
from tqdm.auto import tqdm

from ..files import written_whole
from ..models.pipelines import hidden_progress_bar
from ..processes import processes
from .images import Drawing, Request, batches, draw_batch


class Gallery(Sequence[Image.Image]):
    """A sequence of image files. It opens an image only when it is indexed, so it may exceed the memory."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    @classmethod
    def numbered(cls, folder: Path, number: int) -> "Gallery":
        """Returns the first images of a folder, by the file names that `draw_gallery` uses."""
        return cls([folder / cls.name(i) for i in range(number)])

    @staticmethod
    def name(number: int) -> str:
        """Returns the file name of an image."""
        return f"{number:05d}.png"

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> "Gallery": ...
    def __getitem__(self, index: int | slice) -> "Image.Image | Gallery":
        if isinstance(index, slice):
            return Gallery(self.files[index])
        with Image.open(self.files[index]) as image:
            return image.convert("RGB")


def draw_gallery(
    pipe: DiffusionPipeline,
    requests: Sequence[Request],
    folder: Path,
    drawing: Drawing,
    description: str = "Generating",
) -> Gallery:
    """Generates images into a folder, as PNG files numbered from 0, and returns them in order.

    After an interruption, call it again: it generates what is missing. Under `torchrun` or `accelerate launch`, the
    processes share the batches, and must share the folder. The batches are always the same, so the images are too.

    Args:
        pipe: the pipeline that generates.
        requests: what to generate.
        folder: folder for the images; created if it does not exist.
        drawing: how to generate.
        description: text of the progress bar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gallery = Gallery.numbered(folder, len(requests))
    group = processes()
    own = list(batches(requests, drawing))[group.process_index :: group.num_processes]
    with (
        hidden_progress_bar(pipe),
        tqdm(total=sum(map(len, own)), desc=description, unit="image", disable=not group.is_main_process) as bar,
    ):
        for batch in own:
            if not all(gallery.files[i].exists() for i in batch):
                for i, image in zip(batch, draw_batch(pipe, [requests[i] for i in batch], drawing), strict=True):
                    with written_whole(gallery.files[i]) as partial:
                        image.save(partial, format="PNG")
            bar.update(len(batch))
    group.wait_for_everyone()
    return gallery


def in_batches(images: Sequence[Image.Image], description: str, size: int = 32) -> Iterator[list[Image.Image]]:
    """Yields the opened images, one batch at a time. Shows a progress bar if there are many."""
    with tqdm(total=len(images), desc=description, unit="image", disable=len(images) < 1000) as bar:
        for start in range(0, len(images), size):
            batch = [images[i] for i in range(start, min(start + size, len(images)))]
            yield batch
            bar.update(len(batch))
