"""What the ledger says about jobs, read-only, with the daemon up or down; and which job a person means.

A job that was submitted and still lies in an inbox is not in the ledger yet: it is `pending`. One that the daemon
refused is `rejected`. Neither is ever taken for a finished one.
"""

from __future__ import annotations

import difflib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli.failure import CommandError
from daemon.jobs import ID_PATTERN

if TYPE_CHECKING:
    from daemon.settings import Paths

PENDING, REJECTED = "pending", "rejected"
CANDIDATES_SHOWN = 8
JOB_COLUMNS = "id, number, name, state, reason, origin, priority, seed, seeds, from_job, failures, procedural, folder, accepted_at, started_at, finished_at"


@dataclass(frozen=True)
class Outside:
    """A submitted job that is not in the ledger: still in the inbox, or refused."""

    id: str
    state: str
    path: Path
    reason: str | None = None


def open_ledger(paths: Paths) -> sqlite3.Connection | None:
    """The ledger for reading; None when there is none yet."""
    from daemon.ledger import LedgerError, open_readonly

    try:
        return open_readonly(paths)
    except LedgerError:
        if paths.ledger.exists():
            raise
        return None


def read_job(connection: sqlite3.Connection | None, job_id: str) -> dict[str, Any] | None:
    """One job's row as a dictionary with stable keys."""
    if connection is None:
        return None
    row = connection.execute(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else plain(row)


def plain(row: sqlite3.Row) -> dict[str, Any]:
    job = dict(row)
    job["procedural"] = bool(job["procedural"])
    job["seeds"] = json.loads(job["seeds"] or "[]")
    return job


def find_job(paths: Paths, connection: sqlite3.Connection | None, text: str) -> str | Outside:
    """The id of the job a person means, or what is known of it outside the ledger.

    Raises
    ------
    CommandError
        Unknown (with the nearest), or ambiguous (with the candidates).
    """
    found = _in_ledger(connection, text)
    if found is None:
        # Order matters: intake writes the ledger before it moves the file, so a file gone means a row is there.
        found = find_outside(paths, connection, text) or _in_ledger(connection, text)
    if found is None:
        raise CommandError(f"no job {text!r}{_nearest(connection, text)}")
    return found


def _in_ledger(connection: sqlite3.Connection | None, text: str) -> str | None:
    if connection is None:
        return None
    if text == "latest":
        row = connection.execute("SELECT id FROM jobs ORDER BY accepted_at DESC, id DESC LIMIT 1").fetchone()
        return row and row[0]
    if row := connection.execute("SELECT id FROM jobs WHERE id = ?", (text,)).fetchone():
        return row[0]
    if text.isascii() and text.isdigit() and len(text) < 12:
        if ids := _ids(connection, "number = ?", int(text)):
            return _only(text, ids)
    if row := connection.execute(
        "SELECT id FROM jobs WHERE name = ? ORDER BY accepted_at DESC, id DESC LIMIT 1", (text,)
    ).fetchone():
        return row[0]
    ids = _ids(connection, "id >= ? AND id < ?", text, text + "\U0010ffff") if text else []
    return _only(text, ids) if ids else None


def _ids(connection: sqlite3.Connection, condition: str, *values: object) -> list[str]:
    rows = connection.execute(
        f"SELECT id FROM jobs WHERE {condition} ORDER BY id DESC LIMIT {CANDIDATES_SHOWN + 1}", values
    )
    return [row[0] for row in rows]


def _only(text: str, ids: list[str]) -> str:
    if len(ids) > 1:
        more = ["  ..."] if len(ids) > CANDIDATES_SHOWN else []
        lines = [f"  {job_id}" for job_id in ids[:CANDIDATES_SHOWN]]
        raise CommandError("\n".join([f"{text!r} fits several jobs; write more of the id:", *lines, *more]))
    return ids[0]


def _nearest(connection: sqlite3.Connection | None, text: str) -> str:
    if connection is None:
        return "; no job was ever taken (no ledger yet)"
    rows = connection.execute("SELECT id, name FROM jobs ORDER BY accepted_at DESC LIMIT 500").fetchall()
    known = dict.fromkeys([row["name"] for row in rows] + [row["id"] for row in rows])
    close = difflib.get_close_matches(text, known, 1, 0.5)
    return f"; did you mean {close[0]}?" if close else "; `./drophammer list` shows all"


def find_outside(paths: Paths, connection: sqlite3.Connection | None, job_id: str) -> Outside | None:
    """A submitted job by its full id, in an inbox or refused."""
    if not ID_PATTERN.fullmatch(job_id):
        return None
    for inbox in paths.inboxes:
        path = inbox / f"{job_id}.yaml"
        if path.exists():
            return Outside(job_id, PENDING, path)
    if connection is not None:
        row = connection.execute(
            "SELECT path, moved_to, reason FROM rejections WHERE path LIKE ? ESCAPE '\\' ORDER BY id DESC LIMIT 1",
            (f"%/{job_id}.yaml",),
        ).fetchone()
        if row:
            return Outside(job_id, REJECTED, Path(row["moved_to"] or row["path"]), row["reason"])
    return None


def pending_jobs(paths: Paths) -> list[Outside]:
    """Submitted job files that the daemon has not taken yet, oldest first."""
    found = []
    for inbox in paths.inboxes:
        for path in inbox.glob("*.yaml") if inbox.is_dir() else ():
            if ID_PATTERN.fullmatch(path.stem):
                found.append(Outside(path.stem, PENDING, path))
    return sorted(found, key=lambda job: job.id)


def read_steps(connection: sqlite3.Connection, job_id: str) -> list[dict[str, Any]]:
    """A job's steps with their runs' progress summed up."""
    steps = []
    for step in connection.execute(
        "SELECT id, position, name, handler, params, inputs, lane, state, started_at, finished_at FROM steps WHERE job_id = ? ORDER BY position",
        (job_id,),
    ):
        runs = connection.execute(
            "SELECT id, ordinal, state, phase, done, total, unit, started_at, finished_at, not_before FROM runs WHERE step_id = ? ORDER BY ordinal",
            (step["id"],),
        ).fetchall()
        entry = {key: step[key] for key in ("name", "handler", "lane", "state", "started_at", "finished_at")}
        entry["params"] = json.loads(step["params"])
        entry["inputs"] = json.loads(step["inputs"])
        entry["runs"] = [dict(run) for run in runs]
        steps.append(entry)
    return steps


def read_files(connection: sqlite3.Connection, paths: Paths, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file a job has finished, with the place where it lies now: published, or still staged."""
    rows = connection.execute(
        "SELECT steps.name AS step, runs.ordinal AS run, item, kind, label, artifacts.path, published, size_bytes, facts,"
        " EXISTS (SELECT 1 FROM kept WHERE kept.job_id = steps.job_id AND kept.step = steps.name AND kept.item = artifacts.item) AS kept"
        " FROM artifacts JOIN runs ON runs.id = artifacts.run_id JOIN steps ON steps.id = runs.step_id"
        " WHERE artifacts.job_id = ? ORDER BY steps.position, runs.ordinal, item, kind <> 'primary', artifacts.id",
        (job["id"],),
    )
    files = []
    for row in rows:
        staged = paths.staging / row["path"]
        place = Path(job["folder"]) / row["published"] if job["folder"] else staged
        if not place.exists() and staged.exists():
            place = staged
        entry = {key: row[key] for key in ("step", "run", "item", "kind", "label", "size_bytes")}
        files.append(
            {
                **entry,
                "name": row["published"],
                "path": str(place),
                "there": place.exists(),
                "kept": bool(row["kept"]),
                "facts": json.loads(row["facts"]),
            }
        )
    return files
