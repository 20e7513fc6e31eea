"""What identifies an edit in the record of an attack."""

import hashlib

from ..edits.edited import EditedPipeline, Lora
from ..edits.interface import Edit
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..evaluation.records import EditName
from ..masks.mask import NeuronMask
from ..provenance import bytes_of, hash_file, hash_folder


def identify(edit: Edit) -> EditName:
    """Returns what identifies an edit, for the record.

    Raises:
        ValueError: if it is of an unknown kind.
    """
    if isinstance(edit, NeuronMask):
        return {"mask": list(edit.concepts), "fingerprint": edit.fingerprint}
    if isinstance(edit, EditedPipeline):
        return {"edited": edit.folder.name, "hash": hash_folder(edit.folder)}
    if isinstance(edit, Lora):
        return {"edited": edit.file.name, "hash": hash_file(edit.file)}
    if isinstance(edit, WeightEdit):
        digest = hashlib.sha256()
        for name, weight in sorted(edit.weights.items()):
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(bytes_of(weight))
        return {"edited": "weights", "hash": digest.hexdigest()}
    raise UsageError(
        f"A {type(edit).__name__} changes no weight that an attack could go round. Whoever draws leaves a negative "
        "prompt out. Give a mask, an edited model, or another method."
    )
