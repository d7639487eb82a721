"""Finished items by the names that people call them, and which of them someone wants to keep. Reads the ledger."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

QUERY = """
SELECT steps.name AS step, steps.for_each, artifacts.run_id, artifacts.item, artifacts.facts,
       EXISTS (SELECT 1 FROM kept
               WHERE kept.job_id = steps.job_id AND kept.step = steps.name AND kept.item = artifacts.item) AS kept
FROM artifacts JOIN runs ON runs.id = artifacts.run_id JOIN steps ON steps.id = runs.step_id
WHERE artifacts.job_id = ? AND artifacts.kind = 'primary' ORDER BY steps.position, runs.ordinal, artifacts.item
"""


@dataclass(frozen=True)
class Finished:
    """One finished item."""

    step: str
    """As the ledger names it: `beds`, or `seed-7/beds` of a job with several seeds."""
    place: int
    """Its number among the finished ones of its step, as references count."""
    item: int
    """Its number within its run."""
    run_id: int
    many_runs: bool
    """Of a step with `for_each`."""
    facts: dict[str, Any]
    kept: bool

    @property
    def label(self) -> str:
        return f"{self.step}/{self.place}"


def finished(connection: sqlite3.Connection, job_id: str) -> dict[str, Finished]:
    """Every finished item of a job by its label, in order."""
    found: dict[str, Finished] = {}
    places: dict[str, int] = {}
    for row in connection.execute(QUERY, (job_id,)):
        place = places[row["step"]] = places.get(row["step"], 0) + 1
        entry = Finished(
            row["step"],
            place,
            row["item"],
            row["run_id"],
            row["for_each"] is not None,
            json.loads(row["facts"]),
            bool(row["kept"]),
        )
        found[entry.label] = entry
    return found


def listed(items: dict[str, Finished]) -> str:
    """``beds/1 to beds/5 and mix/1``, for messages."""
    last: dict[str, int] = {}
    for entry in items.values():
        last[entry.step] = entry.place
    words = [f"{step}/1 to {step}/{count}" if count > 1 else f"{step}/1" for step, count in last.items()]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "none"
