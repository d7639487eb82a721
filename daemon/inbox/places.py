"""One watched inbox: how it is watched, what is wrong with it; and the notices that tell a person."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.events import Event, WatchNotice

SHOWN_NOTICES = 20
REMEMBERED_AT_MOST = 10_000
"""Things already said once; past that they may be said again."""


@dataclass
class Place:
    """An inbox as the scanner's thread knows it."""

    path: Path
    how: str = "events"
    """``events`` or ``poll``."""
    shared: str | None = None
    """The kind of filesystem, when others change it behind this kernel's back: events and leases are not the whole truth."""
    lack: str | None = None
    """What the kernel has run out of, when that is why this inbox is polled."""
    key: tuple[int, int] | None = None
    """Device and inode; None while it is not there."""
    gone: bool = False
    devices: set[int] = field(default_factory=set)
    """Filesystems met in it whose kind is known."""
    polled_at: float | None = None
    since: str = ""
    notices: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.since = stamp()
        self.root = os.fspath(self.path)

    def describe(self) -> dict[str, Any]:
        how = "missing" if self.gone else self.how
        return {"folder": self.root, "how": how, "since": self.since, "notices": list(self.notices)}


class Notices:
    """Posts what a person should know, and keeps the last few of each place for `status`."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self._said: set[str] = set()

    def say(self, level: str, message: str, place: Place | None = None, **facts: Any) -> None:
        if place is not None:
            place.notices.append({"at": stamp(), "level": level, "message": message})
            del place.notices[:-SHOWN_NOTICES]
            facts = {"folder": place.root, **facts}
        self._post(WatchNotice(level, message, facts))

    def say_once(self, key: str, level: str, message: str, place: Place | None = None, **facts: Any) -> None:
        """Say it unless it was said under the same key."""
        if key in self._said:
            return
        if len(self._said) >= REMEMBERED_AT_MOST:
            self._said.clear()
        self._said.add(key)
        self.say(level, message, place, **facts)


def stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
