"""What the kernel tells about folders, through watchdog's inotify reader.

`InotifyFD` and not watchdog's Observer: the Observer pairs every move with its other half by searching its queue,
holds half-moves back for 0.5 s, and cannot leave out the folders that we move files into ourselves. 10,000 renames
into an inbox, each moved on to accepted/, took it 2.7 s with 2.8 s of CPU time; like this they take 0.5 s and 0.7 s.
The reader also tells of an overflow by a call, where the Observer only logs it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Container
from enum import Enum
from pathlib import Path

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

_MASK = Mask(
    InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_CREATE | InotifyConstants.IN_ONLYDIR
)


class Change(Enum):
    WRITTEN = "closed after writing, or moved here"
    CREATED = "a new name; its content may be still to come, or already there (a hard link)"
    FOLDER = "a folder was made or moved here"


class _Folder:
    """One watched folder: what the reader calls back."""

    def __init__(self, watcher: Watcher, path: str, inbox: Path, status: os.stat_result) -> None:
        self.watcher = watcher
        self.path = path
        self.inbox = inbox
        self.key = (status.st_dev, status.st_ino)

    def on_event(self, event: InotifyEvent) -> None:
        if not event.name:  # about the folder itself
            return
        change = Change.CREATED if event.is_create else Change.WRITTEN
        self.watcher.changed(self.inbox, self.path, os.fsdecode(event.name), Change.FOLDER if event.is_directory else change)

    def on_watch_deleted(self, descriptor: WatchDescriptor) -> None:
        self.watcher.lost(descriptor, self)

    def on_queue_overflow(self) -> None:
        self.watcher.overflowed()


class Watcher:
    """Watches folders one by one; whoever walks the tree arms each folder before listing it.

    Parameters
    ----------
    changed
        Called on the reader's thread with inbox, folder, name and what happened. Must not raise.
    overflow
        Called there once for each overflow: events were lost, and everything must be looked through again.
    """

    def __init__(self, changed: Callable[[Path, str, str, Change], None], overflow: Callable[[], None]) -> None:
        self.changed = changed
        self._overflow = overflow
        self._lock = threading.Lock()
        self._folders: dict[str, _Folder] = {}
        self._by_descriptor: dict[WatchDescriptor, _Folder] = {}
        self._reader = InotifyFD()  # OSError EMFILE when the user has no inotify instance left
        self._reader.start()

    @property
    def is_alive(self) -> bool:
        return self._reader.is_alive()

    @property
    def folders(self) -> int:
        """How many folders are watched."""
        return len(self._folders)

    def is_armed(self, path: str, status: os.stat_result) -> bool:
        folder = self._folders.get(path)
        return folder is not None and folder.key == (status.st_dev, status.st_ino)

    def arm(self, path: str, inbox: Path, status: os.stat_result) -> None:
        """Watch a folder from now on.

        Raises
        ------
        OSError
            ENOSPC when no more watches are allowed; others when the folder is gone or may not be read.
        """
        folder = _Folder(self, path, inbox, status)
        with self._lock:
            self._folders[path] = folder  # before the kernel knows of it: its end may be told at once
        follow = path == os.fspath(inbox)  # a configured folder may be a link, one that is found may not
        mask = _MASK if follow else Mask(_MASK | InotifyConstants.IN_DONT_FOLLOW)
        try:
            descriptor = self._reader.add_callback(os.fsencode(path), mask, folder, CallbackId(id(folder)))
            if descriptor == -1:  # watchdog keeps quiet about EACCES
                raise PermissionError(13, "may not be read", path)
        except OSError:
            with self._lock:
                if self._folders.get(path) is folder:
                    del self._folders[path]
            raise
        with self._lock:
            former = self._by_descriptor.get(descriptor)
            self._by_descriptor[descriptor] = folder
            if former and self._folders.get(former.path) is former:
                del self._folders[former.path]
        if former:  # the folder was renamed, or armed again after an overflow: the kernel gives the same watch
            self._reader.remove_callbacks([(descriptor, CallbackId(id(former)))])

    def keep_only(self, visited: Container[str]) -> None:
        """Stop watching what a walk through all inboxes has not come by: folders moved away or deleted."""
        with self._lock:
            gone = [
                (descriptor, folder)
                for descriptor, folder in self._by_descriptor.items()
                if folder.path not in visited or self._folders.get(folder.path) is not folder
            ]
            for descriptor, folder in gone:
                del self._by_descriptor[descriptor]
                if self._folders.get(folder.path) is folder:
                    del self._folders[folder.path]
        self._reader.remove_callbacks([(descriptor, CallbackId(id(folder))) for descriptor, folder in gone])

    def lost(self, descriptor: WatchDescriptor, folder: _Folder) -> None:
        """The kernel has ended a watch: its folder is no more."""
        with self._lock:
            if self._by_descriptor.get(descriptor) is folder:
                del self._by_descriptor[descriptor]
            if self._folders.get(folder.path) is folder:
                del self._folders[folder.path]

    def overflowed(self) -> None:
        """Called for each folder; the first call arms none of them, so that the walk to come arms all again."""
        with self._lock:
            if not self._folders:
                return
            self._folders.clear()
        self._overflow()

    def stop(self) -> None:
        self._reader.stop()
        self._reader.join(5)
