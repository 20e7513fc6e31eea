"""Publishes a mask with the evidence that it works: as a folder with a full model card, or on the Hub."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from huggingface_hub import EvalResult

from ..errors import DataError, NotFoundError, UsageError
from ..evaluation import summary
from ..evaluation.records import EvaluationResult
from ..evaluation.run import MASKED, UNTOUCHED, state_folder
from ..files import read_json
from ..masks import file as maskfile
from ..masks.card import Evidence, model_card
from ..masks.file import BESIDE, EVIDENCE, PICTURES
from ..masks.hub import commit_message, upload
from ..masks.mask import NeuronMask


def write(mask: NeuronMask, folder: Path, evidence: Path | None = None, licence: str | None = None) -> None:
    """Writes a mask with a model card that holds its evidence and licence, and the evidence beside it.

    The evidence is `evidence.json` and a few images without and with the mask, but none of explicit content.

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
        text, measured, pictures = evidence_text(result), eval_results(result), pictures_of(result, evidence)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{evidence / 'results.json'} is not a whole evaluation ({error!r}). Run fia evaluate again."
        ) from None
    others, shown = {EVIDENCE: json.dumps(result, indent=2).encode() + b"\n"}, []
    for i, (prompt, *files) in enumerate(pictures, start=1):
        without, masked = (f"{PICTURES}/{i}-{when}.png" for when in ("without", "with"))
        others |= {without: files[0].read_bytes(), masked: files[1].read_bytes()}
        shown.append((prompt, without, masked))
    card = model_card(mask, Evidence(text, measured, shown), licence)
    maskfile.save(mask, folder, card=card, others=others)


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
        return upload(Path(folder), repo_id, message=commit_message(mask), private=private, token=token, stale=BESIDE)


def read_evidence(mask: NeuronMask, folder: Path) -> EvaluationResult:
    """Returns the results of an evaluation, after a check that it belongs to this mask; see `write`."""
    path = folder / "results.json"
    if not path.is_file():
        raise NotFoundError(f"{folder} holds no evaluation: there is no results.json in it. Run fia evaluate first.")
    result: Any = read_json(path)
    edit = result.get("edit") if isinstance(result, dict) else None
    if not isinstance(edit, dict) or edit.get("fingerprint") != mask.fingerprint:
        raise UsageError(f"{path} is the evaluation of another edit, not of this mask. Run fia evaluate on this mask.")
    return cast(EvaluationResult, result)


def pictures_of(result: EvaluationResult, folder: Path) -> list[tuple[str, Path, Path]]:
    """Returns prompts, each with the file of its image without and with the mask.

    Args:
        result: the results of an evaluation.
        folder: its folder. Images that are no longer there are left out, and all if a concept is explicit.
    """
    if any(concept.get("kind") == "explicit" for concept in result["forgotten"]):
        return []
    pictures = [
        (shown["prompt"], state_folder(folder, name, UNTOUCHED) / file, state_folder(folder, name, MASKED) / file)
        for name, task in result["tasks"].items()
        for shown in task.get("shown", [])
        for file in [f"{shown['number']:05d}.png"]
    ]
    return [(prompt, without, masked) for prompt, without, masked in pictures if without.is_file() and masked.is_file()]


def eval_results(result: EvaluationResult) -> list[EvalResult]:
    """Returns what was measured with the mask, as the Hub's metadata hold it, beside the value of every other state."""
    found = []
    concepts = ", ".join(str(concept["name"]) for concept in result["forgotten"])
    for name, task in result["tasks"].items():
        for metric in summary.METRICS:
            values = {state: summary.value_at(scores, metric) for state, scores in task["states"].items()}
            masked = values.pop(MASKED, None)
            if masked is not None:
                others = {state: summary.middle(value) for state, value in values.items() if value is not None}
                interval = {"interval": masked["interval"]} if isinstance(masked, Mapping) else {}
                found.append(
                    EvalResult(
                        task_type="text-to-image",
                        task_name=f"Text to image without {concepts}",
                        dataset_type=f"fia-{name}",
                        dataset_name=f"{task['images']} images of the task {name} of fia evaluate",
                        metric_type="_".join(metric.path),
                        metric_name=metric.label,
                        metric_value=summary.middle(masked),
                        metric_args={"better": metric.better} | interval | others,
                    )
                )
    return found


def evidence_text(result: EvaluationResult) -> str:
    """Returns the tables of an evaluation as Markdown, and says how they were measured."""
    model, drawing, environment = (result[part] for part in ("model", "drawing", "environment"))
    parts = []
    for name, task in result["tasks"].items():
        lines = [f"**{name}**: {task['images']} images in each column", ""]
        lines += [f"| | {' | '.join(task['states'])} |", f"|---|{'---|' * len(task['states'])}"]
        lines += [f"| {metric.label} | {' | '.join(values)} |" for metric, values in summary.rows(task["states"])]
        parts.append("\n".join(lines))
    made = ", ".join(f"{key} {value}" for key, value in drawing.items())
    versions = ", ".join(f"{key} {value}" for key, value in cast(dict[str, str], environment["versions"]).items())
    parts.append(
        f"Measured on {model['name']} ({model['dtype']}) with {made}. The seeds start at {result['seed']} and are the "
        f"same for every column. Versions: {versions}. Device: {environment['device']}. Intervals cover 95 %. Every "
        f"number is in `{EVIDENCE}`."
    )
    return "\n\n".join(parts)
