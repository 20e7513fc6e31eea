"""Progress of work that is done in steps: one count for the console's bar and for whoever else wants to know."""

from collections.abc import Callable
from types import TracebackType

from tqdm.auto import tqdm

OnStep = Callable[[int, int], None]
"""Told, after each step, how many are done and how many there are. What it raises stops the work."""


class Progress:
    """Counts steps for a bar on the console, and for a listener, whether the bar is shown or not."""

    def __init__(self, total: int, *, shown: bool, on_step: OnStep | None = None) -> None:
        """Starts at zero.

        Args:
            total: number of steps.
            shown: whether there is a bar.
            on_step: the listener.
        """
        self.total = total
        self.done = 0
        self._on_step = on_step
        self._bar = tqdm(total=total, unit="step", disable=not shown)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def describe(self, text: str) -> None:
        """Puts a text before the bar."""
        self._bar.set_description(text)

    def advance(self) -> None:
        """Counts one more step."""
        self.done += 1
        self._bar.update(1)
        if self._on_step is not None:
            self._on_step(self.done, self.total)

    def skip(self, number: int) -> None:
        """Counts steps that need not be done."""
        self.done += number
        self._bar.update(number)

    def go_back(self, done: int) -> None:
        """Sets the count to an earlier one, where some steps must be done again."""
        self.done = self._bar.n = done
