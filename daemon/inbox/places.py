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
    """An inbox as the scanner's thread knows it. `key` is (device, inode), None while it is not there."""

    path: Path
    how: str = "events"
    shared: bool = False
    """On a filesystem that others change behind this kernel's back: leases and events are not the whole truth."""
    limit: bool = False
    """Polled because inotify's limits were reached; tried again at each rescan."""
    key: tuple[int, int] | None = None
    gone: bool = False
    devices: set[int] = field(default_factory=set)
    polled_at: float | None = None
    since: str = ""
    notices: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.since = stamp()

    @property
    def root(self) -> str:
        return os.fspath(self.path)

    def watch_by(self, how: str) -> bool:
        """Remember how it is watched from now on; whether that is a change."""
        if self.how == how:
            return False
        self.how, self.since = how, stamp()
        return True

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
        self._post(WatchNotice(level, message, facts))

    def say_once(self, key: str, level: str, message: str, place: Place | None = None, **facts: Any) -> None:
        if key in self._said:
            return
        if len(self._said) >= REMEMBERED_AT_MOST:
            self._said.clear()
        self._said.add(key)
        self.say(level, message, place, **facts)


def stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
