"""The outbox: where work is staged, and from where it is published whole or not at all.

Staging lies in the outbox itself, so that publishing is one rename on one filesystem. A marker file tells the outbox
from the bare folder a drive is usually mounted on.
"""

from __future__ import annotations

import ctypes
import grp
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from daemon import manifest, pages
from daemon.jobs import ENDED
from daemon.settings_model import Settings

log = structlog.get_logger()

MARKER = ".drophammer-outbox"
PUBLISH = ".publish"
WORK = "work"
"""In a finished job's folder: the working folders of a job that keeps them."""
SYNC_WHOLE_FROM = 4
"""Assembling this many jobs at once, one flush of the filesystem costs less than one of every file."""


class Lost(Exception):
    """Finished files are not in staging any more; nothing of the job was moved."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(f"{', '.join(paths)}: gone from the outbox's .staging folder since it was finished")
        self.paths = paths


class Outbox:
    """The folders of finished and unfinished work."""

    def __init__(self, settings: Settings, version: str) -> None:
        self.configure(settings)
        self.version = version
        self.host = manifest.host_facts()

    def configure(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.paths.outbox
        self.staging = settings.paths.staging

    def open(self, *, known: bool) -> None:
        """Make the folders. `known`: the ledger has published here before, so a missing marker is not ours to write."""
        if known and not (self.root / MARKER).exists():
            return
        self.staging.mkdir(parents=True, exist_ok=True)
        make_shared(self.settings, self.settings.paths.failed)
        marker = self.root / MARKER
        if not marker.exists():
            marker.write_text(
                "Drophammer publishes into this folder. Without this file it would take it for a drive that is not there.\n"
            )
        self.sync()

    def obstacle(self) -> str | None:
        """Why nothing can be published or staged now, in words for people; None when all is well."""
        try:
            return self._obstacle()
        except OSError as error:  # A drive that was pulled out answers with errors of its own.
            return f"{self.root} cannot be read: {error.strerror}"

    def _obstacle(self) -> str | None:
        if not (self.root / MARKER).exists():
            return f"{self.root / MARKER} is not there: is the drive mounted? If this is the right folder: touch {self.root / MARKER}"
        if not os.access(self.root, os.W_OK):
            return f"{self.root} cannot be written"
        disk = os.statvfs(self.root)
        free = disk.f_bavail * disk.f_frsize
        if free < self.settings.min_free:
            return f"{free >> 20} MiB free on the outbox's disk, {self.settings.min_free >> 20} MiB are kept free (min_free)"
        return None

    def folder_of(self, job_id: str, state: str) -> Path:
        return self.root / job_id if state == "done" else self.settings.paths.failed / job_id

    def place_of(self, artifact: sqlite3.Row) -> Path:
        """Where a finished file lies now; the row says its job's state as `job_state`."""
        if artifact["job_state"] in ENDED:  # By today's configuration: an outbox may have been moved.
            return self.folder_of(artifact["job_id"], artifact["job_state"]) / artifact["published"]
        return self.staging / artifact["path"]

    def attempt_folder(self, job_id: str, step: str, run: int, attempt: int) -> Path:
        return self.staging / job_id / f"{step.replace('/', '.')}.{run:03d}.{attempt}"

    # --- on the errands thread ---

    def assemble(self, ledger: sqlite3.Connection, job_ids: Sequence[str]) -> dict[str, str | Lost | None]:
        """Build the folders to be published; what went wrong, or None, for each job. Everything is on the disk afterwards."""
        whole = len(job_ids) >= SYNC_WHOLE_FROM
        problems: dict[str, str | Lost | None] = {}
        ledger.execute("BEGIN")  # One view of the ledger for all: it is then read from memory.
        for job_id in job_ids:
            try:
                self._assemble(ledger, job_id, sync=not whole)
                problems[job_id] = None
            except Lost as lost:
                problems[job_id] = lost
            # A boundary, as the lane is one: what is wrong with one job must not keep the others from their folders.
            except Exception as error:
                problems[job_id] = f"{type(error).__name__}: {error}"
                log.exception("assembling failed", job_id=job_id)
        ledger.execute("COMMIT")
        if whole:
            try:
                self._sync_filesystem()
            except OSError as error:
                return dict.fromkeys(job_ids, f"{type(error).__name__}: {error}")
        return problems

    def _assemble(self, ledger: sqlite3.Connection, job_id: str, *, sync: bool) -> None:
        """Doing it again, also after half of it was done, gives the same folder."""
        folder = self.staging / job_id / PUBLISH
        folder.mkdir(parents=True, exist_ok=True)
        facts = manifest.build(ledger, job_id, host=self.host, version=self.version)
        # A job that did not succeed may be retried, and must find its finished items in staging then.
        place = _move if facts["job"]["state"] == "done" else _link
        files = ledger.execute("SELECT path, published FROM artifacts WHERE job_id = ?", (job_id,)).fetchall()
        lost = [path for path, name in files if not (self.staging / path).exists() and not (folder / name).exists()]
        if lost:
            raise Lost(lost)
        for name in {os.path.dirname(published) for _, published in files}:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for path, published in files:
            place(self.staging / path, folder / published)
        if place is _move:
            self._keep_work(ledger, job_id, folder / WORK)
        rows = ledger.execute("SELECT at, level, event, facts FROM events WHERE job_id = ? ORDER BY id", (job_id,))
        lines = "".join(
            json.dumps({"at": at, "level": level, "event": event, **json.loads(more)}) + "\n"
            for at, level, event, more in rows
        )
        write(folder / "job.yaml", facts["job"]["document"])
        write(folder / "manifest.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        write(folder / "log.jsonl", lines)
        pages.write(folder, facts, outbox=self._as_typed())
        everything = [folder, *folder.rglob("*")]
        give(self.settings, *everything)
        if sync:
            for path in reversed(everything):
                sync_path(path)

    def _keep_work(self, ledger: sqlite3.Connection, job_id: str, target: Path) -> None:
        """Publish what is left in the working folders of a job that asks for it (`keep_work`)."""
        query = "SELECT attempts.folder FROM attempts JOIN jobs ON jobs.id = job_id WHERE job_id = ? AND keep_work = 1"
        for (name,) in ledger.execute(query, (job_id,)).fetchall():
            source = self.staging / name
            if source.is_dir() and any(source.iterdir()):
                target.mkdir(exist_ok=True)
                os.rename(source, target / source.name)

    def _as_typed(self) -> str:
        """The outbox as a person in the installation's folder types it."""
        home = self.settings.paths.home
        return str(self.root.relative_to(home) if self.root.is_relative_to(home) else self.root)

    def _sync_filesystem(self) -> None:
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), "syncfs failed", str(self.root))
        finally:
            os.close(descriptor)

    def clear(self, job_id: str) -> None:
        """Remove what a published job has left in staging, and the failed try that it has made good."""
        self.clear_staging(job_id)
        failed = self.settings.paths.failed / job_id
        if failed.exists():
            shutil.rmtree(failed, ignore_errors=True)

    def clear_staging(self, job_id: str) -> None:
        folder = self.staging / job_id
        try:
            for name in os.listdir(folder):
                os.rmdir(folder / name)  # Of a job that went well only empty folders are left.
            os.rmdir(folder)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)

    def set_aside(self, job_id: str) -> str:
        """Take a job's staging from it at once, so that a retry cannot find it half removed; returns its new name."""
        os.rename(self.staging / job_id, self.staging / f".gone-{job_id}")
        return f".gone-{job_id}"

    def staged_jobs(self) -> list[str]:
        try:
            return [entry.name for entry in os.scandir(self.staging) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    # --- on the main thread: same-folder renames only ---

    def publish(self, job_id: str, state: str) -> Path:
        """Make a job's folder visible, whole. Doing it again changes nothing, and what is done is never replaced."""
        source, target = self.staging / job_id / PUBLISH, self.folder_of(job_id, state)
        if source.exists() and not (state == "done" and target.exists()):
            if target.exists():  # A failed job that was retried and failed again.
                os.rename(target, self.staging / job_id / f".old-{os.stat(target).st_ino}")
            make_shared(self.settings, target.parent)  # People clean up failed/ by removing it.
            os.rename(source, target)
        return target

    def point_latest(self, job_id: str) -> None:
        """Let `latest` lead to a job that is done. A file of that name which is no link of ours is left alone."""
        link, new = self.root / "latest", self.root / ".latest"
        if not link.is_symlink() and link.exists():
            return
        try:
            new.unlink(missing_ok=True)
            new.symlink_to(job_id)
            os.replace(new, link)
        except OSError as error:  # A filesystem without links, such as exFAT. The job is published all the same.
            log.warning("`latest` cannot be pointed at the newest job", job_id=job_id, error=str(error))

    def sync(self) -> None:
        """Make renames durable."""
        for folder in (self.root, self.settings.paths.failed):
            if folder.exists():
                sync_path(folder)


def write(path: Path, text: str) -> None:
    """Write a small text file; what UTF-8 cannot hold (a file name's stray bytes) is shown as `?`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(text.encode(errors="replace"))
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _move(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except FileNotFoundError:
        if not target.exists():
            raise


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError:
        shutil.copyfile(source, target)  # A filesystem without hard links, such as exFAT.


def sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give(settings: Settings, *paths: Path) -> None:
    """Let the person's group (`group:`) have what the daemon made, so that its members can delete it."""
    if settings.group is None:
        return
    try:
        number = grp.getgrnam(settings.group).gr_gid
        for path in paths:
            os.chown(path, -1, number)
    except (KeyError, PermissionError) as error:
        log.warning("not given to the group", group=settings.group, path=str(paths[0]), error=str(error))


def make_shared(settings: Settings, folder: Path) -> None:
    """Make a folder whose entries the person's group may delete, if it is not there."""
    if not folder.exists():
        folder.mkdir()
        give(settings, folder)


def deliver(folder: Path, files: Sequence[tuple[Path, str]], clash: Callable[[Path], Any]) -> list[Path]:
    """Copy published files into a person's folder, each whole or not at all, never over another file.

    Parameters
    ----------
    files
        Source and name in `folder`; the name may begin with folders.
    clash
        Called with a target that exists with other content; that file is left alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    placed = []
    for source, name in files:
        target = folder / name
        part = target.with_name(f".{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if not _same_content(source, target):
                clash(target)
            continue
        shutil.copyfile(source, part)
        sync_path(part)
        try:
            os.link(part, target)
        except FileExistsError:
            clash(target)
        except OSError:
            os.rename(part, target)
        part.unlink(missing_ok=True)
        placed.append(target)
    for changed in {folder, *(target.parent for target in placed)}:
        sync_path(changed)
    return placed


def _same_content(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while block := first.read(1 << 20):
            if block != second.read(1 << 20):
                return False
    return True
