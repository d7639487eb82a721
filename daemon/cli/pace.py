"""How long things take on this machine, from its own ledger: medians over finished runs, never a guess."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from daemon.cli.terminal import parse_time

RUNS_LOOKED_AT = 50
SHORTEST_AUDIO_S = 0.1


@dataclass(frozen=True)
class Pace:
    """Medians of one handler (with one model) on this machine."""

    runs: int
    took_s: float
    """Seconds a run took."""
    took_s_same: float | None
    """The same over runs with exactly these parameters."""
    seconds_per_second: float | None
    """Seconds of work per second of audio delivered."""
    bytes_per_second: float | None
    """Bytes on disk per second of audio delivered."""


def read_pace(connection: sqlite3.Connection | None, handler: str, params: dict[str, Any] | None = None) -> Pace | None:
    """The pace of the latest finished runs of a handler; with `params` naming a model, of that model only. None: no runs yet."""
    if connection is None:
        return None
    model = (params or {}).get("model")
    rows = connection.execute(
        # Of the attempts, not of the run: between a cancelled one and its retry lies no work.
        "SELECT steps.params, (SELECT sum(julianday(ended_at) - julianday(started_at)) * 86400 FROM attempts WHERE run_id = runs.id) AS took_s,"
        " (SELECT sum(json_extract(facts, '$.duration_s')) FROM artifacts WHERE run_id = runs.id AND kind = 'primary') AS audio_s,"
        " (SELECT sum(size_bytes) FROM artifacts WHERE run_id = runs.id) AS size_bytes"
        " FROM runs JOIN steps ON steps.id = runs.step_id"
        # Where items were kept, less was made than lies there.
        " WHERE steps.handler = ? AND steps.keep IS NULL AND runs.state = 'done' AND (? IS NULL OR json_extract(steps.params, '$.model') = ?)"
        " ORDER BY runs.id DESC LIMIT ?",
        (handler, model, model, RUNS_LOOKED_AT),
    ).fetchall()
    known = [(row, row["took_s"]) for row in rows if row["took_s"] is not None]
    if not known:
        return None
    same = [took for row, took in known if params is not None and json.loads(row["params"]) == params]
    measured = [(row, took) for row, took in known if (row["audio_s"] or 0) >= SHORTEST_AUDIO_S]
    return Pace(
        runs=len(known),
        took_s=median(took for _, took in known),
        took_s_same=median(same) if same else None,
        seconds_per_second=median(took / row["audio_s"] for row, took in measured) if measured else None,
        bytes_per_second=median(row["size_bytes"] / row["audio_s"] for row, _ in measured) if measured else None,
    )


def remaining_s(
    connection: sqlite3.Connection, steps: list[dict[str, Any]], now: datetime | None = None
) -> float | None:
    """Seconds of work a job has left once it has its lane to itself; None when something in it has no measure yet."""
    now = now or datetime.now(UTC)
    total = 0.0
    for step in steps:
        unfinished = [run for run in step["runs"] if run["state"] in ("waiting", "queued", "running")]
        if not unfinished and not (step["runs"] or step["state"] in ("done", "failed", "cancelled")):
            unfinished = [{"state": "waiting"}]  # A step whose runs are not known before its input is.
        pace = read_pace(connection, step["handler"], step["params"]) if unfinished else None
        usual = None if pace is None else pace.took_s_same or pace.took_s
        for run in unfinished:
            left = _run_left(run, usual, now)
            if left is None:
                return None
            total += left
    return total


def _run_left(run: dict[str, Any], usual: float | None, now: datetime) -> float | None:
    if run["state"] != "running" or run["started_at"] is None:
        return usual
    elapsed = (now - parse_time(run["started_at"])).total_seconds()
    if usual is not None and elapsed < usual:
        return usual - elapsed
    if run["total"] and run["done"]:
        return elapsed * max(run["total"] - run["done"], 0) / run["done"]
    return None
