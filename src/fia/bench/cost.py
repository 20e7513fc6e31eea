"""What it costs to make an edit: seconds and memory."""

import threading
import time
from types import TracebackType

import psutil
import torch

from ..evaluation.records import Costs


class CostMeter:
    """Measures what happens within a `with` block.

    On the CPU the process is looked at twenty times a second; on a GPU torch keeps the account.

    Attributes:
        seconds: it took.
        memory_bytes: the most that was in use beyond what was in use before.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0
        self.memory_bytes = 0

    def __enter__(self) -> "CostMeter":
        self._done = threading.Event()
        self._before = self._peak = self._in_use()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._started
        self._done.set()
        if self.device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self.device)
        else:
            self._watcher.join()
        self.memory_bytes = self._peak - self._before

    def as_json(self) -> Costs:
        """Returns seconds and megabytes."""
        return {"seconds": round(self.seconds, 2), "megabytes": round(self.memory_bytes / 2**20, 1)}

    def _in_use(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device)
        return int(psutil.Process().memory_info().rss)

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self._peak = max(self._peak, self._in_use())
