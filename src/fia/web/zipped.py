"""Packs a mask's folder into one file to download."""

import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from ..masks.mask import NeuronMask


def zipped(mask: NeuronMask, name: str) -> bytes:
    """Returns a zip file with one folder of this name, as `NeuronMask.save_pretrained` writes it."""
    file = io.BytesIO()
    with TemporaryDirectory() as folder, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        mask.save_pretrained(Path(folder) / name)
        for path in sorted((Path(folder) / name).iterdir()):
            archive.write(path, f"{name}/{path.name}")
    return file.getvalue()
