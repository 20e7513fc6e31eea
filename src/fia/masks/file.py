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
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from ..errors import DataError, NotFoundError, UsageError
from ..files import check_can_write, similar_folder, written_whole
from .contents import MaskContents
from .file_checks import FORMAT, FORMAT_VERSION, SENSE, parse_settings, split_neurons
from .gapcode import encode
from .rewriting_file import pack, unpack

log = logging.getLogger("fia")

PLAIN = tuple(field.name for field in fields(MaskContents) if field.name not in ("neurons", "shapes", "rewriting"))
DTYPES = {"I32": np.int32, "U16": np.uint16, "F16": np.float16, "F32": np.float32}
LARGEST_HEADER = 2**24  # bytes; the settings of a few thousand concepts
AT_ONCE = 2**20  # bytes that are hashed at a time
NEURONS, CONFIG, CARD = "neurons.safetensors", "config.json", "README.md"
EVIDENCE = "evidence.json"  # the evaluation that a published mask brings along
PICTURES = "evidence"  # the folder with its images
BESIDE = (EVIDENCE, f"{PICTURES}/*")  # patterns of the files that do not belong to a mask without evidence


def save(mask: MaskContents, folder: Path, *, card: str, others: Mapping[str, bytes] | None = None) -> None:
    """Writes a mask to a folder. The files get their names only once all of them are complete.

    The one that decides comes last, so that whatever is interrupted, the folder holds the old mask or the new one. The
    evidence of another mask that was here before is deleted.

    Args:
        mask: the mask to write.
        folder: the folder; it is made if it does not exist.
        card: text of the model card.
        others: more files to write beside the mask, by name.

    Raises:
        ValueError: if the folder holds files that are not a mask's.
    """
    with ExitStack() as files:
        stage(files, mask, folder, card=card, others=others)


def stage(
    files: ExitStack, mask: MaskContents, folder: Path, *, card: str, others: Mapping[str, bytes] | None = None
) -> None:
    """Writes the files of a mask; they get their names when `files` is closed without an error. See `save`."""
    check_folder(folder)
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
    if int.from_bytes(contents[NEURONS][:8], "little") > LARGEST_HEADER:
        raise UsageError(
            f"A mask of {len(mask.concepts)} concepts is too large for a file; save parts of it: only(...)."
        )
    contents |= others or {}
    for name, content in contents.items():  # the last to get its name is the first that was entered
        files.enter_context(written_whole(folder / name)).write_bytes(content)
    here = [folder / EVIDENCE, *(folder / PICTURES).glob("*.png")]
    stale = [file for file in here if file.relative_to(folder).as_posix() not in contents]

    def delete_stale(error: type[BaseException] | None, *_: object) -> None:
        for file in stale if error is None else ():
            file.unlink(missing_ok=True)

    files.push(delete_stale)


def check_folder(folder: Path, *, replaces: bool = True) -> None:
    """Raises ValueError if a mask cannot be saved to a folder, or would overwrite files that are not a mask's.

    Args:
        folder: the folder; it need not exist.
        replaces: whether it may hold another mask.
    """
    check_can_write(folder)
    if (folder / NEURONS).exists():
        if not replaces:
            raise UsageError(f"{folder} holds a mask already; replace it (--replace), or give another folder.")
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
    metadata, entries, start = _read_header(path)
    sha256, newline, settings = metadata.get("mask", "").partition("\n")
    if not newline:
        raise DataError(
            f"{path} is not a mask: its metadata has no 'mask' with a hash and settings. Give another file."
        )
    if _digest_stored(settings, entries, path, start) != sha256:
        raise DataError(
            f"{path} was altered: its hash differs from the hash it was saved with. Fetch or make the mask again."
        )
    if not _repeats(folder / CONFIG, settings):
        log.warning(
            f"{folder / CONFIG} differs from the settings inside {NEURONS}, which are the ones that count. Save the "
            f"mask again to update {CONFIG}."
        )
    config = parse_settings(settings, path)
    content = np.memmap(path, dtype=np.uint8, mode="r")  # read where it is used, once its size is checked
    tensors = {
        name: content[start:][slice(*entry["data_offsets"])].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries.items()
    }
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


def _read_header(path: Path) -> tuple[dict[str, str], dict[str, Any], int]:
    """Returns the metadata of a file, what it says of each tensor, and where the tensors start.

    Raises:
        ValueError: if it is no safetensors file, or has tensors of other types than a mask.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if LARGEST_HEADER < length < path.stat().st_size:
            raise DataError(f"{path} is not a mask: its header takes {length:,} bytes. Give another file.")
    try:
        with safe_open(path, framework="np") as checked:  # names, shapes and places make sense
            metadata = checked.metadata() or {}
    except SafetensorError as error:
        raise DataError(
            f"{path} is cut off or not a safetensors file ({error}). Fetch or make the mask again."
        ) from None
    with path.open("rb") as file:
        file.seek(8)
        entries: dict[str, Any] = json.loads(file.read(length))
    entries.pop("__metadata__", None)
    for name, entry in entries.items():
        if entry["dtype"] not in DTYPES:
            raise DataError(
                f"{path} is not a mask: tensor {name} is {entry['dtype']}, not {', '.join(DTYPES)}. Give another file."
            )
    return metadata, entries, 8 + length


def _digest_stored(config: str, entries: dict[str, Any], path: Path, start: int) -> str:
    """Returns the hash of the settings and tensors of a file, of which it reads a little at a time."""
    digest = hashlib.sha256(config.encode())
    with path.open("rb") as file:
        for name in sorted(entries):
            entry = entries[name]
            digest.update(_heading(name, np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])))
            first, end = entry["data_offsets"]
            file.seek(start + first)
            for place in range(first, end, AT_ONCE):
                digest.update(file.read(min(AT_ONCE, end - place)))
    return digest.hexdigest()


def _repeats(config: Path, settings: str) -> bool:
    """Returns whether a config.json, if it is there, says the same as the settings."""
    said = settings.encode()
    try:
        if not config.is_file():
            return not config.exists()
        return config.stat().st_size <= len(said) + 100 and config.read_bytes().strip() == said
    except OSError:
        return False


def find_folder(folder_or_repo: str | Path, **hub: Any) -> Path:
    """Returns a local folder that holds a mask. If there is no folder of that name, fetches it from the Hub.

    Raises:
        FileNotFoundError: if neither has such a mask.
    """
    if not str(folder_or_repo).strip():
        raise NotFoundError("The name of the mask is empty. Give its folder, or owner/name of a repository.")
    folder = Path(folder_or_repo)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(str(folder_or_repo), allow_patterns=[NEURONS, CONFIG, CARD], **hub))
        except HFValidationError:
            raise NotFoundError(
                f"There is no folder {str(folder_or_repo)!r}, and no repository has such a name. Give the folder of a "
                f"mask, or owner/name of a repository.{similar_folder(folder, NEURONS)}"
            ) from None
        except OSError as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise NotFoundError(
                f"There is no folder {str(folder_or_repo)!r}, and the Hub gives no such mask ({reason}). Give the "
                f"folder of a mask, or owner/name of a repository.{similar_folder(folder, NEURONS)}"
            ) from None
    if not (folder / NEURONS).is_file():
        raise NotFoundError(f"{folder} holds no mask: there is no {NEURONS} in it. Give the folder of a mask.")
    return folder


def _digest(config: str, tensors: dict[str, np.ndarray]) -> str:
    """Returns the hash of a mask's settings and tensors."""
    digest = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        digest.update(_heading(name, tensors[name].dtype, tensors[name].shape))
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()


def _heading(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    return f"\0{name} {dtype} {shape}\0".encode()
