"""From a queued run to a worker, and from what the worker says back into the ledger."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import structlog

from daemon.core import Core
from daemon.events import Tick, WorkerSpoke
from daemon.execution import Request
from daemon.jobs import DONE, QUEUED, RUNNING, Tally, file_name, judge, later, timestamp
from daemon.lane import Lane, Worker, boot_id, worker_end
from daemon.progress import Progress

log = structlog.get_logger()

PROGRESS_EVERY_S = 0.5
"""A run's progress reaches the ledger at most this often."""

NEXT_RUNS = """
SELECT runs.*, steps.name AS step, steps.handler, steps.params, steps.inputs, steps.sources, steps.timeout_s, jobs.name AS job_name,
       jobs.seed, jobs.from_job, jobs.state AS job_state
FROM runs JOIN steps ON steps.id = runs.step_id JOIN jobs ON jobs.id = runs.job_id
WHERE runs.state = 'queued' AND runs.lane = ? AND (runs.not_before IS NULL OR runs.not_before <= ?)
ORDER BY runs.priority DESC, runs.id LIMIT ?
"""


class Dispatch:
    """Gives runs to workers and takes in what they say."""

    def __init__(self, core: Core, progress: Progress) -> None:
        self.core = core
        self.progress = progress
        self.boot = boot_id()

    # --- giving ---

    def fill_lanes(self) -> None:
        """Give every idle worker the next run of its lane, and start workers for what is left."""
        core = self.core
        if core.draining or core.obstacle:
            return
        for lane in core.lanes.values():
            if lane.closed(core.now()):
                continue
            idle = lane.idle()
            runs = core.ledger.rows(NEXT_RUNS, lane.name, core.stamp(), max(lane.settings.workers, 1))
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
            "attempts", job_id=run["job_id"], run_id=run["id"], number=number, lane=lane.name,
            folder=str(folder.relative_to(core.outbox.staging)), worker_pid=worker.pid, worker_start=worker.start_ticks,
            boot_id=self.boot, started_at=now,
        )  # fmt: skip
        ledger.update("runs", run["id"], state=RUNNING, phase=None, done=None, total=None, unit=None, started_at=run["started_at"] or now)
        if run["started_at"] is None:
            ledger.connection.execute(
                "UPDATE steps SET state = ?, started_at = coalesce(started_at, ?) WHERE id = ?", (RUNNING, now, run["step_id"]))
        if run["job_state"] != RUNNING:
            ledger.connection.execute(
                "UPDATE jobs SET state = ?, started_at = coalesce(started_at, ?) WHERE id = ?", (RUNNING, now, run["job_id"]))
        request = Request(
            handler=run["handler"], params=run["params"], inputs=self._inputs(run), completed=self._completed(run["id"]),
            workdir=str(folder), seed=run["seed"], job_id=run["job_id"], job_name=run["job_name"], step=run["step"],
            config_dir=str(core.settings.paths.config), cache_dir=str(core.settings.paths.cache / run["handler"]),
            umask=int(core.settings.umask, 8),
        )  # fmt: skip
        command = {"do": "run", "attempt": attempt, "request": vars(request)}
        line = json.dumps(command).encode() + b"\n"
        work = {"job_id": run["job_id"], "job": run["job_name"], "step": run["step"], "run_id": run["id"], "run": run["ordinal"],
                "handler": run["handler"], "progress_at": 0.0}  # fmt: skip
        lane.assign(worker, attempt, work, run["timeout_s"])
        core.after(lambda: lane.send(worker, command, line))
        log.info("running", job_id=run["job_id"], step=run["step"], run=run["ordinal"], attempt=number, lane=lane.name, pid=worker.pid)

    def _completed(self, run_id: int) -> list[dict[str, Any]]:
        rows = self.core.ledger.rows("SELECT item, path, facts FROM artifacts WHERE run_id = ? AND kind = 'primary'", run_id)
        staging = self.core.outbox.staging
        return [{"item": row["item"], "path": str(staging / row["path"]), "facts": json.loads(row["facts"])} for row in rows]

    def _inputs(self, run: sqlite3.Row) -> dict[str, list[dict[str, Any]]]:
        """The files behind every reference, as they are at this moment."""
        resolved = {}
        for reference, source in json.loads(run["sources"]).items():
            if source["kind"] == "each":
                resolved[reference] = self._named(run, run["each"])
            elif source["kind"] == "path":
                resolved[reference] = [{"path": source["path"], "label": reference, "sha256": None}]
            else:
                resolved[reference] = self._named(run, reference)
        return resolved

    def _named(self, run: sqlite3.Row, reference: str) -> list[dict[str, Any]]:
        """The items that ``beds``, ``beds/3`` or ``from/beds/3`` means."""
        prefix, slash, rest = reference.partition("/")
        earlier = prefix == "from" and slash
        step, _, item = (rest if earlier else reference).partition("/")
        entries = self.items(run["from_job"] if earlier else run["job_id"], step, prefix="from/" if earlier else "")
        return entries[int(item) - 1 : int(item)] if item else entries

    def items(self, job_id: str, step: str, prefix: str = "") -> list[dict[str, Any]]:
        """The items of a step, in order: path, label, sha256, facts, sidecars."""
        rows = self.core.ledger.rows(
            "SELECT artifacts.*, jobs.folder AS job_folder FROM artifacts JOIN runs ON runs.id = artifacts.run_id "
            "JOIN steps ON steps.id = runs.step_id JOIN jobs ON jobs.id = artifacts.job_id "
            "WHERE artifacts.job_id = ? AND steps.name = ? AND artifacts.kind IN ('primary', 'sidecar') ORDER BY runs.ordinal, artifacts.item",
            job_id, step,
        )  # fmt: skip

        def place(row: sqlite3.Row) -> str:
            folder = row["job_folder"]
            return str(Path(folder) / row["published"] if folder else self.core.outbox.staging / row["path"])

        found: dict[tuple[int, int], dict[str, Any]] = {}
        for row in rows:
            if row["kind"] == "primary":
                found[row["run_id"], row["item"]] = {
                    "path": place(row), "sha256": row["sha256"], "facts": json.loads(row["facts"]), "sidecars": {},
                }  # fmt: skip
        for row in rows:
            if row["kind"] == "sidecar" and (row["run_id"], row["item"]) in found:
                found[row["run_id"], row["item"]]["sidecars"][row["label"]] = place(row)
        return [{**entry, "label": f"{prefix}{step}/{number}"} for number, entry in enumerate(found.values(), 1)]

    # --- taking ---

    def heard(self, event: WorkerSpoke) -> None:
        """Take in one message of a worker."""
        lane = self.core.lanes[event.lane]
        worker = lane.workers.get(event.worker)
        if worker is None:
            return
        message = event.message
        say, job_id = message["say"], worker.work.get("job_id")
        if say == "ready":
            lane.ready(worker)
        elif say == "garbled":
            self.core.after(lambda: lane.end(worker, "garbled", f"it wrote {message['message']}"))
        elif say == "output":
            log.info(message["message"], job_id=job_id, lane=lane.name, source="worker")
        elif message.get("attempt") != worker.attempt or worker.attempt is None:
            return
        elif say == "progress":
            self._progressed(worker, message)
        elif say == "log":
            level = message["level"] if message["level"] in ("debug", "info", "warning", "error") else "info"
            getattr(log, level)(message["message"], job_id=job_id, step=worker.work["step"], **{f"{k}_" if k in ("event", "level") else k: v
                                for k, v in message["facts"].items() if k not in ("job_id", "step", "timestamp")})  # fmt: skip
        elif say == "item":
            self._made(worker, message)
        elif say in ("done", "failed"):
            self._ended(lane, worker, message)

    def _progressed(self, worker: Worker, message: dict[str, Any]) -> None:
        facts = {name: message.get(name) for name in ("phase", "done", "total", "unit")}
        new_phase = facts["phase"] != worker.work.get("phase")
        worker.work.update(facts)
        now = self.core.monotonic()
        if new_phase or now - worker.work["progress_at"] >= PROGRESS_EVERY_S:
            worker.work["progress_at"] = now
            self.core.ledger.update("runs", worker.work["run_id"], progress_at=self.core.stamp(), **facts)

    def _made(self, worker: Worker, message: dict[str, Any]) -> None:
        ledger, work = self.core.ledger, worker.work
        run = ledger.row("SELECT ordinal, (SELECT count(*) FROM runs AS all_runs WHERE all_runs.step_id = runs.step_id) AS runs "
                         "FROM runs WHERE id = ?", work["run_id"])  # fmt: skip
        folder = ledger.value("SELECT folder FROM attempts WHERE id = ?", worker.attempt)
        published = file_name(
            work["job"], work["step"], run["ordinal"], run["runs"], message["item"], message["label"], Path(message["file"]).suffix)
        ledger.insert(
            "artifacts", job_id=work["job_id"], run_id=work["run_id"], attempt_id=worker.attempt, item=message["item"],
            kind=message["kind"], label=message["label"], path=f"{folder}/{message['file']}", published=published,
            size_bytes=message["size_bytes"], sha256=message["sha256"], facts=message["facts"], created_at=self.core.stamp(),
        )  # fmt: skip
        if message["kind"] == "primary":
            staged = self.core.outbox.staging / folder / message["file"]
            log.info("item finished", job_id=work["job_id"], item=f"{work['step']}/{message['item']}", path=str(staged))

    def _ended(self, lane: Lane, worker: Worker, message: dict[str, Any]) -> None:
        attempt, work, ended_for = worker.attempt, worker.work, worker.ended_for
        facts = {name: message.get(name) for name in ("warnings", "inputs", "versions", "cpu_s", "peak_memory_bytes")}
        if message["say"] == "done":
            self.end_attempt(attempt, work["run_id"], "done", **facts)
        else:
            meaning = message["meaning"]
            outcome = "cancelled" if meaning == "cancelled" else "failed"
            if ended_for == "drain":
                outcome = "interrupted"
            self.end_attempt(
                attempt, work["run_id"], outcome, meaning=meaning, message=message["message"], traceback=message["traceback"], **facts
            )
        lane.release(worker)
        if message.get("meaning") == "out_of_memory" and worker.state == "idle":
            lane.dismiss(worker)  # The next try gets a process that holds nothing.

    def died(self, lane: Lane, number: int) -> None:
        """A worker is gone: end what it was doing, with the right meaning."""
        worker = lane.workers.get(number)
        if worker is None:
            return
        lane.reap(worker)
        self.core.after(lambda: (lane.forget(worker), self.core.post(Tick())))
        if worker.attempt is None:
            return
        end = worker_end(worker)
        outcome, meaning = {
            "timeout": ("failed", "timeout"), "cancel": ("cancelled", "cancelled"), "memory": ("failed", "out_of_memory"),
            "drain": ("interrupted", None),
        }.get(worker.ended_for or "", ("crashed", None))  # fmt: skip
        log.warning("a worker ended while it worked", job_id=worker.work["job_id"], step=worker.work["step"], lane=lane.name,
                    pid=worker.pid, end=end, outcome=outcome)  # fmt: skip
        self.end_attempt(worker.attempt, worker.work["run_id"], outcome, meaning=meaning, message=end)

    def end_attempt(self, attempt: int | None, run_id: int, outcome: str, *, meaning: str | None = None, message: str = "", **facts: Any) -> None:
        """Record how an attempt ended and decide what becomes of its run."""
        core, ledger = self.core, self.core.ledger
        ledger.update("attempts", attempt, outcome=outcome, meaning=meaning, message=message or None, ended_at=core.stamp(), **facts)
        run = ledger.row("SELECT runs.*, steps.retries, steps.name AS step FROM runs JOIN steps ON steps.id = runs.step_id WHERE runs.id = ?", run_id)
        tally = Tally(
            run["failed_attempts"] + (outcome == "failed"), run["crashes"] + (outcome == "crashed"),
            run["interruptions"] + (outcome == "interrupted"),
        )  # fmt: skip
        verdict = judge(outcome, meaning, message, tally, retries=run["retries"], backoff_s=core.settings.backoff)
        if verdict.state == QUEUED and core.ledger.value("SELECT cancel_asked FROM jobs WHERE id = ?", run["job_id"]):
            verdict = judge("cancelled", None, message, tally, retries=0, backoff_s=0)
        if verdict.state != DONE:
            # What an unfinished item has left behind is made again.
            ledger.connection.execute(
                "DELETE FROM artifacts WHERE run_id = ? AND item NOT IN (SELECT item FROM artifacts WHERE run_id = ? AND kind = 'primary')",
                (run_id, run_id))
        not_before = timestamp(later(core.now(), verdict.delay_s)) if verdict.delay_s else None
        ledger.update(
            "runs", run_id, state=verdict.state, not_before=not_before, failed_attempts=tally.failed_attempts, crashes=tally.crashes,
            interruptions=tally.interruptions, finished_at=None if verdict.state == QUEUED else core.stamp(),
        )  # fmt: skip
        level = log.info if verdict.state == DONE else log.warning
        level("run " + verdict.state, job_id=run["job_id"], step=run["step"], run=run["ordinal"], outcome=outcome, reason=verdict.reason or message or None)
        if verdict.state != QUEUED:
            self.progress.run_ended(run["job_id"], run["step_id"], verdict.state, verdict.reason)

