"""What a step with `for_each` goes over: the rows of a table, or the items of a step. Reads the ledger and one file.

A table is a sidecar labelled `rows` of an item, JSON Lines: ``path`` (from the root of the filesystem) and ``label`` in
every row, ``key`` where the handler knows the content, and whatever else it says of it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.ledger import Ledger
from daemon.outbox import Outbox

LABEL = "rows"
LARGEST_TABLE = 32 << 20
"""In bytes: the loop reads a table at once, and must not be held up by it."""
LONGEST_TEXT = 4096
DEEPEST = 8
"""Levels of lists and objects within a row: it is written and read again by programs that have their limits."""

FILES = """
SELECT artifacts.*, jobs.state AS job_state, runs.ordinal
FROM artifacts JOIN runs ON runs.id = artifacts.run_id JOIN steps ON steps.id = runs.step_id
     JOIN jobs ON jobs.id = artifacts.job_id
WHERE artifacts.job_id = ? AND steps.name = ?
  AND (artifacts.kind = 'primary' OR artifacts.kind = 'sidecar' AND artifacts.label = ?)
ORDER BY runs.ordinal, artifacts.item
"""


class BadTable(ValueError):
    """A table that cannot be gone over; the message says which, which row, and why."""


@dataclass(frozen=True)
class Thing:
    """One thing that a run is for."""

    key: str
    """Its content; the second thing of the same content has a number, so that it is run too."""
    each: str
    """What people call it: `beds/3`, or a row's label."""
    row: dict[str, Any] | None = None


def gone_over(ledger: Ledger, outbox: Outbox, job_id: str, over: str) -> list[Thing]:
    """Everything that `for_each: {in: over}` of a job goes over, in order.

    Raises
    ------
    BadTable
        When a table cannot be read.
    """
    name = over.removeprefix("from/")
    source_job = ledger.value("SELECT from_job FROM jobs WHERE id = ?", job_id) if name != over else job_id
    files = ledger.rows(FILES, source_job, name, LABEL)
    tables = {(file["run_id"], file["item"]): file for file in files if file["kind"] == "sidecar"}
    things, seen, taken = [], Counter[str](), set[str]()
    items = [file for file in files if file["kind"] == "primary"]
    for number, item in enumerate(items, 1):
        table = tables.get((item["run_id"], item["item"]))
        found = (
            [(item["sha256"], f"{over}/{number}", None)]
            if table is None
            else [(row.get("key") or row["path"], row["label"], row) for row in _read(outbox.place_of(table), table)]
        )
        for key, each, row in found:
            seen[key] += 1
            # A row may itself be called what a second one would be: two runs of one key would be one.
            while (own := key if seen[key] == 1 else f"{key}.{seen[key]}") in taken:
                seen[key] += 1
            taken.add(own)
            things.append(Thing(own, each, row))
    return things


def _read(path: Path, table: sqlite3.Row) -> Iterator[dict[str, Any]]:
    name = table["published"]
    if table["size_bytes"] > LARGEST_TABLE:
        raise BadTable(f"{name} has {table['size_bytes'] >> 20} MiB of rows, {LARGEST_TABLE >> 20} are allowed")
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadTable(f"{path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadTable(f"{name}, row {number}: {error}") from None
        if not isinstance(row, dict):
            raise BadTable(f"{name}, row {number}: is no JSON object")
        if _is_deeper(row, DEEPEST):
            raise BadTable(f"{name}, row {number}: is nested deeper than {DEEPEST} levels")
        for key in ("path", "label", "key"):
            text = row.get(key)
            if key == "key" and not text:
                continue
            if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT or not text.isprintable():
                raise BadTable(f"{name}, row {number}: `{key}` must be one line of plain text, found {text!a:.60}")
        yield row


def _is_deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(one, levels - 1) for one in inside)
