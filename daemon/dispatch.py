"""From a queued run to a worker: which one is next, what it reads, and the attempt on record before it hears of it."""

from __future__ import annotations

import json
import sqlite3
from functools import partial
from typing import Any

import structlog

from daemon.core import Core
from daemon.documents.references import ReferenceRefused, resolve
from daemon.execution import Request
from daemon.jobs import BACKOFF_CEILING_S, DONE, RUNNING, later, timestamp
from daemon.lane import Lane, Worker
from daemon.processes import boot_id

log = structlog.get_logger()

NEXT_RUNS = """
SELECT runs.*, steps.name AS step, steps.handler, steps.params, steps.inputs, steps.sources, steps.timeout_s, jobs.name AS job_name,
       jobs.seed, jobs.from_job, jobs.state AS job_state,
       steps.state AS step_state
FROM runs JOIN steps ON steps.id = runs.step_id JOIN jobs ON jobs.id = runs.job_id
WHERE runs.state = 'queued' AND runs.lane = ? AND (runs.not_before IS NULL OR runs.not_before NOT BETWEEN ? AND ?)
ORDER BY runs.priority DESC, runs.id LIMIT ?
"""


class Dispatch:
    """Gives runs to workers, in the loop's transaction."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.boot = boot_id()

    def fill_lanes(self) -> None:
        """Give every idle worker the next run of its lane, and start workers for what is left."""
        core = self.core
        # What is to wait longer than anything ever waits was written before the clock was put back.
        longest = timestamp(later(core.now(), BACKOFF_CEILING_S))
        for lane in core.lanes.values():
            closed = lane.closed(core.now()) is not None
            core.after(partial(lane.let_go, everyone=closed))
            if closed or core.draining or core.obstacle:
                continue
            idle = lane.idle()
            runs = core.ledger.rows(NEXT_RUNS, lane.name, core.stamp(), longest, max(lane.settings.workers, 1))
            for worker, run in zip(idle, runs, strict=False):
                self._start(lane, worker, run)
            if len(runs) > len(idle):
                lane.staff(len(runs) - len(idle))

    def _start(self, lane: Lane, worker: Worker, run: sqlite3.Row) -> None:
        """Record the attempt with its worker's identity; the worker hears of it after the commit."""
        core, ledger = self.core, self.core.ledger
        number = ledger.value("SELECT count(*) FROM attempts WHERE run_id = ?", run["id"]) + 1
        folder = core.outbox.attempt_folder(run["job_id"], run["step"], run["ordinal"], number)
        now = core.stamp()
        attempt = ledger.insert(
            "attempts",
            job_id=run["job_id"],
            run_id=run["id"],
            number=number,
            lane=lane.name,
            folder=str(folder.relative_to(core.outbox.staging)),
            worker_pid=worker.pid,
            worker_start=worker.start_ticks,
            boot_id=self.boot,
            started_at=now,
        )
        ledger.update(
            "runs",
            run["id"],
            state=RUNNING,
            phase=None,
            done=None,
            total=None,
            unit=None,
            started_at=run["started_at"] or now,
        )
        if run["step_state"] != RUNNING:
            ledger.connection.execute(
                "UPDATE steps SET state = ?, started_at = coalesce(started_at, ?) WHERE id = ?",
                (RUNNING, now, run["step_id"]),
            )
        if run["job_state"] != RUNNING:
            ledger.connection.execute(
                "UPDATE jobs SET state = ?, started_at = coalesce(started_at, ?) WHERE id = ?",
                (RUNNING, now, run["job_id"]),
            )
        request = Request(
            handler=run["handler"],
            params=run["params"],
            inputs=self._inputs(run),
            completed=self._completed(run["id"]),
            workdir=str(folder),
            seed=run["seed"],
            job_id=run["job_id"],
            job_name=run["job_name"],
            step=run["step"],
            config_dir=str(core.settings.paths.config),
            cache_dir=str(core.settings.paths.cache / run["handler"]),
            umask=int(core.settings.umask, 8),
        )
        command = {"do": "run", "attempt": attempt, "request": vars(request)}
        line = json.dumps(command).encode() + b"\n"
        work = {
            "job_id": run["job_id"],
            "job": run["job_name"],
            "step": run["step"],
            "run_id": run["id"],
            "run": run["ordinal"],
            "handler": run["handler"],
            "progress_at": 0.0,
        }
        lane.assign(worker, attempt, work, run["timeout_s"])
        core.after(lambda: lane.send(worker, command, line))
        log.info(
            "running",
            job_id=run["job_id"],
            step=run["step"],
            run=run["ordinal"],
            attempt=number,
            lane=lane.name,
            pid=worker.pid,
        )

    def _completed(self, run_id: int) -> list[dict[str, Any]]:
        rows = self.core.ledger.rows(
            "SELECT item, path, facts FROM artifacts WHERE run_id = ? AND kind = 'primary'", run_id
        )
        staging = self.core.outbox.staging
        return [
            {"item": row["item"], "path": str(staging / row["path"]), "facts": json.loads(row["facts"])} for row in rows
        ]

    def _inputs(self, run: sqlite3.Row) -> dict[str, list[dict[str, Any]]]:
        """The files behind every reference, as they are at this moment."""
        resolved = {}
        for reference, source in json.loads(run["sources"]).items():
            if source["kind"] == "each":
                resolved[reference] = self._named(run, run["each"])
            elif source["kind"] == "path":
                resolved[reference] = [self._file(source["path"], reference)]
            else:
                resolved[reference] = self._named(run, reference)
        return resolved

    def _file(self, path: str, reference: str) -> dict[str, Any]:
        """A file from outside, its links followed and its place checked again: both may have changed since intake."""
        try:
            return {"path": str(resolve(path, self.core.settings)), "label": reference, "sha256": None}
        except ReferenceRefused as error:
            return {"path": path, "label": reference, "sha256": None, "refused": f"{reference} {error}"}

    def _named(self, run: sqlite3.Row, reference: str) -> list[dict[str, Any]]:
        """The items that ``beds``, ``beds/3`` or ``from/beds/3`` means."""
        prefix, slash, rest = reference.partition("/")
        earlier = prefix == "from" and slash
        step, _, item = (rest if earlier else reference).partition("/")
        entries = self.items(run["from_job"] if earlier else run["job_id"], step, prefix="from/" if earlier else "")
        found = entries[int(item) - 1 : int(item)] if item else entries
        if not found and (item or earlier):
            problem = (
                f"{reference}: step {step} of {run['from_job'] if earlier else 'this job'} has {len(entries)} items"
            )
            return [{"path": "", "label": reference, "sha256": None, "refused": problem}]
        return found

    def items(self, job_id: str, step: str, prefix: str = "") -> list[dict[str, Any]]:
        """The items of a step, in order: path, label, sha256, facts, sidecars."""
        rows = self.core.ledger.rows(
            "SELECT artifacts.*, jobs.state AS job_state FROM artifacts JOIN runs ON runs.id = artifacts.run_id "
            "JOIN steps ON steps.id = runs.step_id JOIN jobs ON jobs.id = artifacts.job_id "
            "WHERE artifacts.job_id = ? AND steps.name = ? AND artifacts.kind IN ('primary', 'sidecar') ORDER BY runs.ordinal, artifacts.item",
            job_id,
            step,
        )

        def place(row: sqlite3.Row) -> str:
            if row["job_state"] == DONE:  # Where it is by today's configuration: an outbox may have been moved.
                return str(self.core.outbox.folder_of(job_id, DONE) / row["published"])
            return str(self.core.outbox.staging / row["path"])

        found: dict[tuple[int, int], dict[str, Any]] = {}
        for row in rows:
            if row["kind"] == "primary":
                found[row["run_id"], row["item"]] = {
                    "path": place(row),
                    "sha256": row["sha256"],
                    "facts": json.loads(row["facts"]),
                    "sidecars": {},
                }
        for row in rows:
            if row["kind"] == "sidecar" and (row["run_id"], row["item"]) in found:
                found[row["run_id"], row["item"]]["sidecars"][row["label"]] = place(row)
        return [{**entry, "label": f"{prefix}{step}/{number}"} for number, entry in enumerate(found.values(), 1)]
