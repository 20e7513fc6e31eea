"""Publishes a mask with the evidence that it works: as a folder with a full model card, or on the Hub."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import DataError, NotFoundError, UsageError
from ..evaluation import summary
from ..files import read_json
from ..masks import file as maskfile
from ..masks.card import model_card
from ..masks.file import EVIDENCE
from ..masks.hub import commit_message, upload
from ..masks.mask import NeuronMask


def write(mask: NeuronMask, folder: Path, evidence: Path | None = None, licence: str | None = None) -> None:
    """Writes a mask with a model card that holds its evidence and licence, and `evidence.json` beside it.

    Args:
        mask: the mask to publish.
        folder: the folder for the files.
        evidence: folder of an evaluation of this mask, as `fia evaluate --out` writes it.
        licence: an identifier such as apache-2.0.

    Raises:
        FileNotFoundError: if the folder of the evidence holds no evaluation.
        ValueError: if the evaluation belongs to another mask.
    """
    if evidence is None:
        maskfile.save(mask, folder, card=model_card(mask, licence=licence))
        return
    result = read_evidence(mask, evidence)
    try:
        text = evidence_text(result)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{evidence / 'results.json'} is not a whole evaluation ({error!r}). Run fia evaluate again."
        ) from None
    card = model_card(mask, text, licence)
    maskfile.save(mask, folder, card=card, others={EVIDENCE: json.dumps(result, indent=2) + "\n"})


def push(
    mask: NeuronMask,
    repo_id: str,
    evidence: Path | None = None,
    licence: str | None = None,
    *,
    private: bool | None = None,
    token: str | None = None,
) -> str:
    """Uploads what `write` writes to a repository of the Hub and returns its address.

    The repository is made if it does not exist.

    Args:
        mask: the mask to publish.
        repo_id: owner/name.
        evidence: as for `write`.
        licence: as for `write`.
        private: whether a new repository is private. None takes the default of the owner's account.
        token: the token for the Hub. None takes the one you logged in with.
    """
    with TemporaryDirectory() as folder:
        write(mask, Path(folder), evidence, licence)  # first, so that a mask we cannot write creates no repository
        return upload(
            Path(folder), repo_id, message=commit_message(mask), private=private, token=token, stale=[EVIDENCE]
        )


def read_evidence(mask: NeuronMask, folder: Path) -> dict[str, Any]:
    """Returns the results of an evaluation, after a check that it belongs to this mask; see `write`."""
    path = folder / "results.json"
    if not path.is_file():
        raise NotFoundError(f"{folder} holds no evaluation: there is no results.json in it. Run fia evaluate first.")
    result = read_json(path)
    edit = result.get("edit") if isinstance(result, dict) else None
    if not isinstance(edit, dict) or edit.get("fingerprint") != mask.fingerprint:
        raise UsageError(f"{path} is the evaluation of another edit, not of this mask. Run fia evaluate on this mask.")
    return dict(result)


def evidence_text(result: dict[str, Any]) -> str:
    """Returns the tables of an evaluation as Markdown, and says how they were measured."""
    model, drawing, environment = (result[part] for part in ("model", "drawing", "environment"))
    parts = []
    for name, task in result["tasks"].items():
        lines = [f"**{name}**: {task['images']} images in each column", ""]
        lines += [f"| | {' | '.join(task['states'])} |", f"|---|{'---|' * len(task['states'])}"]
        lines += [f"| {metric.label} | {' | '.join(values)} |" for metric, values in summary.rows(task["states"])]
        parts.append("\n".join(lines))
    made = ", ".join(f"{key} {value}" for key, value in drawing.items())
    versions = ", ".join(f"{key} {value}" for key, value in environment["versions"].items())
    parts.append(
        f"Measured on {model['name']} ({model['dtype']}) with {made}. The seeds start at {result['seed']} and are the "
        f"same for every column. Versions: {versions}. Device: {environment['device']}. Intervals cover 95 %. Every "
        f"number is in `{EVIDENCE}`."
    )
    return "\n\n".join(parts)
