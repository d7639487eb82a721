"""The manifest of a job: what made every file, read from the ledger. `report.md` and `index.html` are drawn from it alone.

Touches the ledger for reading and `/proc` for the host's names. Times ISO 8601 in UTC, lengths seconds, sizes bytes.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.jobs import CANCELLED, DONE, ENDED, FAILED

MANIFEST_VERSION = 1

RUNS = """
SELECT runs.step_id, runs.ordinal AS run, runs.each AS of, runs.state,
       round((julianday(runs.finished_at) - julianday(runs.started_at)) * 86400, 3) AS took_s,
       CASE WHEN runs.state = 'done' THEN NULL
            ELSE (SELECT message FROM attempts WHERE run_id = runs.id ORDER BY number DESC LIMIT 1) END AS message
FROM runs JOIN steps ON steps.id = runs.step_id
WHERE runs.job_id = ? AND steps.for_each IS NOT NULL ORDER BY runs.ordinal
"""
"""Of steps that go over many things; any other has one run, which ended as its step did."""


def build(connection: sqlite3.Connection, job_id: str, *, host: dict[str, Any], version: str) -> dict[str, Any]:
    """Gather all the ledger knows of a job whose steps have ended, published or not yet.

    Parameters
    ----------
    connection
        The ledger, open for reading.
    host
        What :func:`host_facts` said.
    version
        Drophammer's own.

    Raises
    ------
    KeyError
        When the ledger holds no such job.
    """
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    job = cursor.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if job is None:
        raise KeyError(f"no job {job_id!r} in the ledger")
    rows = cursor.execute("SELECT * FROM steps WHERE job_id = ? ORDER BY position", (job_id,)).fetchall()
    attempts = _grouped(cursor, "SELECT attempts.*, runs.step_id, runs.ordinal FROM attempts JOIN runs ON runs.id = attempts.run_id "
                        "WHERE attempts.job_id = ? ORDER BY runs.ordinal, attempts.number", job_id)  # fmt: skip
    files = _grouped(cursor, "SELECT artifacts.*, runs.step_id, runs.ordinal FROM artifacts JOIN runs ON runs.id = artifacts.run_id "
                     "WHERE artifacts.job_id = ? ORDER BY runs.ordinal, artifacts.item, artifacts.id", job_id)  # fmt: skip
    runs: dict[int, list[dict[str, Any]]] = {}
    for row in cursor.execute(RUNS, (job_id,)):
        runs.setdefault(row["step_id"], []).append(
            {name: row[name] for name in ("run", "of", "state", "took_s", "message")}
        )
    return {
        "manifest_version": MANIFEST_VERSION,
        "drophammer": version,
        "job": {
            "id": job["id"],
            "name": job["name"],
            "state": outcome(job, rows),
            "reason": job["reason"],
            "seed": job["seed"],
            "seeds": _json(job["seeds"], []),
            "procedural": bool(job["procedural"]),
            "failures": job["failures"],
            "origin": job["origin"],
            "accepted_at": job["accepted_at"],
            "started_at": job["started_at"]
            or min((row["started_at"] for row in rows if row["started_at"]), default=None),
            "finished_at": job["finished_at"]
            or max((row["finished_at"] for row in rows if row["finished_at"]), default=None),
            "from_job": job["from_job"],
            "document": job["document"],
        },
        "host": host,
        "steps": [
            _step(row, attempts.get(row["id"], []), files.get(row["id"], []), runs.get(row["id"], [])) for row in rows
        ],
    }


def outcome(job: sqlite3.Row, steps: Iterable[sqlite3.Row]) -> str:
    """How a job has ended; while it is being published its row does not say so yet, its steps do."""
    if job["state"] in ENDED:
        return str(job["state"])
    states = {step["state"] for step in steps}
    if states == {DONE}:
        return DONE
    return CANCELLED if job["cancel_asked"] or FAILED not in states else FAILED


def _grouped(cursor: sqlite3.Cursor, query: str, job_id: str) -> dict[int, list[sqlite3.Row]]:
    groups: dict[int, list[sqlite3.Row]] = {}
    for row in cursor.execute(query, (job_id,)):
        groups.setdefault(row["step_id"], []).append(row)
    return groups


def _step(
    row: sqlite3.Row, attempts: list[sqlite3.Row], files: list[sqlite3.Row], runs: list[dict[str, Any]]
) -> dict[str, Any]:
    versions: dict[str, str] = {}
    warnings: dict[str, None] = {}
    inputs: dict[tuple[str, str], dict[str, str]] = {}
    for attempt in attempts:
        versions |= _json(attempt["versions"], {})
        warnings |= dict.fromkeys(_json(attempt["warnings"], []))
        inputs |= {(entry["label"], entry["path"]): entry for entry in _json(attempt["inputs"], [])}
    return {
        "name": row["name"],
        "seed": row["seed"],
        "handler": row["handler"],
        "handler_version": versions.pop(row["handler"], None),
        "params": _json(row["params"], {}),
        "state": row["state"],
        "lane": row["lane"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "took_s": _between(row["started_at"], row["finished_at"]),
        "cpu_s": _total(attempt["cpu_s"] for attempt in attempts),
        "peak_memory_bytes": max((attempt["peak_memory_bytes"] or 0 for attempt in attempts), default=0) or None,
        "versions": versions,
        "attempts": [_attempt(attempt) for attempt in attempts],
        "for_each": _json(row["for_each"], None),
        "runs": runs,
        "warnings": list(warnings),
        "inputs": list(inputs.values()),
        "items": _items(row["name"], files),
    }


def _attempt(row: sqlite3.Row) -> dict[str, Any]:
    names = ("number", "outcome", "meaning", "message", "started_at", "ended_at")
    return {"run": row["ordinal"], **{name: row[name] for name in names}}


def _items(step: str, files: list[sqlite3.Row]) -> list[dict[str, Any]]:
    """The finished items, numbered through all runs as references count them. What has no primary is not finished."""
    together: dict[tuple[int, int], list[sqlite3.Row]] = {}
    for row in files:
        together.setdefault((row["ordinal"], row["item"]), []).append(row)
    items = []
    for (run, item), rows in together.items():
        primary = next((row for row in rows if row["kind"] == "primary"), None)
        if primary is None:
            continue
        items.append(
            {
                "item": item,
                "run": run,
                "label": f"{step}/{len(items) + 1}",
                "facts": _json(primary["facts"], {}),
                "files": [_file(row) for row in sorted(rows, key=lambda row: row["kind"] != "primary")],
            }
        )
    return items


def _file(row: sqlite3.Row) -> dict[str, Any]:
    entry = {"name": row["published"], **{name: row[name] for name in ("kind", "label", "size_bytes", "sha256")}}
    facts = _json(row["facts"], {})
    return {**entry, "facts": facts} if facts and row["kind"] != "primary" else entry


def _json(text: str | None, default: Any) -> Any:
    value = json.loads(text) if text else None
    return default if value is None else value


def _between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 3) if known else None


def host_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Name the machine: hostname, platform, Python, CPU, GPU (None without an NVIDIA driver). Reads a few files, runs nothing."""
    system = os.uname()
    return {
        "hostname": system.nodename,
        "platform": f"{system.sysname} {system.release} {system.machine}",
        "python": platform.python_version(),
        "cpu": _cpu(root),
        "gpu": _gpu(root),
    }


def _cpu(root: Path) -> str:
    models = _values(root / "proc/cpuinfo", "model name") or [os.uname().machine]
    return f"{models[0]}, {os.cpu_count()} threads"


def _gpu(root: Path) -> str | None:
    # The driver lists its cards here; nvidia-smi would say more, but can hang with a sick card.
    try:
        cards = sorted((root / "proc/driver/nvidia/gpus").iterdir())
    except OSError:
        return None
    models = [name for card in cards for name in _values(card / "information", "Model")[:1]]
    return ", ".join(models) or None


def _values(path: Path, key: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [
        value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon and name.strip() == key
    ]
