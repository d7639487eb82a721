"""A real inbox in a throw-away folder, its clock in the test's hands: one tick is one second."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.events import AudioSettled, Event, FirstScanDone, Identity, JobFileSettled, WatchNotice
from daemon.inbox import Inbox
from tests.conftest import eventually


class Watched:
    """An Inbox under test. `until` lets time pass until something holds; `barrier` until all that was told is dealt with."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "inbox"
        self.folder.mkdir()
        self.elsewhere = home / "elsewhere"
        self.elsewhere.mkdir()
        self.events: list[Event] = []
        self.known: set[Path] = set()
        self.asked: list[tuple[Path, Identity]] = []
        self.inboxes = (self.folder,)
        self.outbox = home / "outbox"
        self.settle, self.rescan, self.watch = 10.0, 60.0, "auto"
        self.now = 1000.0
        self._numbers = itertools.count()
        self.inbox: Inbox = None  # type: ignore[assignment]

    def start(self) -> Watched:
        settings: Any = SimpleNamespace(
            paths=SimpleNamespace(inboxes=self.inboxes, outbox=self.outbox, state=self.home / "state"),
            settle=self.settle, rescan=self.rescan, watch=self.watch,
        )  # fmt: skip
        self.inbox = Inbox(settings, self.events.append, known_audio=self._is_known)
        self.inbox.start()
        eventually(lambda: FirstScanDone() in self.events, "the first scan")
        return self

    def _is_known(self, path: Path, identity: Identity) -> bool:
        self.asked.append((path, identity))
        return path in self.known

    def tick(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.now += 1
            self.inbox.tick(self.now)
            self.scanned()

    def scanned(self) -> None:
        """Wait until the scanner has done what it was asked."""
        done = threading.Event()
        self.inbox._work.put(done.set)
        assert done.wait(60)

    def barrier(self) -> None:
        """Wait until everything the kernel has told so far was dealt with: its events come in order."""
        name = f"barrier-{next(self._numbers)}.yaml"
        (self.elsewhere / name).write_text("do: nothing")
        os.rename(self.elsewhere / name, self.folder / name)
        eventually(lambda: any(getattr(event, "path", None) == self.folder / name for event in list(self.events)), "the barrier")
        self.scanned()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        def passed() -> Any:
            if result := condition():
                return result
            self.tick()
            return condition()

        return eventually(passed, what)

    def _paths(self, kind: type[Event]) -> list[Path]:
        return [event.path for event in list(self.events) if type(event) is kind and not event.path.name.startswith("barrier-")]  # type: ignore[attr-defined]

    @property
    def jobs(self) -> list[Path]:
        return self._paths(JobFileSettled)

    @property
    def audio(self) -> list[Path]:
        return self._paths(AudioSettled)

    @property
    def notices(self) -> list[WatchNotice]:
        return [event for event in list(self.events) if isinstance(event, WatchNotice)]

    def says(self, words: str) -> bool:
        return any(words in notice.message for notice in self.notices)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    house = Watched(tmp_path)
    yield house
    if house.inbox is not None:
        house.inbox.stop()
