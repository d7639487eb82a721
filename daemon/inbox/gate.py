"""Is a file complete? The kernel knows whether anybody has it open for writing: it then refuses a read lease.

The lease (`F_SETLEASE`, fcntl(2)) is given back at once. Should a writer come within those microseconds, the kernel
lets it wait until then and sends us a signal: SIGURG, which is ignored by default, in place of SIGIO, which kills.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import time
from enum import Enum
from pathlib import Path

from daemon.inbox import filesystem

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""No link followed, no waiting for the other end of a FIFO."""


class Verdict(Enum):
    COMPLETE = "nobody has it open for writing"
    WRITING = "somebody has it open for writing"
    UNKNOWN = "the kernel cannot say: not our file, or a filesystem without leases"
    IRREGULAR = "not a regular file"


def ask(path: str) -> tuple[Verdict, os.stat_result]:
    """Ask the kernel about one file; the second value is its state at that moment.

    Raises
    ------
    OSError
        FileNotFoundError when it is gone; others as the disk has them.
    """
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):  # before opening: opening a device can have effects
        return Verdict.IRREGULAR, status
    try:
        descriptor = os.open(path, READ_FLAGS)
    except PermissionError:
        return Verdict.UNKNOWN, status
    except BlockingIOError:  # somebody holds a lease of their own: a file server, for a client that writes
        return Verdict.WRITING, status
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Verdict.IRREGULAR, status
        return _ask_for_lease(descriptor)
    finally:
        os.close(descriptor)


def _ask_for_lease(descriptor: int) -> tuple[Verdict, os.stat_result]:
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return Verdict.WRITING, os.fstat(descriptor)
    except OSError:  # EACCES: owned by another user; EINVAL: no leases on this filesystem
        return Verdict.UNKNOWN, os.fstat(descriptor)
    try:
        return Verdict.COMPLETE, os.fstat(descriptor)
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def is_complete(path: Path, settle: float) -> bool:
    """Whether a file that a job names can be read now.

    A link is followed: whether it may be is not asked here. Where the kernel cannot say, a file counts as complete once
    it has not changed for `settle` seconds of wall-clock time.

    Raises
    ------
    OSError
        When it is not there.
    """
    real = os.path.realpath(path)
    verdict, status = ask(real)
    if filesystem.shared_kind(os.path.dirname(real)) is None and verdict in (Verdict.COMPLETE, Verdict.WRITING):
        return verdict is Verdict.COMPLETE
    return time.time() - max(status.st_mtime, status.st_ctime) >= settle
