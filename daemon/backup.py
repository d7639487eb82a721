"""Copies of what cannot be made again: the ledger, the accepted job files, the configuration; and the way back.

A backup is made at any time, with the daemon up or down. Restoring needs the daemon to be down. Recordings and finished
work are not in it: they are large, and are files that any other backup takes.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from daemon.adoption import adopt, published
from daemon.jobs import ENDED, ID_PATTERN, timestamp
from daemon.ledger import Ledger, LedgerError, open_readonly
from daemon.lock import DaemonLock
from daemon.outbox import sync_path
from daemon.settings import Paths

LEDGER, ACCEPTED, CONFIG = "ledger.sqlite3", "accepted", "config"


def back_up(paths: Paths, target: Path) -> None:
    """Write a backup into `target`, a folder that is not there yet. It appears whole or not at all.

    Raises
    ------
    FileExistsError
        When `target` is there already.
    LedgerError
        When there is no ledger, or what was copied is damaged.
    """
    if target.exists():
        raise FileExistsError(17, "is there already; name a folder that is not", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    try:
        with closing(open_readonly(paths)) as source, closing(sqlite3.connect(part / LEDGER)) as copy:
            source.backup(copy)  # One moment of the ledger, whatever is written meanwhile.
            copy.execute("PRAGMA journal_mode = DELETE")  # One file, without a write-ahead log beside it.
        check(part / LEDGER)
        # After the ledger: a job accepted meanwhile is in accepted/ then, and is dropped again by `restore`.
        for number, inbox in enumerate(paths.inboxes, 1):
            (part / ACCEPTED / str(number)).mkdir(parents=True)
            for file in accepted_files(inbox):
                try:
                    shutil.copy2(file, part / ACCEPTED / str(number) / file.name)
                except FileNotFoundError:
                    continue  # Somebody tidies up.
        if paths.config.is_dir():
            shutil.copytree(paths.config, part / CONFIG)
        for path in (*part.rglob("*"), part):
            sync_path(path)
        part.rename(target)
        sync_path(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check(ledger: Path) -> None:
    """Refuse a copy that is no sound ledger."""
    try:
        with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
            damage = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
            connection.execute("SELECT count(*) FROM jobs")
    except sqlite3.Error as error:
        damage = [str(error)]
    if damage:
        raise LedgerError(f"{ledger}: the ledger is damaged ({'; '.join(damage)}); nothing was changed")


@dataclass
class Restored:
    """What a restored ledger was told besides."""

    aside: Path | None = None
    """Where the former ledger went."""
    adopted: int = 0
    """Published jobs that it did not know as done."""
    dropped_again: int = 0
    """Accepted files of jobs that it does not know and that were not published."""
    left: int = 0
    """Of those, how many failed or were cancelled since, or (without a backup) may be long done with: not dropped."""


def restore(paths: Paths, backup: Path | None, now: datetime) -> Restored:
    """Put a backup's ledger in place, or, without one, an empty ledger; then tell it what was published since.

    Raises
    ------
    AlreadyRunning
        While a daemon runs here.
    LedgerError
        When the backup's ledger cannot be used; nothing was changed then.
    """
    if backup is not None:
        check(backup / LEDGER)
    paths.state.mkdir(parents=True, exist_ok=True)
    lock = DaemonLock(paths.lock)
    lock.take()
    try:
        result = Restored(_set_aside(paths.ledger, now))
        if backup is not None:
            shutil.copyfile(backup / LEDGER, paths.ledger)
        with closing(Ledger(paths.ledger)) as ledger:
            with ledger.transaction(durable=True):
                # What came due since the backup was made may have run: it is not made up for.
                ledger.connection.execute("UPDATE schedules SET since = ?", (timestamp(now),))
                for folder, manifest in published(paths.outbox):
                    if ledger.value("SELECT state FROM jobs WHERE id = ?", folder.name) not in ENDED:
                        adopt(ledger, folder, manifest)
                        result.adopted += 1
            _drop_again(paths, backup, ledger, result)
        return result
    finally:
        lock.release()


def _set_aside(ledger: Path, now: datetime) -> Path | None:
    """Move the ledger away, with the files that belong to it: they must not be read into another."""
    aside = ledger.with_name(f"{ledger.stem}-until-{now.astimezone(UTC):%Y%m%d-%H%M%S}{ledger.suffix}")
    found = None
    for suffix in ("", "-wal", "-shm"):
        file = ledger.with_name(ledger.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
            found = aside
    return found


def _drop_again(paths: Paths, backup: Path | None, ledger: Ledger, result: Restored) -> None:
    """Give accepted files that the ledger knows nothing of back to their inbox, under the ids they had."""
    known = {row["id"] for row in ledger.rows("SELECT id FROM jobs")}
    for number, inbox in enumerate(paths.inboxes, 1):
        for file in accepted_files(inbox):
            if file.stem in known:
                continue
            known.add(file.stem)
            if backup is None or (paths.failed / file.stem).exists():
                result.left += 1
                continue
            shutil.rmtree(paths.staging / file.stem, ignore_errors=True)
            file.rename(inbox / file.name)
            result.dropped_again += 1
        # The disk with the inbox may be gone too: then only the backup has them.
        for file in accepted_files(backup / ACCEPTED / str(number), "") if backup else ():
            if file.stem not in known:
                shutil.copyfile(file, inbox / f".{file.name}.part")
                (inbox / f".{file.name}.part").rename(inbox / file.name)
                result.dropped_again += 1


def accepted_files(inbox: Path, below: str = ACCEPTED) -> Iterator[Path]:
    """Job files that were accepted, oldest first."""
    try:
        names = sorted(os.listdir(inbox / below))
    except FileNotFoundError:
        return
    yield from (inbox / below / name for name in names if name.endswith(".yaml") and ID_PATTERN.fullmatch(name[:-5]))
