"""Whether a job can start: are the files, the models and the earlier job it names all here and whole?

A job waits as a whole, so that no GPU time goes into a job whose last input never comes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import structlog

from daemon.core import Core
from daemon.documents import HandlerFault, nearest_file
from daemon.documents.outlook import ask
from daemon.documents.references import ReferenceRefused, resolve, resolve_folder
from daemon.inbox import is_complete
from daemon.jobs import ENDED, QUEUED, WAITING, slug
from daemon.progress import Progress

log = structlog.get_logger()

LOOKED_AT_ONCE = 200


class Readiness:
    """Looks at waiting jobs, in the loop's transaction."""

    def __init__(self, core: Core, progress: Progress) -> None:
        self.core = core
        self.progress = progress
        self.last = ""

    def look_at_all(self) -> None:
        """Look at waiting jobs again, a bounded number at a time, round and round."""
        ids = [
            row["id"]
            for row in self.core.ledger.rows(
                "SELECT id FROM jobs WHERE state = ? AND id > ? ORDER BY id LIMIT ?", WAITING, self.last, LOOKED_AT_ONCE
            )
        ]
        self.last = ids[-1] if len(ids) == LOOKED_AT_ONCE else ""
        for job_id in ids:
            self.look(job_id)

    def look(self, job_id: str) -> None:
        """Queue a waiting job if all it needs is here; else write down what is missing, or that it waited too long."""
        ledger = self.core.ledger
        job = ledger.row("SELECT * FROM jobs WHERE id = ?", job_id)
        steps = ledger.rows("SELECT * FROM steps WHERE job_id = ? ORDER BY position", job_id)
        missing = [*self._missing_inputs(job, steps), *self._missing_models(job, steps)]
        if missing:
            reason = "; ".join(missing)
            if reason != job["reason"]:
                ledger.update("jobs", job_id, reason=reason)
                log.info("waiting", job_id=job_id, missing=missing)
            return
        ledger.update("jobs", job_id, state=QUEUED, reason=None)
        self.progress.begin_next(job_id)

    def lacks_inputs(self, job_id: str) -> bool:
        """Whether a waiting job waits for files or another job, and not only for a model, which may take its time."""
        job = self.core.ledger.row("SELECT * FROM jobs WHERE id = ?", job_id)
        steps = self.core.ledger.rows("SELECT * FROM steps WHERE job_id = ? ORDER BY position", job_id)
        return any(True for _ in self._missing_inputs(job, steps))

    def _missing_inputs(self, job: sqlite3.Row, steps: list[sqlite3.Row]) -> Iterator[str]:
        if job["from_wanted"] and not job["from_job"]:
            found = self._earlier_job(job["from_wanted"], job["id"])
            if found is None:
                yield f"from: no finished job {job['from_wanted']!r} yet"
            else:
                self.core.ledger.update("jobs", job["id"], from_job=found)
        for step in steps:
            for reference, source in json.loads(step["sources"]).items():
                if source["kind"] == "path":
                    yield from self._missing_file(source["path"], reference)
                elif source["kind"] == "folder":
                    yield from self._missing_folder(source["path"], reference)

    def _missing_models(self, job: sqlite3.Row, steps: list[sqlite3.Row]) -> Iterator[str]:
        for step in steps:
            yield from self._missing_models_of(job, step)

    def _earlier_job(self, wanted: str, but: str) -> str | None:
        return self.core.ledger.value(
            # A name means a job that went well. Who writes an id means that job, and what it had finished when it failed.
            f"SELECT id FROM jobs WHERE (id = ? AND state IN {ENDED} OR name = ? AND state = 'done') AND id != ? "
            "ORDER BY finished_at DESC LIMIT 1",
            wanted,
            slug(wanted),
            but,
        )

    def _missing_file(self, path: str, reference: str) -> Iterator[str]:
        try:
            if not is_complete(resolve(path, self.core.settings), self.core.settings.settle):
                yield f"{reference} is still being written"
        except ReferenceRefused as error:
            yield f"{reference} {error}"
        except OSError:
            near = nearest_file(Path(path))
            yield f"{reference} is not here" + (f" (the nearest name is {near})" if near else "")

    def _missing_folder(self, path: str, written: str) -> Iterator[str]:
        try:
            if not resolve_folder(path, self.core.settings).is_dir():
                yield f"{written} is not here"
        except ReferenceRefused as error:
            yield f"{written} {error}"

    def _missing_models_of(self, job: sqlite3.Row, step: sqlite3.Row) -> Iterator[str]:
        handler = self.core.registry.get(step["handler"])
        if handler is None:
            yield f"step {step['name']}: the handler {step['handler']!r} is not installed any more"
            return
        try:
            params = handler.params.model_validate_json(step["params"])
        except ValueError as error:  # A job that waits can outlive the version that accepted it.
            yield f"step {step['name']}: {handler.name} does not take its parameters any more; submit it anew ({error})"
            return
        if handler.check is None:
            return
        try:
            findings = ask(handler.check, handler, params, self.core.world)
        except HandlerFault as error:
            yield str(error)
            return
        for finding in findings:
            if finding.kind != "missing":
                continue
            if finding.key == "model" and step["fallback"]:
                changed = {**json.loads(step["params"]), "model": step["fallback"]}
                self.core.ledger.update("steps", step["id"], params=changed)
                self.core.ledger.update("jobs", job["id"], procedural=1)
                log.warning(
                    "PROCEDURAL: the fallback stands in", job_id=job["id"], step=step["name"], missing=finding.message
                )
            else:
                yield finding.message
