"""Everything that can happen. Threads put these on the one queue; the main thread takes them off and acts.

`durable` events change what was promised to someone: their transaction is flushed to the disk before we go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file, in which version: what must be the same for a file to count as unchanged."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    sha256: str | None = None

    @classmethod
    def of(cls, stat: os.stat_result, sha256: str | None = None) -> Identity:
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, sha256)

    def same_file(self, other: Identity) -> bool:
        """Whether both are one version of one file, content hashes aside."""
        mine = (self.device, self.inode, self.size, self.mtime_ns)
        return mine == (other.device, other.inode, other.size, other.mtime_ns)


@dataclass(frozen=True, slots=True)
class Event:
    durable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class JobFileSettled(Event):
    """A complete *.yaml or *.yml lies in an inbox."""

    path: Path
    inbox: Path
    durable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class AudioSettled(Event):
    """A complete audio file (or one of a type we cannot read: `supported` is False) lies in an inbox."""

    path: Path
    inbox: Path
    identity: Identity
    supported: bool = True


@dataclass(frozen=True, slots=True)
class FirstScanDone(Event):
    """Everything that lay in the inboxes at the start has been reported."""


@dataclass(frozen=True, slots=True)
class WatchNotice(Event):
    """Something a person should know about the watching itself: overflow, polling, a folder gone or back."""

    level: str
    message: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerSpoke(Event):
    """One message of the worker protocol, already parsed."""

    lane: str
    worker: int
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerDied(Event):
    """A worker process has ended; everything it said was posted before."""

    lane: str
    worker: int


@dataclass(frozen=True, slots=True)
class ErrandDone(Event):
    """The errands thread finished something; `then` runs on the main thread, inside the transaction."""

    then: Callable[[], None]
    durable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Published(Event):
    """Folders have been renamed into place; the ledger may say so."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command(Event):
    """A request on the control socket; `reply` takes the answer, once the transaction is committed."""

    request: dict[str, Any]
    reply: Callable[[dict[str, Any]], None]
    durable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """A second passed, or something asked the loop to look at what is due."""


@dataclass(frozen=True, slots=True)
class Signal(Event):
    number: int
