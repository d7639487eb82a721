"""Reading a dropped job file: from one descriptor, without following a link, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from daemon.events import Identity
from daemon.inbox.gate import READ_FLAGS

LARGEST_BYTES = 64 * 1024


class NotSettled(Exception):
    """The file changed while it was read; it will be reported again."""


def take(path: Path, inbox: Path) -> tuple[bytes, Identity]:
    """Read a job file that lies below `inbox`.

    Every folder on the way is opened in turn, so that none of them can be a link that leads elsewhere.

    Returns
    -------
    text, identity
        Its bytes, and which version of which file they are, `sha256` included.

    Raises
    ------
    NotSettled
        It changed between the first and the last byte.
    FileNotFoundError
        It is gone.
    ValueError
        It is nothing that can be a job file: a link, a FIFO, a device, or over 64 KiB. The message says which.
    OSError
        It cannot be read.
    """
    descriptor = _open_below(inbox, path.relative_to(inbox).parts)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise ValueError("it is not a regular file; a job file is plain text")
        if before.st_size > LARGEST_BYTES:
            raise ValueError(f"it is {before.st_size:,} bytes; a job file has at most {LARGEST_BYTES:,} (64 KiB)")
        text = b""
        while len(text) <= LARGEST_BYTES and (piece := os.read(descriptor, LARGEST_BYTES + 1 - len(text))):
            text += piece
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if len(text) != before.st_size or not Identity.of(before).same_file(Identity.of(after)):
        raise NotSettled(f"{path} changed while it was read")
    return text, Identity.of(after, hashlib.sha256(text).hexdigest())


def _open_below(inbox: Path, parts: tuple[str, ...]) -> int:
    folder = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, READ_FLAGS | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        if stat.S_ISLNK(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode):
            raise ValueError("it is a symbolic link, and links are not followed; drop the file itself")
        return os.open(parts[-1], READ_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
