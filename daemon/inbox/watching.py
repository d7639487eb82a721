"""The inbox itself: kernel events, scans and polling, through one gate, to each complete file reported once.

Three threads meet here. The kernel's reader calls `_changed`; the scanner's thread walks folders, arms watches and
asks the gate; the main loop calls `tick` once a second, which only wakes the scanner, so that a network share that
hangs never holds up the loop. What they share is in `sightings`.
"""

from __future__ import annotations

import errno
import os
import queue
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.events import AudioSettled, Event, FirstScanDone, Identity, JobFileSettled
from daemon.inbox import filesystem, gate
from daemon.inbox.gate import Verdict
from daemon.inbox.names import Kind, is_watched_folder, kind_of
from daemon.inbox.places import Notices, Place
from daemon.inbox.sightings import Sightings, Unfinished, version_of
from daemon.inbox.watcher import Change, Watcher

if TYPE_CHECKING:
    from daemon.settings_model import Settings

POLL_S = 3.0
"""Between two looks into a folder whose filesystem tells nothing."""
INSTANCES = "no inotify instance is free; raise the limit: sysctl fs.inotify.max_user_instances=512"
WATCHES = "no inotify watch is free; raise the limit: sysctl fs.inotify.max_user_watches=524288"


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
        self._known_audio = known_audio
        self._notices = Notices(post)
        self._sightings = Sightings()
        self._places = [Place(path) for path in settings.paths.inboxes]
        self._by_path = {place.path: place for place in self._places}
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._scanner: threading.Thread | None = None
        self._watcher: Watcher | None = None
        self._stopping = False
        self._looking = threading.Event()
        self._scanning = threading.Event()
        self._scanned_at: float | None = None
        self._first_scan_done = False

    # --- called by the main loop ---

    def start(self) -> None:
        """Start watching, then scan once; FirstScanDone is posted when everything complete has been."""
        self._start_scanner()
        self.rescan()

    def tick(self, now: float) -> None:
        """A second has passed; `now` is in seconds, from any clock that always is the same one."""
        if self._scanner is None or self._stopping:
            return
        if not self._scanner.is_alive():
            self._notices.say("error", "the inboxes' scanner died; it is started again")
            self._start_scanner()
            self.rescan()
        if self._scanned_at is None or now < self._scanned_at:
            self._scanned_at = now
        elif now - self._scanned_at >= self._settings.rescan:
            self._scanned_at = now
            self.rescan()
        if not self._looking.is_set():
            self._looking.set()
            self._work.put(partial(self._look, now))

    def rescan(self) -> None:
        """Look through everything again, soon, on the scanner's own thread."""
        if not self._scanning.is_set():
            self._scanning.set()
            self._work.put(self._scan_all)

    def forget(self, path: Path) -> None:
        """Whatever lies at `path` is to be reported again, at the next rescan if nothing happens before."""
        self._sightings.forget(os.fspath(path))

    def configure(self, settings: Settings) -> None:
        """Use other times (`settle`, `rescan`) from now on; other folders need a restart."""
        self._settings = settings

    def stop(self) -> None:
        self._stopping = True
        self._work.put(None)
        if self._scanner is not None:
            self._scanner.join(5)
        if self._watcher is not None:
            self._watcher.stop()

    @property
    def watching(self) -> list[dict[str, Any]]:
        """For status: folder, how (events, poll or missing), since, notices, and how many files are not complete yet."""
        waiting = [entry.inbox for _, entry in self._sightings.unfinished()]
        return [place.describe() | {"unfinished": waiting.count(place.path)} for place in self._places]

    # --- the kernel's reader ---

    def _changed(self, inbox: Path, folder: str, name: str, change: Change) -> None:
        place = self._by_path[inbox]
        path = os.path.join(folder, name)
        if change is Change.FOLDER:
            if is_watched_folder(name, top=folder == place.root):
                self._work.put(partial(self._scan_tree, place, path))
            return
        kind = kind_of(name)
        if kind is None:
            return
        try:
            if change is Change.CREATED:
                self._judge(place, path, kind)
                return
            status = os.lstat(path)
        except OSError:  # gone already, or moved on
            return
        if not stat.S_ISREG(status.st_mode):
            self._irregular(place, path, status)
        elif status.st_size == 0 or place.shared:
            self._sightings.await_end(path, Unfinished(inbox, kind))
        else:
            self._report(inbox, path, kind, status)

    def _overflow(self) -> None:
        self._notices.say("warning", "more happened at once than the kernel's queue holds; all inboxes are looked through again")
        self._scanning.clear()  # a scan under way may have passed already
        self.rescan()

    # --- the scanner's thread ---

    def _start_scanner(self) -> None:
        self._scanning.clear()
        self._looking.clear()
        self._work = queue.SimpleQueue()
        self._scanner = threading.Thread(target=self._run, args=(self._work,), name="inbox scanner", daemon=True)
        self._scanner.start()

    def _run(self, work: queue.SimpleQueue[Callable[[], None] | None]) -> None:
        while (act := work.get()) is not None and not self._stopping:
            act()

    def _scan_all(self) -> None:
        self._scanning.clear()
        self._start_watcher()
        before, seen, visited = self._sightings.reported(), set[str](), set[str]()
        for place in self._places:
            place.limit = False
            self._scan_place(place, seen, visited)
        if self._stopping:
            return
        if self._watcher is not None:
            self._watcher.keep_only(visited)
        self._sightings.forget_gone(before - seen)
        if not self._first_scan_done:
            self._first_scan_done = True
            self._post(FirstScanDone())

    def _start_watcher(self) -> None:
        if self._settings.watch == "poll" or (self._watcher is not None and self._watcher.is_alive):
            return
        if self._watcher is not None:
            self._notices.say("error", "the watcher of the inboxes died; it is started again")
            self._watcher = None
        try:
            self._watcher = Watcher(self._changed, self._overflow)
        except OSError as error:
            message = INSTANCES if error.errno == errno.EMFILE else f"the kernel's events cannot be had: {error.strerror}"
            self._notices.say_once(message, "warning", message)

    def _scan_place(self, place: Place, seen: set[str], visited: set[str]) -> None:
        try:
            status = os.stat(place.path)
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place.root)
            self._choose(place, status.st_dev)
        except OSError as error:
            if not place.gone:
                place.gone, place.key = True, None
                self._notices.say(
                    "warning", "an inbox is not there; it is watched again as soon as it is back", place,
                    folder=place.root, error=error.strerror,
                )  # fmt: skip
            return
        key = (status.st_dev, status.st_ino)
        if place.gone or place.key not in (None, key):
            self._notices.say("info", "an inbox was made anew and is watched again", place, folder=place.root)
        place.gone, place.key = False, key
        self._scan_tree(place, place.root, seen, visited)

    def _choose(self, place: Place, device: int) -> None:
        """Events, or polling? Said whenever it is not what one would expect."""
        shared = None
        if device not in place.devices:
            place.devices.add(device)
            shared = filesystem.shared_kind(place.root if len(place.devices) == 1 else place.root)
        place.shared = place.shared or shared is not None
        if self._settings.watch == "poll":
            place.watch_by("poll")
        elif self._settings.watch == "events" and place.shared and shared:
            self._notices.say(
                "warning", f"the inbox lies on {shared}: what other machines put there is found at the next rescan only "
                "(`watch: auto` would poll)", place, folder=place.root,
            )  # fmt: skip
        elif self._settings.watch == "auto" and place.shared:
            if place.watch_by("poll"):
                self._notices.say(
                    "warning", f"the inbox lies on {shared}, which tells nothing of what others do there: it is looked through "
                    f"every {POLL_S:g} s", place, folder=place.root,
                )  # fmt: skip
        elif self._watcher is None or place.limit:
            self._poll_for_lack(place)
        elif place.watch_by("events"):
            self._notices.say("info", "the kernel's events can be had again", place, folder=place.root)

    def _poll_for_lack(self, place: Place) -> None:
        place.limit = True
        if place.watch_by("poll"):
            self._notices.say(
                "warning", f"the inbox is looked through every {POLL_S:g} s: {WATCHES if self._watcher else INSTANCES}",
                place, folder=place.root,
            )  # fmt: skip

    def _scan_tree(self, place: Place, top: str, seen: set[str] | None = None, visited: set[str] | None = None) -> None:
        """Walk a folder: watch each before listing it, so that nothing falls between."""
        seen = set() if seen is None else seen
        others = self._not_ours(place)
        folders = [top]
        while folders and not self._stopping:
            folder = folders.pop()
            try:
                status = os.stat(folder, follow_symlinks=folder == place.root)
                if (status.st_dev, status.st_ino) in others or not stat.S_ISDIR(status.st_mode):
                    continue
                if visited is not None:
                    visited.add(folder)
                self._arm(place, folder, status)
                folders.extend(self._list(place, folder, seen))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._notices.say_once(
                    f"folder {folder}", "warning", "a folder in an inbox cannot be looked into", place, folder=folder, error=error.strerror
                )

    def _not_ours(self, place: Place) -> set[tuple[int, int]]:
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

    def _arm(self, place: Place, folder: str, status: os.stat_result) -> None:
        if status.st_dev not in place.devices:  # another disk is mounted within
            self._choose(place, status.st_dev)
        if place.how != "events" or self._watcher is None or self._watcher.is_armed(folder, status):
            return
        try:
            self._watcher.arm(folder, place.path, status)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._poll_for_lack(place)

    def _list(self, place: Place, folder: str, seen: set[str]) -> list[str]:
        """Consider every file of one folder; returns the folders in it."""
        inner = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if is_watched_folder(entry.name, top=folder == place.root):
                            inner.append(entry.path)
                    elif (kind := kind_of(entry.name)) or entry.is_symlink():
                        self._consider(place, entry, kind, seen)
                except OSError:  # gone while we looked
                    continue
        return inner

    def _consider(self, place: Place, entry: os.DirEntry[str], kind: Kind | None, seen: set[str]) -> None:
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            if kind or (is_watched_folder(entry.name, top=False) and os.path.isdir(entry.path)):
                self._irregular(place, entry.path, status)
            return
        if kind is None:
            return
        seen.add(entry.path)
        if self._sightings.is_reported(entry.path, status):
            return
        if kind is not Kind.JOB and self._known_audio(Path(entry.path), Identity.of(status)):
            self._sightings.claim(entry.path, status)
            return
        self._judge(place, entry.path, kind)

    def _look(self, now: float) -> None:
        """Every second: are the inboxes still the same folders, what is polled, what was unfinished."""
        self._looking.clear()
        if self._watcher is not None and not self._watcher.is_alive:
            self.rescan()
        for place in self._places:
            self._look_at(place, now)
        for path, entry in self._sightings.unfinished():
            self._look_again(path, entry, now)

    def _look_at(self, place: Place, now: float) -> None:
        if place.how == "poll":
            if place.polled_at is not None and 0 <= now - place.polled_at < POLL_S:
                return
            place.polled_at = now
            self._scan_place(place, set(), set())
            return
        try:
            status = os.stat(place.path)
        except OSError:
            status = None
        same = status is not None and place.key == (status.st_dev, status.st_ino)
        armed = status is not None and self._watcher is not None and self._watcher.is_armed(place.root, status)
        if not (same and armed) and not (status is None and place.gone):
            self._scan_place(place, set(), set())

    # --- one file ---

    def _judge(self, place: Place, path: str, kind: Kind) -> None:
        """A file was found, not told to be complete: report it if nobody writes it, else look again."""
        verdict, status = gate.ask(path)
        if verdict is Verdict.IRREGULAR:
            self._irregular(place, path, status)
        elif verdict is Verdict.COMPLETE and status.st_size and not place.shared:
            self._report(place.path, path, kind, status)
        else:
            self._sightings.await_end(path, Unfinished(place.path, kind))

    def _look_again(self, path: str, entry: Unfinished, now: float) -> None:
        place = self._by_path[entry.inbox]
        try:
            verdict, status = gate.ask(path)
        except OSError:
            self._sightings.drop(path)
            return
        if verdict is Verdict.IRREGULAR:
            self._sightings.drop(path)
        elif verdict is Verdict.COMPLETE and status.st_size and not place.shared:
            self._report(entry.inbox, path, entry.kind, status)
        elif verdict is Verdict.WRITING and not place.shared:
            entry.unchanged_since = None
        elif entry.version != version_of(status) or entry.unchanged_since is None or now < entry.unchanged_since:
            entry.version, entry.unchanged_since = version_of(status), now
        elif now - entry.unchanged_since >= self._settings.settle:
            self._report(entry.inbox, path, entry.kind, status)

    def _report(self, inbox: Path, path: str, kind: Kind, status: os.stat_result) -> None:
        if not self._sightings.claim(path, status):
            return
        if kind is Kind.JOB:
            self._post(JobFileSettled(Path(path), inbox))
        elif status.st_size:
            self._post(AudioSettled(Path(path), inbox, Identity.of(status), supported=kind is Kind.AUDIO))
        else:  # a browser's place-holder for a long download; what follows is reported when it is there
            self._notices.say("info", "an audio file is empty; it is left alone until something is in it", path=path)

    def _irregular(self, place: Place, path: str, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode):
            message = "a symbolic link in an inbox is not followed; drop the file itself"
        elif stat.S_ISDIR(status.st_mode):
            return
        else:
            message = "this is no regular file and is left alone"
        self._notices.say_once(f"link {path}", "warning", message, place, path=path)
