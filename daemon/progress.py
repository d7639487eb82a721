"""How a job moves on: a run ended, so a step may be over, so another may begin, so the job may be over."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import structlog

from daemon import manifest
from daemon.core import Core
from daemon.jobs import CANCELLED, DONE, FAILED, QUEUED, WAITING
from daemon.rows import BadTable, gone_over

log = structlog.get_logger()


class Progress:
    """The rules between runs, steps and jobs, in the loop's transaction."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def run_ended(self, job_id: str, step_id: int, state: str, reason: str) -> None:
        """A run is done, failed or cancelled for good."""
        ledger = self.core.ledger
        step = ledger.row("SELECT * FROM steps WHERE id = ?", step_id)
        counts = dict(ledger.rows("SELECT state, count(*) FROM runs WHERE step_id = ? GROUP BY state", step_id))
        if state == FAILED and step["for_each"]:
            self.count_failures(job_id)
        if any(counts.get(open_state) for open_state in (WAITING, QUEUED, "running")):
            return
        succeeded = counts.get(DONE, 0)
        outcome = CANCELLED if counts.get(CANCELLED) else DONE if succeeded >= step["min_success"] else FAILED
        if outcome == FAILED and step["for_each"]:
            reason = f"{succeeded} of {sum(counts.values())} runs succeeded, {step['min_success']} must; last: {reason}"
        self._step_ended(step, outcome, reason)

    def count_failures(self, job_id: str) -> None:
        """Write down how many runs of steps that go over many things have failed."""
        self.core.ledger.connection.execute(
            "UPDATE jobs SET failures = (SELECT count(*) FROM runs JOIN steps ON steps.id = runs.step_id "
            "WHERE runs.job_id = jobs.id AND runs.state = 'failed' AND for_each IS NOT NULL) WHERE id = ?",
            (job_id,),
        )

    def _step_ended(self, step: sqlite3.Row, outcome: str, reason: str) -> None:
        ledger, job_id = self.core.ledger, step["job_id"]
        ledger.update("steps", step["id"], state=outcome, finished_at=self.core.stamp())
        if outcome == DONE:
            self.begin_next(job_id)
        else:
            why = f"step {step['name']}: {reason}" if outcome == FAILED else "cancelled"
            ledger.connection.execute("UPDATE jobs SET reason = coalesce(reason, ?) WHERE id = ?", (why, job_id))
            self.stop_rest(job_id)
        self.job_may_be_over(job_id)

    def begin_next(self, job_id: str) -> None:
        """Queue every step whose needs are met."""
        ledger = self.core.ledger
        steps = ledger.rows("SELECT * FROM steps WHERE job_id = ? ORDER BY position", job_id)
        done = {step["name"] for step in steps if step["state"] == DONE}
        for step in steps:
            if step["state"] == WAITING and done.issuperset(json.loads(step["needs"])):
                if step["for_each"]:
                    if ledger.value("SELECT state FROM steps WHERE id = ?", step["id"]) != WAITING:
                        continue  # One before it had nothing to go over, which has ended the job.
                    self._expand(step, json.loads(step["for_each"]))
                else:
                    ledger.connection.execute(
                        "UPDATE steps SET state = ? WHERE id = ? AND state = ?", (QUEUED, step["id"], WAITING)
                    )
                    ledger.connection.execute(
                        "UPDATE runs SET state = ? WHERE step_id = ? AND state = ?", (QUEUED, step["id"], WAITING)
                    )

    def _expand(self, step: sqlite3.Row, for_each: dict[str, Any]) -> None:
        """One run for each thing that the step goes over, keyed by content: the same twice is run twice, no more."""
        ledger, job_id = self.core.ledger, step["job_id"]
        over, start, limit = for_each["over"], for_each["start"], for_each["limit"]
        try:
            things = gone_over(ledger, self.core.outbox, job_id, over)
        except BadTable as error:
            self._nothing_to_do(step, str(error))
            return
        chosen = things[start:] if limit is None else things[start : start + limit]
        if not chosen:
            of = "row" if any(thing.row for thing in things) else "item"
            self._nothing_to_do(
                step, f"nothing to go over: {over} has {len(things)} {of}{'s' * (len(things) != 1)}, start is {start}"
            )
            return
        priority = ledger.value("SELECT priority FROM jobs WHERE id = ?", job_id)
        ledger.connection.executemany(
            "INSERT INTO runs (job_id, step_id, ordinal, key, each, row, state, priority, lane) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (step_id, key) DO NOTHING",  # Of a job that is retried, they are there already.
            (
                (job_id, step["id"], ordinal, thing.key, thing.each, thing.row and json.dumps(thing.row), QUEUED, priority, step["lane"])
                for ordinal, thing in enumerate(chosen, 1)
            ),
        )  # fmt: skip
        log.info("goes over", job_id=job_id, step=step["name"], over=over, runs=len(chosen), of=len(things))
        ledger.update("steps", step["id"], state=QUEUED)
        ledger.connection.execute(
            "UPDATE runs SET state = ? WHERE step_id = ? AND state = ?", (QUEUED, step["id"], WAITING)
        )
        if not ledger.value("SELECT 1 FROM runs WHERE step_id = ? AND state = ?", step["id"], QUEUED):
            self.run_ended(job_id, step["id"], DONE, "every run was done before this retry")

    def _nothing_to_do(self, step: sqlite3.Row, reason: str) -> None:
        self.core.ledger.update("steps", step["id"], started_at=self.core.stamp())
        self._step_ended(step, FAILED, reason)

    def stop_rest(self, job_id: str) -> None:
        """Nothing more of this job begins. What runs now may finish: a retry finds it made."""
        # A step whose run waits for its next try is `running`, and no run of it will ever end to say that it is over.
        for table, begun in (
            ("runs", ""),
            (
                "steps",
                "OR state = 'running' AND NOT EXISTS (SELECT 1 FROM runs WHERE step_id = steps.id AND state = 'running')",
            ),
        ):
            self.core.ledger.connection.execute(
                f"UPDATE {table} SET state = ?, finished_at = ? WHERE job_id = ? AND (state IN (?, ?) {begun})",
                (CANCELLED, self.core.stamp(), job_id, WAITING, QUEUED),
            )

    def job_may_be_over(self, job_id: str) -> None:
        """Have a job's folder assembled once nothing of it is left to run."""
        open_runs = self.core.ledger.value(
            "SELECT count(*) FROM steps WHERE job_id = ? AND state IN (?, ?, 'running')", job_id, WAITING, QUEUED
        )
        if open_runs == 0:
            if self.outcome(job_id) == DONE:  # Its last step was quicker than the one who cancelled it.
                self.core.ledger.update("jobs", job_id, reason=None, cancel_asked=0)
            self.core.after(lambda: self.core.errands.assemble(job_id))

    def outcome(self, job_id: str) -> str:
        """How a job whose steps have all ended has ended."""
        job = self.core.ledger.row("SELECT * FROM jobs WHERE id = ?", job_id)
        return manifest.outcome(job, self.core.ledger.rows("SELECT state FROM steps WHERE job_id = ?", job_id))

    def fail_waiting(self, job_id: str, reason: str) -> None:
        """End a job that never began."""
        ledger = self.core.ledger
        first = ledger.value("SELECT id FROM steps WHERE job_id = ? ORDER BY position LIMIT 1", job_id)
        ledger.update("steps", first, state=FAILED, finished_at=self.core.stamp())
        ledger.update("jobs", job_id, reason=reason)
        ledger.connection.execute(
            "UPDATE runs SET state = ?, finished_at = ? WHERE step_id = ?", (FAILED, self.core.stamp(), first)
        )
        self.stop_rest(job_id)
        self.job_may_be_over(job_id)
