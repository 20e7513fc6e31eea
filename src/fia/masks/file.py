"""The folder that holds a mask.

`neurons.safetensors` holds everything. For concept i there is a tensor `neurons.i` with its neurons in the code of
`gapcode`, layer after layer. `counts` (concepts x layers) says how long the code of each layer is. The metadata has one
entry, `mask`: a SHA-256 of everything on the first line, and all other fields as JSON below it. `config.json` repeats
that JSON for people and tools, and `README.md` is the model card. Nothing in these files is ever executed.
docs/mask-format.md has the details.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from ..errors import DataError, NotFoundError, UsageError
from ..files import written_whole
from .contents import MaskContents
from .file_checks import FORMAT, FORMAT_VERSION, SENSE, parse_settings, split_neurons
from .gapcode import encode
from .rewriting_file import pack, unpack

log = logging.getLogger("fia")

PLAIN = tuple(field.name for field in fields(MaskContents) if field.name not in ("neurons", "shapes", "rewriting"))
DTYPES = ("I32", "U16", "F16", "F32")
NEURONS, CONFIG, CARD = "neurons.safetensors", "config.json", "README.md"
EVIDENCE = "evidence.json"  # the evaluation that a published mask brings along
PICTURES = "images"  # the folder with its images
BESIDE = (EVIDENCE, f"{PICTURES}/*")  # patterns of the files that do not belong to a mask without evidence


def save(mask: MaskContents, folder: Path, *, card: str, others: Mapping[str, bytes] | None = None) -> None:
    """Writes a mask to a folder. The files get their names only once all of them are complete.

    Args:
        mask: the mask to write.
        folder: the folder; it is made if it does not exist.
        card: text of the model card.
        others: more files to write beside the mask, by name.

    Raises:
        ValueError: if the folder holds files that are not a mask's.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: getattr(mask, name) for name in PLAIN}
    plain |= {"concepts": list(mask.concepts), "layers": {name: list(shape) for name, shape in mask.shapes.items()}}
    plain["rewriting"], tensors = (None, {}) if mask.rewriting is None else pack(mask.rewriting)
    config = json.dumps(
        {"format": FORMAT, "format_version": FORMAT_VERSION} | {name: plain[name] for name in SENSE}, indent=2
    )
    tensors["counts"] = np.zeros((len(mask.concepts), len(mask.shapes)), dtype=np.int32)
    for i, layers in enumerate(mask.neurons.values()):
        codes = [encode(layers[name]) for name in mask.shapes]
        tensors["counts"][i] = [len(code) for code in codes]
        tensors[f"neurons.{i}"] = np.concatenate(codes)
    metadata = {"mask": f"{_digest(config, tensors)}\n{config}"}  # one key, because several keys have no fixed order

    contents = {NEURONS: serialise(tensors, metadata), CONFIG: f"{config}\n".encode(), CARD: card.encode()}
    contents |= others or {}
    with ExitStack() as files:  # every file is complete before one gets its name; the file that decides comes last
        partials = [files.enter_context(written_whole(folder / name)) for name in contents]
        for partial, content in zip(partials, contents.values(), strict=True):
            partial.write_bytes(content)


def check_folder(folder: Path) -> None:
    """Raises ValueError if saving a mask to the folder would overwrite files that are not a mask's."""
    if (folder / NEURONS).exists():
        return
    for name in (CONFIG, CARD):
        if (folder / name).exists():
            raise UsageError(f"{folder / name} does not belong to a mask; give another folder.")


def load(folder_or_repo: str | Path, **hub: Any) -> MaskContents:
    """Reads a mask and checks it.

    Args:
        folder_or_repo: path, or owner/name on the Hub.
        **hub: options of `huggingface_hub.snapshot_download`.

    Raises:
        FileNotFoundError: if there is no mask.
        ValueError: if the file is cut off, altered, or not a mask.
    """
    folder = find_folder(folder_or_repo, **hub)
    path = folder / NEURONS
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            dtypes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 (not a dict)
            foreign = [f"{key} is {dtype}" for key, dtype in dtypes.items() if dtype not in DTYPES]
            if foreign:
                raise DataError(
                    f"{path} is not a mask: tensor {foreign[0]}, not {', '.join(DTYPES)}. Give another file."
                )
            tensors = {key: file.get_tensor(key) for key in dtypes}
    except SafetensorError as error:
        raise DataError(
            f"{path} is cut off or not a safetensors file ({error}). Fetch or make the mask again."
        ) from None
    sha256, newline, settings = metadata.get("mask", "").partition("\n")
    if not newline:
        raise DataError(
            f"{path} is not a mask: its metadata has no 'mask' with a hash and settings. Give another file."
        )
    if _digest(settings, tensors) != sha256:
        raise DataError(
            f"{path} was altered: its hash differs from the hash it was saved with. Fetch or make the mask again."
        )
    readable = folder / CONFIG
    if readable.exists() and readable.read_bytes().strip() != settings.encode():
        log.warning(
            f"{readable} differs from the settings inside {NEURONS}, which are the ones that count. Save the mask "
            f"again to update {CONFIG}."
        )
    config = parse_settings(settings, path)
    shapes = {name: (outputs, inputs) for name, (outputs, inputs) in config["layers"].items()}
    try:
        record = config.get("rewriting")
        rewriting = record and unpack(record, tensors, config["concepts"], shapes)
    except ValueError as error:
        raise DataError(f"{path} is not a mask: {error}. Make it again.") from None
    neurons = split_neurons(tensors, config["concepts"], shapes, path)
    plain: dict[str, Any] = {name: config.get(name) for name in PLAIN}
    plain["agnostic_ratio"] = float(plain["agnostic_ratio"])
    return MaskContents(neurons=neurons, shapes=shapes, rewriting=rewriting, **plain)


def find_folder(folder_or_repo: str | Path, **hub: Any) -> Path:
    """Returns a local folder that holds a mask. If there is no folder of that name, fetches it from the Hub.

    Raises:
        FileNotFoundError: if neither has such a mask.
    """
    folder = Path(folder_or_repo)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(str(folder_or_repo), allow_patterns=[NEURONS, CONFIG, CARD], **hub))
        except HFValidationError:
            raise NotFoundError(
                f"There is no folder {str(folder_or_repo)!r}, and no repository has such a name. Give the folder of a "
                f"mask, or owner/name of a repository.{_did_you_mean(folder)}"
            ) from None
        except OSError as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise NotFoundError(
                f"There is no folder {str(folder_or_repo)!r}, and the Hub gives no such mask ({reason}). Give the "
                f"folder of a mask, or owner/name of a repository.{_did_you_mean(folder)}"
            ) from None
    if not (folder / NEURONS).is_file():
        raise NotFoundError(f"{folder} holds no mask: there is no {NEURONS} in it. Give the folder of a mask.")
    return folder


def _did_you_mean(folder: Path) -> str:
    """Returns a question that names the mask beside a folder that is not there, if one has a similar name."""
    masks = {file.parent.name for file in folder.parent.glob(f"*/{NEURONS}")}
    close = get_close_matches(folder.name, masks, n=1)
    return f" Did you mean {str(folder.with_name(close[0]))!r}?" if close else ""


def _digest(config: str, tensors: dict[str, np.ndarray]) -> str:
    """Returns the hash of a mask's settings and tensors."""
    digest = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name} {tensor.dtype} {tensor.shape}\0".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
