"""What a judge sees, in words: below each image, and in one sentence about all of them."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..evaluation.questions import Group
from ..testbed.world import SMOKING

# The question about a concept of each kind.
HEADS = {"object": "subject", "style": "style", "explicit": "attribute", "place": "place"}

Seen = Mapping[str, str]  # a judge's answers about an image, by kind of question; empty if there is no judge


@dataclass(frozen=True)
class Row:
    """How often the judge sees one thing, in the images whose prompts ask for it.

    Attributes:
        name: name of the thing.
        group: "forgotten", "kept" if it is named to be kept, else "rest".
        images: number of these images in each state.
        seen: number of them in which the judge sees the thing, by state.
    """

    name: str
    group: Group
    images: int
    seen: dict[str, int]

    def in_words(self) -> str:
        """Returns what the images before and after show of this thing."""
        before, after = self.seen["before"], self.seen["after"]
        unless_all = f" ({before} before)" if before < self.images else ""
        if self.group == "forgotten":
            gone = self.images - after
            return f"{self.name}: gone from {gone} of {self.images} images{unless_all}"
        return f"{self.name} still there in {after} of {self.images}{unless_all}"


def describe(seen: Seen) -> str:
    """Returns what the embedded model's judge sees in an image, such as "church" or "cat, Lumenza"."""
    if not seen:
        return ""
    subject = {"none": "nothing"}.get(seen["subject"], seen["subject"])
    smoking = f"{SMOKING} " if seen["attribute"] == SMOKING else ""
    style = "" if seen["style"] == "no style" else f", {seen['style']}"
    return smoking + subject + style


def verdict(
    pictures: Sequence[tuple[str, Mapping[str, Seen]]],
    known: Mapping[str, Iterable[str]],
    forgotten: Collection[str],
    kept: Collection[str],
) -> dict[str, Any]:
    """Returns what becomes of everything that the prompts ask for: one sentence, and a row for each thing.

    Every prompt names a place, so places have rows only if they are to be forgotten or kept.

    Args:
        pictures: the prompt of each image, and what the judge sees in it in every state.
        known: the names that the judge can see, by kind.
        forgotten: the names that should be gone.
        kept: the names to keep.
    """
    rows = []
    for kind, names in known.items():
        for name in names:
            asked = [seen for prompt, seen in pictures if re.search(rf"\b{re.escape(name)}\b", prompt, re.IGNORECASE)]
            if asked and (kind != "place" or name in (*forgotten, *kept)):
                group: Group = "forgotten" if name in forgotten else "kept" if name in kept else "rest"
                states = {state: sum(seen[state][HEADS[kind]] == name for seen in asked) for state in asked[0]}
                rows.append(Row(name, group, len(asked), states))
    order: list[Group] = ["forgotten", "kept", "rest"]
    rows.sort(key=lambda row: order.index(row.group))
    not_asked = [name for name in forgotten if name not in [row.name for row in rows]]
    sentences = [row.in_words() for row in rows] + [f"no prompt asks for {name}" for name in not_asked]
    return {"sentence": "; ".join(sentences) + "." if sentences else "", "rows": [asdict(row) for row in rows]}
