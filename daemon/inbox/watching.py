"""The inbox itself: kernel events, scans and polling, through one gate, to each complete file reported once.

Three threads meet here. The kernel's reader calls `_changed`; the scanner's thread walks folders, arms watches and
asks the gate; the main loop calls `tick` once a second, which only wakes the scanner, so that a network share that
hangs never holds up the loop. What they share is in `sightings`.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.events import Event, FirstScanDone, Identity
from daemon.inbox.arming import POLL_S, Arming
from daemon.inbox.names import is_watched_folder, kind_of
from daemon.inbox.places import Notices, Place
from daemon.inbox.reporting import Reporter
from daemon.inbox.sightings import Sightings
from daemon.inbox.watcher import Change

if TYPE_CHECKING:
    from daemon.settings_model import Settings

Work = queue.SimpleQueue[Callable[[], None] | None]


class Inbox:
    """Watches the configured inboxes and posts what is complete.

    Parameters
    ----------
    settings
        `paths`, `settle`, `rescan` and `watch` are used.
    post
        Puts an event on the main loop's queue; called from any thread.
    known_audio
        Whether the ledger knows this version of a recording: then a scan does not report it. Called on the scanner's thread.
    """

    def __init__(
        self, settings: Settings, post: Callable[[Event], None], *, known_audio: Callable[[Path, Identity], bool],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._post = post
        self._notices = Notices(post)
        self._sightings = Sightings()
        self._reporter = Reporter(post, known_audio, self._sightings, self._notices)
        self._arming = Arming(settings.watch, self._changed, self._overflow, self._notices)
        self._places = {path: Place(path) for path in settings.paths.inboxes}
        self._work: Work = queue.SimpleQueue()
        self._scanner: threading.Thread | None = None
        self._stopping = False
        self._look_asked = threading.Event()
        self._scan_asked = threading.Event()
        self._scanned_at: float | None = None
        self._first_scan_done = False

    # --- called by the main loop ---

    def start(self) -> None:
        """Start watching, then scan once; FirstScanDone is posted when everything complete has been."""
        self._start_scanner()

    def tick(self, now: float) -> None:
        """A second has passed; `now` is in seconds, from any clock that is always the same one."""
        if self._scanner is None or self._stopping:
            return
        if not self._scanner.is_alive():
            self._notices.say("error", "the scanner of the inboxes died; it is started again")
            self._start_scanner()
        if self._scanned_at is None or now < self._scanned_at:
            self._scanned_at = now
        elif now - self._scanned_at >= self._settings.rescan:
            self._scanned_at = now
            self.rescan()
        if not self._look_asked.is_set():
            self._look_asked.set()
            self._work.put(partial(self._look, now))

    def rescan(self) -> None:
        """Look through everything again, soon, on the scanner's own thread."""
        if not self._scan_asked.is_set():
            self._scan_asked.set()
            self._work.put(self._scan_all)

    def forget(self, path: Path) -> None:
        """Whatever lies at `path` is to be reported again, at the next rescan if nothing happens before."""
        self._sightings.forget(os.fspath(path))

    def configure(self, settings: Settings) -> None:
        """Use other times (`settle`, `rescan`) from now on; other folders or another way of watching need a restart."""
        self._settings = settings

    def stop(self) -> None:
        """End the threads. A scan that hangs on a dead network share is left behind; it ends with the process."""
        self._stopping = True
        self._work.put(None)
        if self._scanner is not None:
            self._scanner.join(5)
        self._arming.stop()

    @property
    def watching(self) -> list[dict[str, Any]]:
        """For status: folder, how (events, poll or missing), since, notices, and how many files are not complete yet."""
        waiting = [entry.place.path for _, entry in self._sightings.unfinished()]
        return [place.describe() | {"unfinished": waiting.count(place.path)} for place in self._places.values()]

    # --- the kernel's reader ---

    def _changed(self, inbox: Path, folder: str, name: str, change: Change) -> None:
        place = self._places[inbox]
        path = os.path.join(folder, name)
        if change is Change.FOLDER:
            if is_watched_folder(name, top=folder == place.root):
                self._work.put(partial(self._scan_tree, place, path))
        elif kind := kind_of(name):
            try:
                if change is Change.CREATED:
                    self._reporter.judge(place, path, kind)
                else:
                    self._reporter.told(place, path, kind)
            except OSError:  # gone already, or moved on
                pass

    def _overflow(self) -> None:
        self._notices.say("warning", "more happened at once than the kernel's queue holds; all inboxes are looked through again")
        self._scan_asked.clear()  # a scan that has begun may have passed by what was lost
        self.rescan()

    # --- the scanner's thread ---

    def _start_scanner(self) -> None:
        self._work = queue.SimpleQueue()
        self._look_asked.clear()
        self._scan_asked.clear()
        self.rescan()
        self._scanner = threading.Thread(target=self._run, args=(self._work,), name="inbox scanner", daemon=True)
        self._scanner.start()

    def _run(self, work: Work) -> None:
        while (act := work.get()) is not None and not self._stopping:
            act()

    def _look(self, now: float) -> None:
        """Every second: are the inboxes still the same folders, what is polled, what was unfinished."""
        self._look_asked.clear()
        if self._arming.is_dead:
            self.rescan()
        for place in self._places.values():
            if self._needs_scan(place, now):
                self._scan_place(place)
        for path, entry in self._sightings.unfinished():
            self._reporter.look_again(path, entry, now, self._settings.settle)

    def _needs_scan(self, place: Place, now: float) -> bool:
        if place.how == "poll":
            due = place.polled_at is None or not 0 <= now - place.polled_at < POLL_S
            place.polled_at = now if due else place.polled_at
            return due
        try:
            status = os.stat(place.path)
        except OSError:
            return not place.gone
        return place.key != (status.st_dev, status.st_ino) or not self._arming.is_armed(place, status)

    def _scan_all(self) -> None:
        self._scan_asked.clear()
        self._arming.start()
        before, seen, visited = self._sightings.reported(), set[str](), set[str]()
        for place in self._places.values():
            place.lack = None  # try again
            self._scan_place(place, seen, visited)
        if self._stopping:
            return
        self._arming.keep_only(visited)
        self._sightings.forget_gone(before - seen)
        if not self._first_scan_done:
            self._first_scan_done = True
            self._post(FirstScanDone())

    def _scan_place(self, place: Place, seen: set[str] | None = None, visited: set[str] | None = None) -> None:
        try:
            status = os.stat(os.path.join(place.root, ""))  # the slash: it must be a folder
        except OSError as error:
            if not place.gone:
                place.gone, place.key = True, None
                self._notices.say(
                    "warning", "an inbox is not there; it is watched as soon as it is back", place, error=error.strerror)
            return
        key = (status.st_dev, status.st_ino)
        anew = place.gone or place.key not in (None, key)
        if anew:
            place.devices.clear()
            place.shared = None
        place.gone, place.key = False, key
        self._scan_tree(place, place.root, seen, visited)
        if anew:
            self._notices.say("info", "an inbox was made anew and is watched", place)

    def _scan_tree(self, place: Place, top: str, seen: set[str] | None = None, visited: set[str] | None = None) -> None:
        """Walk a folder: arm each before listing it, so that nothing falls between."""
        seen, visited = (set() if seen is None else seen), (set() if visited is None else visited)
        foreign = self._foreign(place)
        folders = [top]
        while folders and not self._stopping:
            folder = folders.pop()
            try:
                status = os.stat(folder, follow_symlinks=folder == place.root)
                if (status.st_dev, status.st_ino) in foreign or not stat.S_ISDIR(status.st_mode):
                    continue
                visited.add(folder)
                self._arming.examine(place, folder, status)
                self._arming.arm(place, folder, status)
                folders.extend(self._list(place, folder, seen))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._notices.say_once(
                    f"folder {folder}", "warning", "a folder in an inbox cannot be looked into", place, path=folder, error=error.strerror)
        self._arming.conclude(place)

    def _foreign(self, place: Place) -> set[tuple[int, int]]:
        """Folders that may lie in an inbox and are none of it: other inboxes, the outbox, the state."""
        paths = self._settings.paths
        found = set()
        for other in (paths.outbox, paths.state, *(inbox for inbox in paths.inboxes if inbox != place.path)):
            try:
                status = os.stat(other)
            except OSError:
                continue
            found.add((status.st_dev, status.st_ino))
        return found

    def _list(self, place: Place, folder: str, seen: set[str]) -> list[str]:
        """Look at every file of one folder; returns the folders in it."""
        inner = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if is_watched_folder(entry.name, top=folder == place.root):
                            inner.append(entry.path)
                    elif kind := kind_of(entry.name):
                        seen.add(entry.path)
                        self._reporter.found(place, entry.path, kind, entry.stat(follow_symlinks=False))
                    elif entry.is_symlink() and is_watched_folder(entry.name, top=False) and entry.is_dir():
                        self._reporter.irregular(place, entry.path, entry.stat(follow_symlinks=False))
                except OSError:  # gone while we looked
                    continue
        return inner
