"""Dropping a job file: an id is picked, and the file appears in the inbox whole, under a name nobody else has.

The daemon need not run. The id is the file's name, and intake keeps it: what is printed here is what it will be called.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli.failure import NO, CommandError
from daemon.cli.jobview import open_ledger, pending_jobs
from daemon.jobs import make_id, slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.documents import Document
    from daemon.settings import Paths, Settings

STDIN = "-"
LARGEST = 64 * 1024
TRIES = 1000


def read_text(file: str) -> bytes:
    """A job file's bytes, `-` for stdin; one byte more than allowed at most, so that the reader can refuse it."""
    if file == STDIN:
        return sys.stdin.buffer.read(LARGEST + 1)
    with open(file, "rb") as stream:
        return stream.read(LARGEST + 1)


def default_name(file: str) -> str:
    return "job" if file == STDIN else slug(Path(file).stem)


def read_documents(files: Sequence[str], settings: Settings) -> list[tuple[bytes, Document]]:
    """Read every file by the reader that the daemon uses.

    Raises
    ------
    CommandError
        With all problems of all files.
    """
    from daemon import documents
    from handlers.registry import load_registry

    registry = load_registry(settings.handlers)
    good: list[tuple[bytes, Any]] = []
    bad: list[str] = []
    for file in files:
        text = read_text(file)
        try:
            good.append((text, documents.read(text, registry, settings, default_name=default_name(file))))
        except documents.DocumentError as error:
            bad.append(f"{file}: nothing was submitted\n{error}")
    if bad:
        raise CommandError("\n".join(bad), NO)
    return good


def next_number(paths: Paths) -> int:
    """One more than any job has, taken or not."""
    connection = open_ledger(paths)
    taken = connection.execute("SELECT coalesce(max(number), 0) FROM jobs").fetchone()[0] if connection else 0
    return 1 + max([taken, *(int(job.id.rpartition("-")[2]) for job in pending_jobs(paths))])


def drop(paths: Paths, text: bytes, name: str, now: datetime | None = None) -> str:
    """Put a job file into the first inbox, atomically and durably; returns its id."""
    inbox = paths.inboxes[0]
    if not inbox.is_dir():
        raise CommandError(
            f"{inbox}: the inbox is not there; make it, or correct `inboxes` in {paths.config / 'drophammer.yaml'}"
        )
    number = next_number(paths)
    for step in range(TRIES):
        job_id = make_id(now or datetime.now(UTC), name, number + step)
        part, target = inbox / f".{job_id}.tmp", inbox / f"{job_id}.yaml"
        try:
            _write(part, text)
        except FileExistsError:
            continue  # Another submission is at this very id.
        try:
            _rename_new(part, target)
        except FileExistsError:
            continue
        finally:
            part.unlink(missing_ok=True)
        _sync(inbox)
        return job_id
    raise CommandError(f"{inbox}: no free id among {TRIES}; what fills this folder?")


def _write(path: Path, text: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _rename_new(source: Path, target: Path) -> None:
    """Give a file its final name in one step; FileExistsError when the name is taken."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # A filesystem without hard links, such as exFAT.
        if target.exists():
            raise FileExistsError(target) from None
        os.rename(source, target)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
