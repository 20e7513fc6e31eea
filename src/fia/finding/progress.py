"""Progress of work that is done in steps: one count for the bar on the console and for a listener."""

from collections.abc import Callable
from types import TracebackType

from tqdm.auto import tqdm

OnStep = Callable[[int, int], None]
"""Called after each step with the number of steps done and the number of all steps. An exception stops the work."""


class Progress:
    """Counts steps for a bar on the console and for a listener. The bar may be hidden."""

    def __init__(self, total: int, *, shown: bool, on_step: OnStep | None = None) -> None:
        """Starts at zero.

        Args:
            total: number of steps.
            shown: whether to show the bar.
            on_step: the listener, if there is one.
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
        """Shows a text before the bar."""
        self._bar.set_description(text)

    def advance(self) -> None:
        """Counts one more step."""
        self.done += 1
        self._bar.update(1)
        if self._on_step is not None:
            self._on_step(self.done, self.total)

    def skip(self, number: int) -> None:
        """Counts steps that do not need to run."""
        self.done += number
        self._bar.update(number)

    def go_back(self, done: int) -> None:
        """Sets the count back to `done`, because the later steps must run again."""
        self.done = self._bar.n = done
