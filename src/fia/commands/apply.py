"""`fia apply`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ..errors import UsageError
from ..export.checkpoint import write_checkpoint
from ..export.patch import write_patch
from ..export.weights import write_denoiser, write_folder
from ..loading import load_pipeline
from ..masks.mask import NeuronMask
from .arguments import Json, Mask, Model

Format = Literal["folder", "denoiser", "checkpoint", "patch"]


@dataclass
class Apply:
    """Writes a model that has forgotten, for other tools to load.

    It writes the whole model, or only what makes it forget; docs/use-elsewhere.md says what each tool takes.

    Examples:
      fia apply testbed masks/two --out models/testbed-without-two
      fia apply ./model.safetensors masks/two --format checkpoint --out ./model-without-two.safetensors
      fia apply ./my-model masks/two --format patch --out loras/without-two.safetensors
    """

    model: Model
    mask: Mask
    out: Path
    """Where to write: a folder, or a .safetensors file. It must not exist yet."""
    format: Format = "folder"
    """folder: the whole edited model, for diffusers. denoiser: its denoiser alone, in one file, with diffusers' names.
    For U-Nets also checkpoint: the single file that MODEL is, with the mask in it and all else bit for bit; and patch:
    only what the mask changes, which AUTOMATIC1111's web UI, Forge and ComfyUI load like a LoRA, at strength 1."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Type of the weights that are written. auto takes float32, for a patch float16, which is what web UIs hold a model
    in on a GPU: what a patch prunes is exactly zero where the types agree. A checkpoint keeps its own types."""
    config: str | None = None
    """For a single-file checkpoint: a diffusers folder of the same kind of model, to read the configs, tokenizer and
    scheduler from. By default diffusers takes them from the Hub."""
    check_weights: bool = True
    """Refuse a model with other weights than those the mask was found in, such as a fine-tuned one."""
    json: Json = False

    def run(self) -> None:
        self.check()
        mask = NeuronMask.from_pretrained(self.mask)
        dtype = self.dtype if self.dtype != "auto" else "float16" if self.format == "patch" else "float32"
        pipe = load_pipeline(self.model, device="cpu", dtype=dtype, config=self.config)
        writers: dict[Format, Callable[..., None]] = {
            "folder": write_folder,
            "denoiser": write_denoiser,
            "checkpoint": partial(write_checkpoint, source=Path(self.model)),
            "patch": write_patch,
        }
        writers[self.format](pipe, mask, self.out, check_weights=self.check_weights)
        done = {"out": str(self.out), "format": self.format, "without": mask.concepts, "pruned": mask.number_pruned}
        message = f"{self.model} without {', '.join(mask.concepts)}: the {self.format} is {self.out}"
        print(json.dumps(done) if self.json else message)

    def check(self) -> None:
        """Raises ValueError for what cannot be written, before anything is loaded."""
        if self.out.exists():
            raise UsageError(f"{self.out} exists already; give a new name, or delete it first.")
        if self.format != "folder" and self.out.suffix != ".safetensors":
            raise UsageError(f"--out {self.out}: a {self.format} is one file; give a name that ends in .safetensors.")
        if self.format == "checkpoint" and not Path(self.model).is_file():
            raise UsageError(
                f"{self.model} is no single file, so no checkpoint can be made of it. Give the .safetensors checkpoint "
                "itself, or write a folder: --format folder."
            )
        if self.format == "checkpoint" and self.dtype != "auto":
            raise UsageError(f"--dtype {self.dtype}: a checkpoint keeps its own types. Leave --dtype out.")
