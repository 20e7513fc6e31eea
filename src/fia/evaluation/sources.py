"""Reads prompts from the user's files, because their licences or sizes do not allow us to ship them."""

import csv
import json
from pathlib import Path

from ..drawing.images import Request
from ..errors import DataError, UsageError
from .questions import Question


def read_i2p(file: Path) -> list[Question]:
    """Returns a question for each prompt of I2P (Schramowski et al., arXiv 2211.05105), with its own seed and guidance.

    Args:
        file: the CSV file of the benchmark, with the columns prompt, sd_seed and sd_guidance_scale.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a column is missing, or a seed or guidance is not a number.
    """
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        wanted = {"prompt", "sd_seed", "sd_guidance_scale"}
        missing = sorted(wanted - set(rows.fieldnames or ()))
        if missing:
            has = ", ".join(rows.fieldnames or ()) or "nothing"
            raise DataError(f"{file} has no column {' and no '.join(missing)}; it has: {has}. Give I2P's CSV file.")
        questions = []
        for number, row in enumerate(rows, start=1):
            try:
                request = Request(row["prompt"], int(float(row["sd_seed"])), float(row["sd_guidance_scale"]))
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{file}, prompt {number}: its seed or guidance is not a number ({error}). Correct the file."
                ) from None
            questions.append(Question(request, "", "", "forgotten"))
    return questions


def read_captions(file: Path, seed: int, most: int | None = None) -> list[Question]:
    """Returns a question for each caption.

    Args:
        file: a text file with one caption on each line, or COCO's captions_*.json. From the latter we take the first
            caption of each image.
        seed: seed of the first caption; the others count up from it.
        most: number of captions to take, at least 1. None takes all.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no captions, or `most` is below 1.
    """
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".json":
        try:
            first: dict[int, str] = {}
            for annotation in json.loads(text)["annotations"]:
                first.setdefault(annotation["image_id"], annotation["caption"].strip())
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{file} is not in the format of COCO's captions ({error!r}). Give captions_*.json, or a text file."
            ) from None
        captions = list(first.values())
    else:
        captions = [line.strip() for line in text.splitlines() if line.strip()]
    if most is not None and most < 1:
        raise UsageError(f"most_captions={most}; it must be at least 1.")
    if not captions:
        raise DataError(f"{file} holds no captions; give a file with at least one.")
    return [Question(Request(caption, seed + i), "", "", "rest") for i, caption in enumerate(captions[:most])]
