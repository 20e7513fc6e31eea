"""Jobs: one thread does all long work, one job after another, with progress and a way to stop it.

The models belong to that thread alone, so two people never edit the same model at the same time.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from .refusal import Refused

State = Literal["queued", "running", "done", "failed", "cancelled"]
UNWATCHED = 120.0  # seconds: a job stops if nobody asks for its progress for so long

log = logging.getLogger(__name__)


class CancelledError(Exception):
    """Leaves the work of a cancelled job."""


@dataclass(eq=False)
class Job:
    """A piece of work and its progress.

    Attributes:
        work: does the work. It gets the job, to report progress to it, and returns the result as plain JSON.
        id: the id of the job in URLs.
        state: whether the job waits, runs or has ended, and how it ended.
        what: says what the job does now.
        done: number of steps of `what` that are done.
        total: number of all steps of `what`; 0 if it is not known.
        ready: the images that the page can fetch: by key, what the judge sees in it; empty without a judge.
        result: the result of the work, once the job is done.
        error: if the job failed, what is wrong and to which field of the form it belongs, if to any.
        cancel_asked: whether the job should stop at its next step.
        last_asked: when somebody last asked for the job, by `time.monotonic`.
    """

    work: Callable[["Job"], dict[str, Any]]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    state: State = "queued"
    what: str = "Waiting"
    done: int = 0
    total: int = 0
    ready: dict[str, str] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: dict[str, str | None] | None = None
    cancel_asked: bool = False
    last_asked: float = field(default_factory=time.monotonic)
    _begun: float = 0.0

    @property
    def is_live(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in ("queued", "running")

    def begin(self, what: str, total: int = 0) -> None:
        """Starts another part of the work, which has `total` steps."""
        self.what, self.done, self.total, self._begun = what, 0, total, time.monotonic()
        self.check()

    def step(self, done: int, total: int) -> None:
        """Takes the progress of the part; the arguments are those of `fia.finding.progress.OnStep`.

        Raises:
            CancelledError: if the job was cancelled, or nobody waits for it.
        """
        self.done, self.total = done, total
        self.check()

    def touch(self) -> None:
        """Notes that somebody waits for the job."""
        self.last_asked = time.monotonic()

    def check(self) -> None:
        """Raises CancelledError if the job was cancelled, or nobody waits for it."""
        if self.cancel_asked or time.monotonic() - self.last_asked > UNWATCHED:
            raise CancelledError

    @property
    def seconds_left(self) -> float | None:
        """How long the part will still take, in seconds; None if it is too early to say."""
        done = self.done  # read once, because the worker may begin another part meanwhile
        if self.state != "running" or not done:
            return None
        return max(0.0, (time.monotonic() - self._begun) / done * (self.total - done))


class Worker:
    """The thread that does the jobs, and its queue."""

    def __init__(self) -> None:
        self._queue: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name="fia-worker", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Job:
        """Puts a job at the end of the queue."""
        with self._changed:
            self._queue.append(job)
            self._changed.notify()
        return job

    def cancel(self, job: Job) -> None:
        """Takes a job out of the queue, or stops it at its next step."""
        with self._changed:
            job.cancel_asked = True
            if job in self._queue:
                self._queue.remove(job)
                job.state = "cancelled"

    def place(self, job: Job) -> int:
        """Returns how many jobs come before this one, including the running one."""
        with self._changed:
            if job not in self._queue:
                return 0
            return self._queue.index(job) + (self._running is not None)

    def close(self) -> None:
        """Stops the running job at its next step and ends the thread. Waits at most ten seconds for that."""
        with self._changed:
            self._closed = True
            for job in (*self._queue, *([self._running] if self._running else [])):
                job.cancel_asked = True
            self._changed.notify()
        self._thread.join(10)  # a download cannot be stopped, but it ends with the program

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                job = self._running = self._queue.popleft()
                job.state = "running"
            _do(job)
            with self._changed:
                self._running = None


def _do(job: Job) -> None:
    """Does a job. An error is stored in the job, and the thread lives on."""
    try:
        job.check()
        job.result = job.work(job)
        job.state = "done"
    except CancelledError:
        job.state = "cancelled"
    except Refused as error:
        job.error, job.state = {"field": error.field, "message": str(error)}, "failed"
    except (ValueError, TypeError, OSError, MemoryError) as error:
        job.error, job.state = {"field": None, "message": str(error)}, "failed"
    except Exception:
        log.exception("A job failed.")
        message = "This is a bug in fia. The console in which fia serve runs shows the details; please report them."
        job.error, job.state = {"field": None, "message": message}, "failed"
