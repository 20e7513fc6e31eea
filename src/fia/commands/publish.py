"""`fia publish`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ..errors import UsageError
from ..export import publish
from ..masks.mask import NeuronMask


@dataclass
class Publish:
    """Puts a mask with its evidence and licence into a folder, or on the Hugging Face Hub.

    Examples:
      fia publish masks/two --out published/two --evidence runs/two --licence apache-2.0
      fia publish masks/two --repo somebody/no-church --evidence runs/two --licence apache-2.0
    """

    mask: Annotated[Positional[str], arg(metavar="MASK")]
    """Folder of the mask."""
    out: Path | None = None
    """Folder to write."""
    repo: str | None = None
    """Repository on the Hub to upload to, owner/name; made where there is none. Needs `hf auth login`."""
    evidence: Path | None = None
    """Folder of the mask's evaluation, as `fia evaluate` wrote it."""
    licence: str | None = None
    """Identifier of the mask's licence, such as apache-2.0."""
    private: bool = False
    """Make a new repository private."""

    def run(self) -> None:
        if self.out is None and self.repo is None:
            raise UsageError("Say where to publish: --out FOLDER, --repo OWNER/NAME, or both.")
        mask = NeuronMask.from_pretrained(self.mask)
        if self.out is not None:
            publish.write(mask, self.out, self.evidence, self.licence)
            print(f"Written to {self.out}")
        if self.repo is not None:
            print(publish.push(mask, self.repo, self.evidence, self.licence, private=self.private or None))
