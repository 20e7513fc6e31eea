"""One lock for each denoiser. Whoever finds neurons in it, or changes its weights, holds the lock; other threads wait.

A thread that holds the lock may take it again. Another thread may give it back, because some servers leave a `with`
block in another thread than the one that entered it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from weakref import WeakKeyDictionary

from torch import nn

log = logging.getLogger("fia")

PATIENCE = 60.0  # seconds


class DenoiserLock:
    """The lock of one denoiser."""

    def __init__(self) -> None:
        self._lock, self._owner, self._depth = Lock(), 0, 0

    @property
    def is_mine(self) -> bool:
        """Whether this thread holds it."""
        return self._owner == get_ident()

    def acquire(self) -> None:
        """Takes the lock, or waits for it. Says so if that takes long."""
        if not self.is_mine:
            if not self._lock.acquire(timeout=PATIENCE):
                log.warning(
                    f"Another thread has used this model for {PATIENCE:.0f} seconds; this one waits for it. A thread "
                    "that is in a `with mask.applied(pipe)` block must not wait for another that uses the same model."
                )
                self._lock.acquire()
            self._owner = get_ident()
        self._depth += 1

    def release(self) -> None:
        """Gives the lock back once for each time that it was taken."""
        self._depth -= 1
        if self._depth == 0:
            self._owner = 0
            self._lock.release()


_locks: WeakKeyDictionary[nn.Module, DenoiserLock] = WeakKeyDictionary()
_locks_lock = Lock()


def lock_of(denoiser: nn.Module) -> DenoiserLock:
    """Returns the lock of a denoiser."""
    with _locks_lock:
        return _locks.setdefault(denoiser, DenoiserLock())


@contextmanager
def held(denoiser: nn.Module) -> Iterator[None]:
    """Holds the lock of a denoiser within a `with` block; waits for it first."""
    lock = lock_of(denoiser)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()
