"""Events or polling: which of the two an inbox gets, why, and what is said about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Container
from pathlib import Path

from daemon.inbox import filesystem
from daemon.inbox.places import Notices, Place, stamp
from daemon.inbox.watcher import Change, Watcher

POLL_S = 3.0
"""Between two looks into a folder whose filesystem tells nothing."""

INSTANCES = "no inotify instance is free (raise the limit: sysctl fs.inotify.max_user_instances=512)"
WATCHES = "no inotify watch is free (raise the limit: sysctl fs.inotify.max_user_watches=524288)"


class Arming:
    """Holds the watcher, if there can be one, and arms folders with it. Used by the scanner's thread only."""

    def __init__(
        self, wish: str, changed: Callable[[Path, str, str, Change], None], overflow: Callable[[], None], notices: Notices,
    ) -> None:  # fmt: skip
        self._wish = wish
        self._changed = changed
        self._overflow = overflow
        self._notices = notices
        self._watcher: Watcher | None = None
        self._lack: str | None = None

    @property
    def is_dead(self) -> bool:
        return self._watcher is not None and not self._watcher.is_alive

    def start(self) -> None:
        """Have a living watcher, if one is wanted and the kernel gives it."""
        if self._wish == "poll" or (self._watcher is not None and self._watcher.is_alive):
            return
        if self._watcher is not None:
            self._notices.say("error", "the watcher of the inboxes died; it is started again")
            self._watcher = None
        try:
            self._watcher = Watcher(self._changed, self._overflow)
            self._lack = None
        except OSError as error:
            self._lack = INSTANCES if error.errno == errno.EMFILE else f"the kernel's events cannot be had: {error.strerror}"

    def examine(self, place: Place, folder: str, status: os.stat_result) -> None:
        """Learn what kind of filesystem a folder lies on, once for each that is met in an inbox."""
        if status.st_dev in place.devices:
            return
        place.devices.add(status.st_dev)
        place.shared = place.shared or filesystem.shared_kind(folder)

    def arm(self, place: Place, folder: str, status: os.stat_result) -> None:
        """Have the kernel tell of changes in `folder`, if this inbox is to have events."""
        if not self._wants_events(place) or self._watcher is None or place.lack or self._watcher.is_armed(folder, status):
            return
        try:
            self._watcher.arm(folder, place.path, status)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            place.lack = WATCHES

    def is_armed(self, place: Place, status: os.stat_result) -> bool:
        return self._watcher is not None and self._watcher.is_armed(place.root, status)

    def conclude(self, place: Place) -> None:
        """After folders were armed: whether they are watched or polled now, and say so when it changed."""
        lack = place.lack or self._lack
        how = "events" if self._wants_events(place) and not lack else "poll"
        if how == place.how:
            return
        place.how, place.since = how, stamp()
        every = f"it is looked through every {POLL_S:g} s"
        if how == "events":
            self._notices.say("info", "the kernel's events can be had again; the inbox is no longer polled", place)
        elif self._wish == "poll":
            self._notices.say("info", f"the inbox is polled, as `watch: poll` says: {every}", place)
        elif lack and self._wants_events(place):
            self._notices.say("warning", f"the inbox is polled: {lack}; until then {every}", place)
        else:
            self._notices.say("warning", f"the inbox is polled: {place.shared} tells nothing of what others do there; {every}", place)

    def _wants_events(self, place: Place) -> bool:
        return self._wish == "events" or (self._wish == "auto" and place.shared is None)

    def keep_only(self, visited: Container[str]) -> None:
        if self._watcher is not None:
            self._watcher.keep_only(visited)

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
