"""What workers say, into the ledger: progress, items, log lines, and how an attempt has ended."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import structlog

from daemon.core import Core
from daemon.events import Tick, WorkerSpoke
from daemon.jobs import DONE, OWN_NAMES, QUEUED, Tally, file_name, is_published_name, judge, later, numbered, timestamp
from daemon.lane import Lane, Worker, worker_end
from daemon.progress import Progress

log = structlog.get_logger()

JOB_IS_STOPPING = (
    "SELECT cancel_asked OR EXISTS (SELECT 1 FROM steps WHERE job_id = jobs.id AND state IN ('failed', 'cancelled')) "
    "FROM jobs WHERE id = ?"
)
"""Nothing of a job that was cancelled, or of which a step has failed, is tried again."""
PROGRESS = ("phase", "done", "total", "unit")
PROGRESS_EVERY_S = 0.5
"""A run's progress reaches the ledger at most this often."""


class Reports:
    """Takes in what workers say, and their deaths, in the loop's transaction."""

    def __init__(self, core: Core, progress: Progress) -> None:
        self.core = core
        self.progress = progress

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
            getattr(log, level)(
                message["message"],
                job_id=job_id,
                step=worker.work["step"],
                **{
                    f"{k}_" if k in ("event", "level") else k: v
                    for k, v in message["facts"].items()
                    if k not in ("job_id", "step", "timestamp")
                },
            )
        elif say == "item":
            self._made(worker, message)
        elif say in ("done", "failed"):
            self._ended(lane, worker, message)

    def _progressed(self, worker: Worker, message: dict[str, Any]) -> None:
        worker.work.update({name: message.get(name) for name in PROGRESS}, unsaved=True)
        self._save_progress(worker)

    def _save_progress(self, worker: Worker) -> None:
        now = self.core.monotonic()
        if now - worker.work["progress_at"] >= PROGRESS_EVERY_S:
            worker.work.update(progress_at=now, unsaved=False)
            facts = {name: worker.work[name] for name in PROGRESS}
            self.core.ledger.update("runs", worker.work["run_id"], progress_at=self.core.stamp(), **facts)

    def tick(self) -> None:
        """Save what came too soon after the last: a phase may begin then, and be silent for minutes."""
        for lane in self.core.lanes.values():
            for worker in lane.busy():
                if worker.work.get("unsaved"):
                    self._save_progress(worker)

    def _made(self, worker: Worker, message: dict[str, Any]) -> None:
        ledger, work = self.core.ledger, worker.work
        run = ledger.row(
            "SELECT ordinal, (SELECT count(*) FROM runs AS all_runs WHERE all_runs.step_id = runs.step_id) AS runs "
            "FROM runs WHERE id = ?",
            work["run_id"],
        )
        folder = ledger.value("SELECT folder FROM attempts WHERE id = ?", worker.attempt)
        published = self._name(work, message) or file_name(
            work["job"],
            work["step"],
            run["ordinal"],
            run["runs"],
            message["item"],
            message["label"],
            Path(message["file"]).suffix,
        )
        ledger.insert(
            "artifacts",
            job_id=work["job_id"],
            run_id=work["run_id"],
            attempt_id=worker.attempt,
            item=message["item"],
            kind=message["kind"],
            label=message["label"],
            path=f"{folder}/{message['file']}",
            published=published,
            size_bytes=message["size_bytes"],
            sha256=message["sha256"],
            facts=message["facts"],
            created_at=self.core.stamp(),
        )
        if message["kind"] == "primary":
            staged = self.core.outbox.staging / folder / message["file"]
            log.info("item finished", job_id=work["job_id"], item=f"{work['step']}/{message['item']}", path=str(staged))

    def _name(self, work: dict[str, Any], message: dict[str, Any]) -> str | None:
        """The name that the handler wants for a file, with a number where another of the job has it; None: no wish."""
        wanted = message["facts"].get("published")
        if not is_published_name(wanted):
            return None
        folder, slash, _ = work["step"].rpartition("/")  # Of several seeds each has a folder.
        for number in count(1):
            name = folder + slash + numbered(wanted, number)
            taken = "SELECT 1 FROM artifacts WHERE job_id = ? AND published = ? COLLATE NOCASE"
            if name.lower() not in OWN_NAMES and not self.core.ledger.value(taken, work["job_id"], name):
                return name
        return None

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
                attempt,
                work["run_id"],
                outcome,
                meaning=meaning,
                message=message["message"],
                traceback=message["traceback"],
                **facts,
            )
        lane.release(worker)
        if message.get("meaning") == "out_of_memory":
            worker.made_for = ()  # The next try gets a process that holds nothing.

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
            "timeout": ("failed", "timeout"),
            "cancel": ("cancelled", "cancelled"),
            "memory": ("failed", "out_of_memory"),
            "drain": ("interrupted", None),
        }.get(worker.ended_for or "", ("crashed", None))
        log.warning(
            "a worker ended while it worked",
            job_id=worker.work["job_id"],
            step=worker.work["step"],
            lane=lane.name,
            pid=worker.pid,
            end=end,
            outcome=outcome,
        )
        self.end_attempt(worker.attempt, worker.work["run_id"], outcome, meaning=meaning, message=end)

    def end_attempt(
        self,
        attempt: int | None,
        run_id: int,
        outcome: str,
        *,
        meaning: str | None = None,
        message: str = "",
        **facts: Any,
    ) -> None:
        """Record how an attempt ended and decide what becomes of its run."""
        core, ledger = self.core, self.core.ledger
        ledger.update(
            "attempts",
            attempt,
            outcome=outcome,
            meaning=meaning,
            message=message or None,
            ended_at=core.stamp(),
            **facts,
        )
        run = ledger.row(
            "SELECT runs.*, steps.retries, steps.name AS step FROM runs JOIN steps ON steps.id = runs.step_id WHERE runs.id = ?",
            run_id,
        )
        tally = Tally(
            run["failed_attempts"] + (outcome == "failed"),
            run["crashes"] + (outcome == "crashed"),
            run["interruptions"] + (outcome == "interrupted"),
        )
        verdict = judge(outcome, meaning, message, tally, retries=run["retries"], backoff_s=core.settings.backoff)
        if verdict.state == QUEUED and core.ledger.value(JOB_IS_STOPPING, run["job_id"]):
            verdict = judge("cancelled", None, message, tally, retries=0, backoff_s=0)
        if verdict.state != DONE:
            # What an unfinished item has left behind is made again.
            ledger.connection.execute(
                "DELETE FROM artifacts WHERE run_id = ? AND item NOT IN (SELECT item FROM artifacts WHERE run_id = ? AND kind = 'primary')",
                (run_id, run_id),
            )
        not_before = timestamp(later(core.now(), verdict.delay_s)) if verdict.delay_s else None
        ledger.update(
            "runs",
            run_id,
            state=verdict.state,
            not_before=not_before,
            failed_attempts=tally.failed_attempts,
            crashes=tally.crashes,
            interruptions=tally.interruptions,
            finished_at=None if verdict.state == QUEUED else core.stamp(),
        )
        level = log.info if verdict.state == DONE else log.warning
        level(
            "run " + verdict.state,
            job_id=run["job_id"],
            step=run["step"],
            run=run["ordinal"],
            outcome=outcome,
            reason=verdict.reason or message or None,
        )
        if verdict.state != QUEUED:
            self.progress.run_ended(run["job_id"], run["step_id"], verdict.state, verdict.reason)
