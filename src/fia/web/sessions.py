"""What the server remembers of each open page: the concepts it found, its images, and the job it waits for."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..masks.mask import NeuronMask
from .finding import Found
from .forms import DrawForm
from .jobs import Job
from .refusal import Refused
from .verdict import Seen

MOST_SESSIONS = 16
PICTURE_BYTES = 64 * 2**20  # of one session; the images that the page shows may exceed it


class Picture(NamedTuple):
    """A generated image.

    Attributes:
        png: the file.
        seen: what the judge sees in it.
    """

    png: bytes
    seen: Seen


class Pictures:
    """Images by key. The oldest are dropped first, but never those that the page shows."""

    def __init__(self, at_most: int = PICTURE_BYTES) -> None:
        self._files: OrderedDict[str, Picture] = OrderedDict()
        self._shown: frozenset[str] = frozenset()
        self._at_most = at_most
        self._lock = threading.Lock()

    def keep(self, shown: Sequence[str]) -> list[str]:
        """Marks the images that the page shows, so that they stay. Returns those that exist already."""
        with self._lock:
            self._shown = frozenset(shown)
            there = [key for key in shown if key in self._files]
            for key in there:
                self._files.move_to_end(key)
            return there

    def add(self, key: str, picture: Picture) -> None:
        """Adds an image, and drops old ones if all together are too large."""
        with self._lock:
            self._files[key] = picture
            size = sum(len(own.png) for own in self._files.values())
            for old in [key for key in self._files if key not in self._shown]:
                if size <= self._at_most:
                    break
                size -= len(self._files.pop(old).png)

    def get(self, key: str) -> Picture | None:
        """Returns an image, or None if it was dropped or never generated."""
        return self._files.get(key)

    def seen(self, key: str) -> Seen:
        """Returns what the judge sees in an image."""
        return self._files[key].seen


@dataclass(eq=False)
class Session:
    """One open page.

    Attributes:
        token: a secret that only this page knows.
        found: the concepts that were found last.
        shown: the mask of the images that were last asked for.
        drawn: the last form that asked for images, so that a reloaded page can show them again.
        job: the last job. A page has one at a time.
        pictures: the images of the page.
        last_used: when the page was last used, by `time.monotonic`.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    found: Found | None = None
    shown: NeuronMask | None = None
    drawn: DrawForm | None = None
    job: Job | None = None
    pictures: Pictures = field(default_factory=Pictures)
    last_used: float = field(default_factory=time.monotonic)


class Sessions:
    """The open pages. If there are too many, the idle page that was used longest ago is dropped."""

    def __init__(self, at_most: int = MOST_SESSIONS) -> None:
        self._sessions: dict[str, Session] = {}
        self._at_most = at_most
        self._lock = threading.Lock()

    def open(self) -> Session:
        """Returns a new session.

        Raises:
            Refused: if there are too many sessions, and all of them wait for a job.
        """
        with self._lock:
            if len(self._sessions) >= self._at_most:
                idle = [s for s in self._sessions.values() if s.job is None or not s.job.is_live]
                if not idle:
                    raise Refused(None, f"{self._at_most} pages are waiting already; try again later.", 503)
                del self._sessions[min(idle, key=lambda session: session.last_used).token]
            session = Session()
            self._sessions[session.token] = session
            return session

    def get(self, token: str) -> Session:
        """Returns a session.

        Raises:
            Refused: if there is no such session, or no longer.
        """
        with self._lock:
            session = self._sessions.get(token)
            if session is None:
                message = "The server no longer knows this page: it was restarted, or other pages came since."
                raise Refused(None, message, 410)
            session.last_used = time.monotonic()
            return session
