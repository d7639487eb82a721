"""The manifest is what the ledger holds, in order, and nothing that was not finished."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon import manifest, pages
from daemon.ledger import Ledger

JOB = "20261121-020315-industrial-set-0042"
HOST = {"hostname": "anvil"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def columns_of(ledger: Ledger, table: str) -> dict[str, str]:
    return {
        row["name"]: row["type"]
        for row in ledger.rows(f"PRAGMA table_info({table})")
        if row["notnull"] and row["dflt_value"] is None and not row["pk"]
    }


def insert(ledger: Ledger, table: str, **columns: Any) -> int:
    """Insert a row; what must not be NULL and is not said is empty."""
    empty = {name: 0 if kind in ("INTEGER", "REAL") else "[]" for name, kind in columns_of(ledger, table).items()}
    return ledger.insert(table, **(empty | columns))


def add_job(ledger: Ledger, **columns: Any) -> None:
    facts = {
        "id": JOB,
        "name": "industrial-set",
        "state": "running",
        "document": "do: stems\n",
        "origin": "inbox",
        "seed": 7,
        "accepted_at": "2026-11-21T02:03:15.250Z",
        "started_at": "2026-11-21T02:03:16.000Z",
    }
    insert(ledger, "jobs", **(facts | columns))


def add_step(ledger: Ledger, position: int, name: str, state: str = "done", **columns: Any) -> int:
    facts = {
        "job_id": JOB,
        "position": position,
        "name": name,
        "handler": "stems",
        "params": {"count": 2},
        "lane": "gpu",
        "state": state,
        "started_at": "2026-11-21T02:03:16.000Z",
        "finished_at": f"2026-11-21T02:03:2{position}.500Z",
    }
    return insert(ledger, "steps", **(facts | columns))


def add_run(ledger: Ledger, step: int, ordinal: int, state: str = "done") -> int:
    return insert(ledger, "runs", job_id=JOB, step_id=step, ordinal=ordinal, key=str(ordinal), state=state, lane="gpu")


def add_attempt(ledger: Ledger, run: int, number: int, outcome: str = "done", **columns: Any) -> int:
    return insert(
        ledger, "attempts", job_id=JOB, run_id=run, number=number, outcome=outcome, started_at="2026-11-21T02:03:16.000Z", **columns
    )


def add_file(ledger: Ledger, run: int, attempt: int, item: int, name: str, kind: str = "primary", label: str = "", **facts: Any) -> None:
    insert(
        ledger,
        "artifacts",
        job_id=JOB,
        run_id=run,
        attempt_id=attempt,
        item=item,
        kind=kind,
        label=label,
        path=f"x/{name}",
        published=name,
        size_bytes=10 * item,
        sha256="ab",
        facts=facts,
        created_at="x",
    )


def build(ledger: Ledger) -> dict[str, Any]:
    return manifest.build(ledger.connection, JOB, host=HOST, version="0.1.0")


def test_manifest_holds_items_with_their_primary_first_and_their_facts(ledger: Ledger) -> None:
    add_job(ledger)
    run = add_run(ledger, add_step(ledger, 1, "beds"), 1)
    attempt = add_attempt(ledger, run, 1)
    add_file(ledger, run, attempt, 1, "s_beds_1_grid.json", "sidecar", "grid")
    add_file(ledger, run, attempt, 1, "s_beds_1.mp3", "rendition", kbps=192)
    add_file(ledger, run, attempt, 1, "s_beds_1.wav", tempo_bpm=128.0)
    (item,) = build(ledger)["steps"][0]["items"]
    assert [file["name"] for file in item["files"]] == ["s_beds_1.wav", "s_beds_1_grid.json", "s_beds_1.mp3"]
    assert item["label"] == "beds/1" and item["facts"] == {"tempo_bpm": 128.0}
    assert item["files"][2]["facts"] == {"kbps": 192} and "facts" not in item["files"][1]


def test_item_without_a_primary_is_not_finished_and_not_listed(ledger: Ledger) -> None:
    add_job(ledger)
    run = add_run(ledger, add_step(ledger, 1, "beds", "failed"), 1)
    add_file(ledger, run, add_attempt(ledger, run, 1, "failed"), 1, "s_beds_1_grid.json", "sidecar", "grid")
    assert build(ledger)["steps"][0]["items"] == []


def test_items_are_numbered_through_all_runs_as_references_count_them(ledger: Ledger) -> None:
    add_job(ledger)
    step = add_step(ledger, 1, "mine")
    for ordinal in (2, 1):
        run = add_run(ledger, step, ordinal)
        attempt = add_attempt(ledger, run, 1)
        for item in (1, 2):
            add_file(ledger, run, attempt, item, f"s_mine_{ordinal:03d}-{item}.wav")
    items = build(ledger)["steps"][0]["items"]
    assert [(item["label"], item["run"], item["item"]) for item in items] == [
        ("mine/1", 1, 1),
        ("mine/2", 1, 2),
        ("mine/3", 2, 1),
        ("mine/4", 2, 2),
    ]
    assert items[2]["files"][0]["name"] == "s_mine_002-1.wav"


def test_steps_sum_up_their_attempts(ledger: Ledger) -> None:
    add_job(ledger)
    run = add_run(ledger, add_step(ledger, 1, "beds"), 1)
    entry = {"label": "./x.wav", "path": "/x.wav", "sha256": "cd"}
    add_attempt(
        ledger,
        run,
        1,
        "failed",
        meaning="transient",
        message="disk full",
        cpu_s=1.25,
        peak_memory_bytes=900,
        warnings=["quiet"],
        inputs=[entry],
    )
    add_attempt(
        ledger, run, 2, cpu_s=2.5, peak_memory_bytes=700, warnings=["quiet", "short"], inputs=[entry], versions={"stems": "3", "numpy": "2"}
    )
    (step,) = build(ledger)["steps"]
    assert (step["cpu_s"], step["peak_memory_bytes"], step["took_s"]) == (3.75, 900, 5.5)
    assert step["warnings"] == ["quiet", "short"] and step["inputs"] == [entry]
    assert step["handler_version"] == "3" and step["versions"] == {"numpy": "2"}
    assert [(attempt["number"], attempt["outcome"], attempt["meaning"], attempt["message"]) for attempt in step["attempts"]] == [
        (1, "failed", "transient", "disk full"),
        (2, "done", None, None),
    ]


@pytest.mark.parametrize(
    ("states", "cancel_asked", "outcome"),
    [
        (["done", "done"], 0, "done"),
        (["failed", "cancelled"], 0, "failed"),
        (["failed", "cancelled"], 1, "cancelled"),
        (["done", "cancelled"], 0, "cancelled"),
    ],
)
def test_job_being_published_is_said_to_have_ended_as_its_steps_did(
    ledger: Ledger, states: list[str], cancel_asked: int, outcome: str
) -> None:
    add_job(ledger, cancel_asked=cancel_asked)
    for position, state in enumerate(states, 1):
        add_step(ledger, position, f"s{position}", state)
    job = build(ledger)["job"]
    assert job["state"] == outcome
    assert job["finished_at"] == f"2026-11-21T02:03:2{len(states)}.500Z"


def test_job_that_has_ended_keeps_its_own_words(ledger: Ledger) -> None:
    add_job(ledger, state="failed", reason="why", finished_at="2026-11-21T03:00:00.000Z", failures=2, procedural=1)
    add_step(ledger, 1, "beds")
    job = build(ledger)["job"]
    assert (job["state"], job["reason"], job["finished_at"], job["failures"], job["procedural"]) == (
        "failed",
        "why",
        "2026-11-21T03:00:00.000Z",
        2,
        True,
    )


def test_unknown_job_is_an_error_that_names_it(ledger: Ledger) -> None:
    with pytest.raises(KeyError, match="industrial-set-0042"):
        build(ledger)


def test_pages_can_be_drawn_from_what_the_ledger_holds(ledger: Ledger, tmp_path: Path) -> None:
    add_job(ledger, reason="step beds: it rained")
    step = add_step(ledger, 1, "beds", "failed", started_at=None, finished_at=None)
    add_attempt(ledger, add_run(ledger, step, 1, "failed"), 1, "crashed")
    facts = json.loads(json.dumps(build(ledger)))
    assert {path.name for path in pages.write(tmp_path, facts)} == {"index.html", "report.md", "reason.txt"}
    assert "it rained" in (tmp_path / "reason.txt").read_text()


def test_host_is_named_from_files_alone(tmp_path: Path) -> None:
    card = tmp_path / "proc/driver/nvidia/gpus/0000:41:00.0/information"
    card.parent.mkdir(parents=True)
    card.write_text("Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 162\n")
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz\n")
    facts = manifest.host_facts(tmp_path)
    assert facts["gpu"] == "NVIDIA GeForce RTX 4090"
    assert facts["cpu"].startswith("Some CPU @ 3.00GHz, ")
    assert facts["python"] == platform.python_version()


def test_host_without_a_driver_has_no_gpu(tmp_path: Path) -> None:
    assert manifest.host_facts(tmp_path)["gpu"] is None
