"""`fia apply`."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ..errors import UsageError
from ..export.checkpoint import write_checkpoint
from ..export.lora import Keys, LoraSize, write_lora
from ..export.patch import write_patch
from ..export.weights import write_denoiser, write_folder
from ..loading import load_pipeline
from ..masks.mask import NeuronMask
from .arguments import Json, Mask, Model

Format = Literal["folder", "denoiser", "checkpoint", "patch", "lora"]


@dataclass
class Apply:
    """Writes the edited model, for other tools to load.

    It writes the whole model, or only what the mask changes. docs/use-elsewhere.md says what each tool can load.

    Examples:
      fia apply testbed masks/two --out models/testbed-without-two
      fia apply ./model.safetensors masks/two --format checkpoint --out ./model-without-two.safetensors
      fia apply ./my-model masks/two --format lora --out loras/without-two.safetensors
      fia apply ./my-model masks/two --format patch --out patches/without-two.safetensors
    """

    model: Model
    mask: Mask
    out: Path
    """Where to write: a folder, or a .safetensors file. It must not exist yet."""
    format: Format = "folder"
    """folder: the whole edited model, for diffusers. denoiser: only its denoiser, in one file, with diffusers' names.
    lora: a small LoRA that does nearly the same, for any tool; the mask must rewrite. Two more are for U-Nets.
    checkpoint: a copy of the single file MODEL in which only the changed weights differ. patch: exactly what the mask
    changes; AUTOMATIC1111's web UI, Forge and ComfyUI load it like a LoRA, at strength 1."""
    rank: int | None = None
    """Rank of a LoRA. By default, as few as keep 99 % of the change."""
    lora_keys: Keys | None = None
    """Names in a LoRA. webui: those of kohya's trainers, which every tool reads, for U-Nets only, and their default.
    diffusers: those of diffusers and peft, the default for transformers."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Type of the written weights. auto takes float32, and float16 for a patch or a LoRA, because web UIs hold a
    model in float16 on a GPU: if the types agree, a patch gives exactly the mask's weights. A checkpoint
    keeps its own types."""
    config: str | None = None
    """For a single-file checkpoint: a diffusers folder of the same kind of model. Its configs, tokenizer and scheduler
    are used; by default diffusers downloads them from the Hub."""
    check_weights: bool = True
    """Refuse a model whose weights differ from those that the mask was found in, such as a fine-tuned one."""
    json: Json = False

    def run(self) -> None:
        self.check()
        mask = NeuronMask.from_pretrained(self.mask)
        dtype = self.dtype if self.dtype != "auto" else "float16" if self.format in ("patch", "lora") else "float32"
        pipe = load_pipeline(self.model, device="cpu", dtype=dtype, config=self.config)
        writers: dict[Format, Callable[..., LoraSize | None]] = {
            "folder": write_folder,
            "denoiser": write_denoiser,
            "checkpoint": partial(write_checkpoint, source=Path(self.model)),
            "patch": write_patch,
            "lora": partial(write_lora, rank=self.rank, keys=self.lora_keys),
        }
        size = writers[self.format](pipe, mask, self.out, check_weights=self.check_weights)
        done = {"out": str(self.out), "format": self.format, "without": mask.concepts, "pruned": mask.number_pruned}
        message = f"Wrote {self.model} without {', '.join(mask.concepts)} to {self.out}, as a {self.file_kind}."
        if isinstance(size, LoraSize):
            done |= asdict(size)
            message += f" Its rank is {size.rank}, which keeps {size.share:.1%} of the change."
        print(json.dumps(done) if self.json else message)

    @property
    def file_kind(self) -> str:
        """The format, as a sentence has it."""
        return "LoRA" if self.format == "lora" else self.format

    def check(self) -> None:
        """Raises ValueError, before anything is loaded, if the command cannot write its output."""
        if self.out.exists():
            raise UsageError(f"{self.out} exists already; give a new name, or delete it first.")
        if self.format != "folder" and self.out.suffix != ".safetensors":
            raise UsageError(
                f"--out {self.out}: a {self.file_kind} is one file; give a name that ends in .safetensors."
            )
        if self.format != "lora" and (self.rank is not None or self.lora_keys is not None):
            raise UsageError(
                f"--rank and --lora-keys are for --format lora, not for a {self.file_kind}. Leave them out."
            )
        if self.format == "checkpoint" and not Path(self.model).is_file():
            raise UsageError(
                f"{self.model} is not a single file, so fia cannot make a checkpoint from it. Give the .safetensors "
                "checkpoint itself, or write a folder: --format folder."
            )
        if self.format == "checkpoint" and self.dtype != "auto":
            raise UsageError(f"--dtype {self.dtype}: a checkpoint keeps its own types. Leave --dtype out.")
