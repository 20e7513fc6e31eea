"""What an edited model should have forgotten."""

from collections.abc import Iterable

from ..concepts import Concept, as_concepts
from ..edits.interface import Edit
from ..errors import UsageError
from ..masks.mask import NeuronMask


def forgotten_concepts(
    edit: Edit | None, given: str | Concept | Iterable[str | Concept] = (), *, flag: str
) -> list[Concept]:
    """Returns the concepts that are given, or else those of a mask.

    Args:
        edit: the edit. None stands for any that is no mask.
        given: the concepts.
        flag: the flag that gives them, for the error.

    Raises:
        ValueError: if there are none.
    """
    concepts = [given] if isinstance(given, str | Concept) else list(given)
    if concepts:
        return as_concepts(concepts)
    if isinstance(edit, NeuronMask):
        return [Concept(name, kind) for name, kind in edit.kinds.items()]
    raise UsageError(f'Say what the edited model should have forgotten, such as: {flag} church "Van Gogh:style".')
