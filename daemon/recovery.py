"""The first thing at every start: what the last life left unfinished is put in order, from the ledger alone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import structlog

from daemon.adoption import adopt, read_manifest
from daemon.core import Core
from daemon.jobs import DONE, ENDED, PUBLISHING
from daemon.lane import WORKER_MARK
from daemon.processes import boot_id, start_ticks
from daemon.progress import Progress
from daemon.publication import Publication
from daemon.reports import Reports

log = structlog.get_logger()

ORPHANS_GO_WITHIN_S = 10.0


class Recovery:
    """Kills orphans, gives running steps back, finishes publishing, sweeps. Called once, before the first scan."""

    def __init__(self, core: Core, reports: Reports, progress: Progress, publication: Publication) -> None:
        self.core = core
        self.reports = reports
        self.progress = progress
        self.publication = publication

    def kill_orphans(self) -> None:
        """End workers of a daemon that was killed. They are known by pid, start time and boot, never by a clock."""
        here = boot_id()
        rows = self.core.ledger.rows(
            "SELECT DISTINCT worker_pid, worker_start, boot_id FROM attempts WHERE outcome IS NULL"
        )
        home = str(self.core.settings.paths.home)
        living = [
            pid
            for row in rows
            if row["boot_id"] == here
            for pid in _group(row["worker_pid"])
            if (pid == row["worker_pid"] and start_ticks(pid) == row["worker_start"]) or _is_of(home, pid)
        ]
        for pid in living:
            log.warning("killing a process that outlived its daemon", pid=pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + ORPHANS_GO_WITHIN_S
        while any(_alive(pid) for pid in living) and time.monotonic() < until:
            time.sleep(0.02)

    def mend(self) -> None:
        """Inside a transaction: bring every unfinished job back onto its way."""
        ledger = self.core.ledger
        for attempt in ledger.rows("SELECT id, run_id FROM attempts WHERE outcome IS NULL"):
            self.reports.end_attempt(
                attempt["id"], attempt["run_id"], "interrupted", message="the daemon ended while this ran"
            )
        for job in ledger.rows(f"SELECT id, state FROM jobs WHERE state NOT IN {ENDED}"):
            folder = self.core.outbox.folder_of(job["id"], DONE)
            if job["state"] == PUBLISHING:
                self.publication.renames.append(job["id"])
            elif manifest := read_manifest(folder):
                # The ledger is older than the outbox: it was put back from a backup.
                log.warning("published already, by a daemon that this ledger does not know of", job_id=job["id"])
                adopt(ledger, folder, manifest)
            elif job["state"] != "waiting":
                self.progress.job_may_be_over(job["id"])

    def sweep(self) -> None:
        """Remove staging that no unfinished or retryable job owns. On the errands thread."""
        for job_id in self.core.outbox.staged_jobs():
            job = self.core.ledger.row("SELECT * FROM jobs WHERE id = ?", job_id)
            if job is None:
                self.core.errands.send(lambda ledger, job_id=job_id: self.core.outbox.clear_staging(job_id))
            elif job["state"] == DONE:
                # Its staging goes last: while it is there, copies may not have been delivered.
                self.core.messenger.send(lambda ledger, job=job: self.publication.hand_out(ledger, job))


def _group(number: int) -> list[int]:
    """The processes of a group, its leader among them; the group outlives a leader whose children live on."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.getpgid(int(name)) == number:
                found.append(int(name))
    return found


def _is_of(home: str, pid: int) -> bool:
    """Whether a process descends from a worker of this installation: it has inherited the mark in its environment."""
    try:
        return f"{WORKER_MARK}={home}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _zombie(pid)


def _zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True
