"""One daemon per installation: a kernel lock on `state/daemon.lock`, freed by any death. The file names its holder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

NAMED_WITHIN_S = 2.0


class AlreadyRunning(Exception):
    """Another daemon holds this installation; the message names it."""


class DaemonLock:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self) -> None:
        """Take the lock or say who has it.

        Raises
        ------
        AlreadyRunning
            With the holder's process id.
        """
        # Opened without truncation: the holder's pid must stay readable.
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"a daemon is already running here: process {self._holder()} (lock {self.path})"
            ) from None
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)

    def _holder(self) -> str:
        """Who has it. One that has only just taken it writes its name next; until then a dead one's name stands there."""
        assert self.descriptor is not None
        until = time.monotonic() + NAMED_WITHIN_S
        while True:
            holder = os.pread(self.descriptor, 32, 0).decode(errors="replace").strip()
            if os.path.exists(f"/proc/{holder or 'none'}"):
                return holder
            if time.monotonic() >= until:
                return "unknown"
            time.sleep(0.01)

    def release(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
