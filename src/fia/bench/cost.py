"""Measures what it costs to make an edit: seconds and memory."""

import threading
import time
from types import TracebackType

import psutil
import torch

from ..evaluation.records import Costs


class CostMeter:
    """Measures the time and memory of a `with` block.

    On the CPU it checks the memory of the process twenty times a second. On a GPU it asks torch.

    Attributes:
        seconds: duration of the block.
        memory_bytes: peak memory in the block minus the memory before it, in bytes.
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
