"""From a queued run to a worker: which one is next, what it reads, and the attempt on record before it hears of it."""

from __future__ import annotations

import json
import sqlite3
from functools import partial
from typing import Any

import structlog

from daemon.core import Core
from daemon.documents.problems import listed
from daemon.documents.references import FromReference, ReferenceRefused, parse, resolve, resolve_folder
from daemon.execution import Request
from daemon.jobs import BACKOFF_CEILING_S, DONE, RUNNING, later, own_name, timestamp
from daemon.lane import Lane, Worker
from daemon.processes import boot_id

log = structlog.get_logger()

STEPS_NAMED = 12
"""At most, where a reference names a step that is not there."""

NEXT_RUNS = """
SELECT runs.*, steps.name AS step, steps.handler, steps.params, steps.inputs, steps.sources, steps.timeout_s, steps.keep,
       coalesce(steps.seed, jobs.seed) AS seed, jobs.name AS job_name, jobs.from_job, jobs.state AS job_state,
       steps.state AS step_state
FROM runs JOIN steps ON steps.id = runs.step_id JOIN jobs ON jobs.id = runs.job_id
WHERE runs.state = 'queued' AND runs.lane = ? AND (runs.not_before IS NULL OR runs.not_before NOT BETWEEN ? AND ?)
ORDER BY runs.priority DESC, runs.id LIMIT ?
"""


RUNS_OF_STEP = """
SELECT runs.id, runs.row, runs.each, runs.state,
       round((julianday(runs.finished_at) - julianday(runs.started_at)) * 86400, 3) AS took_s,
       (SELECT message FROM attempts WHERE run_id = runs.id ORDER BY number DESC LIMIT 1) AS message
FROM runs JOIN steps ON steps.id = runs.step_id
WHERE steps.job_id = ? AND steps.name = ? AND steps.for_each IS NOT NULL ORDER BY runs.ordinal
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
        inputs = self._inputs(run)
        request = Request(
            handler=run["handler"],
            params=run["params"],
            inputs=inputs,
            folders=self._folders(run),
            runs=self._runs(run, inputs),
            completed=self._completed(run["id"]),
            keep=self._kept(run),
            workdir=str(folder),
            seed=run["seed"],
            job_id=run["job_id"],
            job_name=run["job_name"],
            step=own_name(run["step"]),
            config_dir=str(core.settings.paths.config),
            cache_dir=str(core.settings.paths.cache / run["handler"]),
            umask=int(core.settings.umask, 8),
            publishes={
                "folder": str(core.outbox.folder_of(run["job_id"], "done")),
                "step": run["step"],
                "run": run["ordinal"],
                "runs": ledger.value("SELECT count(*) FROM runs WHERE step_id = ?", run["step_id"]),
            },
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
            if source["kind"] == "folder":
                continue
            if source["kind"] == "path":
                resolved[reference] = [self._file(source["path"], reference)]
            elif source["kind"] == "each" and run["row"]:
                row = json.loads(run["row"])
                resolved[reference] = [{**self._file(row.pop("path"), row["label"]), "facts": row}]
            elif source["kind"] == "each":
                step, _, item = run["each"].removeprefix("from/").rpartition("/")
                resolved[reference] = self._named(run, run["each"].startswith("from/"), step, int(item), run["each"])
            else:
                earlier = source["kind"] == "from"
                resolved[reference] = self._named(run, earlier, source["step"], source["item"], reference)
        return resolved

    def _runs(self, run: sqlite3.Row, inputs: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """All runs of every `for_each` step that is read whole, failed ones included; items by their place in `inputs`."""
        found: dict[str, list[dict[str, Any]]] = {}
        for reference, source in json.loads(run["sources"]).items():
            if source["kind"] not in ("step", "from") or source["item"] is not None:
                continue
            job = run["from_job"] if source["kind"] == "from" else run["job_id"]
            rows = self.core.ledger.rows(RUNS_OF_STEP, job, source["step"])
            if not rows:
                continue
            items: dict[int, list[int]] = {}
            for place, entry in enumerate(inputs[reference]):
                items.setdefault(entry.get("run_id", 0), []).append(place)
            found[reference] = [
                {
                    "row": json.loads(row["row"]) if row["row"] else {"id": row["each"], "label": row["each"]},
                    "ok": row["state"] == DONE,
                    "reason": "" if row["state"] == DONE else row["message"] or row["state"],
                    "took_s": row["took_s"],
                    "items": items.get(row["id"], []),
                }
                for row in rows
            ]
        return found

    def _folders(self, run: sqlite3.Row) -> dict[str, dict[str, str]]:
        """The folders that the run looks through, links followed and checked again."""
        found: dict[str, dict[str, str]] = {}
        for written, source in json.loads(run["sources"]).items():
            if source["kind"] == "folder":
                try:
                    found[written] = {"path": str(resolve_folder(source["path"], self.core.settings))}
                except ReferenceRefused as error:
                    found[written] = {"path": source["path"], "refused": f"{written} {error}"}
        return found

    def _kept(self, run: sqlite3.Row) -> list[dict[str, Any]]:
        """Items of an earlier job that stand in for some of this run's."""
        kept = []
        for number, reference in json.loads(run["keep"] or "{}").items():
            source = parse(reference)
            assert isinstance(source, FromReference)
            (entry,) = self._named(run, True, source.step, source.item, reference, whole=True)
            kept.append({**entry, "item": int(number), "kept_from": f"{run['from_job']}/{source.step}/{source.item}"})
        return kept

    def _file(self, path: str, reference: str) -> dict[str, Any]:
        """A file from outside, its links followed and its place checked again: both may have changed since intake."""
        try:
            return {"path": str(resolve(path, self.core.settings)), "label": reference, "sha256": None}
        except ReferenceRefused as error:
            return {"path": path, "label": reference, "sha256": None, "refused": f"{reference} {error}"}

    def _named(
        self, run: sqlite3.Row, earlier: bool, step: str, item: int | None, reference: str, *, whole: bool = False
    ) -> list[dict[str, Any]]:
        """The items that a reference means: of this job, or of the earlier one."""
        job = run["from_job"] if earlier else run["job_id"]
        entries = self.items(job, step, f"{'from/' + step if earlier else own_name(step)}/", whole=whole)
        found = entries if item is None else entries[item - 1 : item]
        if not found and (item or earlier):
            problem = f"{reference}: step {step} of {job if earlier else 'this job'} has {len(entries)} items"
            names = self.core.ledger.rows("SELECT name FROM steps WHERE job_id = ? ORDER BY position", job)
            steps = [row["name"] for row in names]
            if step not in steps:
                problem = f"{reference}: {job} has no step {step}; it has {listed(steps[:STEPS_NAMED])}"
            return [{"path": "", "label": reference, "sha256": None, "refused": problem}]
        return found

    def items(self, job_id: str, step: str, prefix: str, *, whole: bool = False) -> list[dict[str, Any]]:
        """The items of a step, in order: path, label (`prefix` and a number), sha256, facts, sidecars, published names.

        With `whole` also `files`, all that an item has beside its primary: path, kind, label, sha256, facts.
        """
        rows = self.core.ledger.rows(
            "SELECT artifacts.*, jobs.state AS job_state FROM artifacts JOIN runs ON runs.id = artifacts.run_id "
            "JOIN steps ON steps.id = runs.step_id JOIN jobs ON jobs.id = artifacts.job_id "
            "WHERE artifacts.job_id = ? AND steps.name = ? ORDER BY runs.ordinal, artifacts.item, artifacts.id",
            job_id,
            step,
        )

        place = self.core.outbox.place_of
        found: dict[tuple[int, int], dict[str, Any]] = {}
        for row in rows:
            if row["kind"] == "primary":
                found[row["run_id"], row["item"]] = {
                    "path": str(place(row)),
                    "run_id": row["run_id"],
                    "published": row["published"],
                    "published_sidecars": {},
                    "sha256": row["sha256"],
                    "facts": json.loads(row["facts"]),
                    "sidecars": {},
                    **({"files": []} if whole else {}),
                }
        for row in rows:
            entry = found.get((row["run_id"], row["item"]))
            if row["kind"] == "primary" or entry is None:
                continue
            if row["kind"] == "sidecar":
                entry["sidecars"][row["label"]] = str(place(row))
                entry["published_sidecars"][row["label"]] = row["published"]
            if whole:
                about = {key: row[key] for key in ("kind", "label", "sha256")}
                entry["files"].append({**about, "path": str(place(row)), "facts": json.loads(row["facts"])})
        return [{**entry, "label": f"{prefix}{number}"} for number, entry in enumerate(found.values(), 1)]
