"""What was reported, in which version, and what is still being written. Shared by the inbox's threads, under one lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from daemon.inbox.names import Kind
from daemon.inbox.places import Place

REMEMBERED_AT_MOST = 100_000
"""Reported files kept in mind, about 25 MB; beyond that the oldest are asked about again at a rescan."""


def version_of(status: os.stat_result) -> int:
    """A number that differs when the file was exchanged, written, or moved away and back (which changes its ctime)."""
    return hash((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@dataclass(slots=True)
class Unfinished:
    """A file found before it was complete. Times are those of the main loop's ticks, in seconds."""

    place: Place
    kind: Kind
    version: int | None = None
    unchanged_since: float | None = None


class Sightings:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reported: dict[str, int] = {}
        self._unfinished: dict[str, Unfinished] = {}

    def is_reported(self, path: str, status: os.stat_result) -> bool:
        return self._reported.get(path) == version_of(status)

    def claim(self, path: str, status: os.stat_result) -> bool:
        """Whether this version has not been reported; it counts as reported from now on, and as finished."""
        version = version_of(status)
        with self._lock:
            self._unfinished.pop(path, None)
            if self._reported.pop(path, None) == version:
                self._reported[path] = version
                return False
            self._reported[path] = version
            if len(self._reported) > REMEMBERED_AT_MOST:
                del self._reported[next(iter(self._reported))]
            return True

    def await_end(self, path: str, entry: Unfinished) -> None:
        with self._lock:
            self._unfinished.setdefault(path, entry)

    def drop(self, path: str) -> None:
        """It is gone, or turned out to be nothing for us."""
        with self._lock:
            self._unfinished.pop(path, None)

    def forget(self, path: str) -> None:
        """Whatever lies there next is new."""
        with self._lock:
            self._reported.pop(path, None)

    def unfinished(self) -> list[tuple[str, Unfinished]]:
        with self._lock:
            return list(self._unfinished.items())

    def reported(self) -> set[str]:
        with self._lock:
            return set(self._reported)

    def forget_gone(self, unseen: Iterable[str]) -> None:
        """Forget those of `unseen` that are really not there; a scan may have passed before they came."""
        for path in unseen:
            if not os.path.lexists(path):
                self.forget(path)
