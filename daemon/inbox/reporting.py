"""One file at a time: told of or found, asked about at the gate, reported once it is complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from daemon.events import AudioSettled, Event, Identity, JobFileSettled
from daemon.inbox import gate
from daemon.inbox.gate import Verdict
from daemon.inbox.names import Kind
from daemon.inbox.places import Notices, Place
from daemon.inbox.sightings import Sightings, Unfinished, version_of


class Reporter:
    """Posts JobFileSettled and AudioSettled, once for each version of a file."""

    def __init__(
        self, post: Callable[[Event], None], known_audio: Callable[[Path, Identity], bool], sightings: Sightings, notices: Notices,
    ) -> None:  # fmt: skip
        self._post = post
        self._known_audio = known_audio
        self._sightings = sightings
        self._notices = notices

    def told(self, place: Place, path: str, kind: Kind) -> None:
        """The kernel said that it was closed after writing, or moved here: it is complete, unless it is empty.

        An empty file is a place-holder: of a browser, for what it still downloads, or of an editor.
        """
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            self.irregular(place, path, status)
        elif status.st_size == 0 or place.shared:
            self._sightings.await_end(path, Unfinished(place, kind))
        else:
            self._report(place, path, kind, status)

    def found(self, place: Place, path: str, kind: Kind, status: os.stat_result) -> None:
        """A scan came by it."""
        if not stat.S_ISREG(status.st_mode):
            self.irregular(place, path, status)
            return
        if self._sightings.is_reported(path, status):
            return
        if kind is not Kind.JOB and self._known_audio(Path(path), Identity.of(status)):
            self._sightings.claim(path, status)
            return
        self.judge(place, path, kind)

    def judge(self, place: Place, path: str, kind: Kind) -> None:
        """Report it if nobody has it open for writing, else look again every second."""
        verdict, status = gate.ask(path)
        if verdict is Verdict.IRREGULAR:
            self.irregular(place, path, status)
        elif verdict is Verdict.COMPLETE and status.st_size and not place.shared:
            self._report(place, path, kind, status)
        else:
            self._sightings.await_end(path, Unfinished(place, kind))

    def look_again(self, path: str, entry: Unfinished, now: float, settle: float) -> None:
        """A second later, at a file that was not complete. Without the kernel's word it is after `settle` s unchanged."""
        try:
            verdict, status = gate.ask(path)
        except OSError:
            self._sightings.drop(path)
            return
        local = entry.place.shared is None
        if verdict is Verdict.IRREGULAR:
            self._sightings.drop(path)
        elif verdict is Verdict.COMPLETE and status.st_size and local:
            self._report(entry.place, path, entry.kind, status)
        elif verdict is Verdict.WRITING and local:
            entry.unchanged_since = None
        elif entry.version != version_of(status) or entry.unchanged_since is None or now < entry.unchanged_since:
            entry.version, entry.unchanged_since = version_of(status), now
        elif now - entry.unchanged_since >= settle:
            self._report(entry.place, path, entry.kind, status)

    def irregular(self, place: Place, path: str, status: os.stat_result) -> None:
        """Say once about a name that looks like one for us what is wrong with it."""
        if stat.S_ISLNK(status.st_mode):
            message = "a symbolic link in an inbox is not followed; drop the file itself"
        elif stat.S_ISDIR(status.st_mode):
            return
        else:
            message = "something in an inbox is no regular file and is left alone"
        self._notices.say_once(f"irregular {path}", "warning", message, place, path=path)

    def _report(self, place: Place, path: str, kind: Kind, status: os.stat_result) -> None:
        if not self._sightings.claim(path, status):
            return
        if kind is Kind.JOB:
            self._post(JobFileSettled(Path(path), place.path))
        elif status.st_size:
            self._post(AudioSettled(Path(path), place.path, Identity.of(status), supported=kind is Kind.AUDIO))
        else:
            self._notices.say("info", "an audio file is empty; it is left alone until something is in it", place, path=path)
