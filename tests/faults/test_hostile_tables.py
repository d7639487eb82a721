"""What a handler tells the daemon: tables that a step goes over, and words. Whatever they hold, the daemon lives and says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once


def row(**keys: object) -> bytes:
    return json.dumps({"path": "/x.wav", "label": "x", "key": "k", **keys}).encode() + b"\n"


def more(text: bytes) -> bytes:
    return b'{"path": "/x.wav", "label": "x", "more": ' + text + b"}\n"


TABLES: dict[str, tuple[bytes, str]] = {
    "deep": (more(b"[" * 50_000 + b"]" * 50_000), "row 1: "),
    "less-deep": (more(b"[" * 400 + b"]" * 400), "row 1: is nested deeper than"),
    "nul": (row(path="/x\0.wav"), "row 1: `path`"),
    "half-a-letter": (row(label="\ud800"), "row 1: `label`"),
    "half-a-path": (row(path="/\ud800.wav"), "row 1: `path`"),
    "half-a-key": (row(key="\ud800"), "row 1: `key`"),
    "half-elsewhere": (row(slug="\ud800"), "outside the folders that jobs may read"),
    "escape": (row(label="\x1b[31mred"), "row 1: `label`"),
    "odd-key": (row(key=[1]), "row 1: `key`"),
    "number": (more(b"9" * 5000), "row 1: "),
    "not-utf-8": (row() + b'{"path": "/x\xff", "label": "x"}\n', "row 2: "),
    "utf-16": (row().decode().encode("utf-16"), "_rows.jsonl, row "),
    "no-object": (b"7\n", "row 1: is no JSON object"),
    "empty": (b"", "nothing to go over"),
    "climbing": (row(path="../../etc/passwd"), "outside the folders that jobs may read"),
    "home": (row(path="~/x.wav"), "outside the folders that jobs may read"),
    "ledger": (row(path="{state}/ledger.sqlite3"), "never names the ledger"),
}
"""By name of the job: its table, and a word of what its person is told."""


def test_whatever_a_table_holds_its_job_fails_in_words_and_the_daemon_lives(running: BreakableHouse) -> None:
    for name, (content, _) in TABLES.items():
        table = running.home / f"{name}.table"
        table.write_bytes(content.replace(b"{state}", str(running.state).encode()))
        over = {"do": "wreck", "input": ["each"], "for_each": {"in": "listing"}, "retries": 0}
        running.drop(f"{name}.yaml", {"steps": {"listing": {"do": "wreck", "table": str(table)}, "mine": over}})
    ended = "SELECT count(*) FROM jobs WHERE state IN ('done', 'failed')"
    eventually(
        lambda: running.process.poll() is not None or running.rows(ended)[0][0] == len(TABLES), "all tables are judged"
    )
    assert running.process.poll() is None, running.output()[-2000:]
    for name, (_, words) in TABLES.items():
        job = running.ended(name, "failed")
        assert words in job["reason"] and job["reason"].isprintable(), (name, job["reason"])
    assert published_once(running) == []


@pytest.mark.parametrize(
    "said", ["\ud800\udc00\ud800", "caf\udce9", "\x1b[31mred\0", "\u202eback", "'\"<b>&\n\n"], ids=ascii
)
def test_whatever_a_handler_says_is_kept_and_published(running: BreakableHouse, said: str) -> None:
    running.drop("says.yaml", {"do": "wreck", "says": json.dumps(said)})
    running.drop("refuses.yaml", {"do": "wreck", "says": json.dumps(said), "refuses": True})
    eventually(
        lambda: (
            running.process.poll() is not None
            or all((job := running.job(name)) and job["folder"] for name in ("says", "refuses"))
        ),
        "both are over",
    )
    assert running.process.poll() is None, running.output()[-2000:]
    job = running.ended("says")
    kept = running.manifest(job)["steps"][0]["items"][0]["facts"]["said"]
    assert kept == said.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\ufffd", "?"), ascii(
        kept
    )
    for name in ("says", "refuses"):
        folder = Path(running.job(name)["folder"])
        assert {"index.html", "report.md", "manifest.json"} <= {path.name for path in folder.iterdir()}
        shown = running.drophammer("show", name) + running.drophammer("logs", name) + running.drophammer("list")
        assert all(character.isprintable() or character == "\n" for character in shown), name
    assert "Traceback" not in running.output()
    assert published_once(running) == []
