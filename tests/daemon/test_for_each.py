"""A step that goes over the rows of a table, with the real daemon: each run for itself, none twice, none forgotten."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import House, eventually
from tests.miners import ALL


@pytest.fixture
def mines(house: House) -> House:
    """An installation that knows how to list, mine and gather; nothing runs yet."""
    (house.home / "tracks").mkdir()
    house.configure(handlers=ALL, roots=[str(house.home / "tracks")], lanes={"cpu": {"workers": 2}}, backoff=0.05)
    return house


def tracks(house: House, *words: str) -> None:
    """One file for each word, whose content is that word and its number."""
    for number, word in enumerate(words):
        (house.home / "tracks" / f"track{number:02d}.txt").write_text(f"{word} {number}")


def job(
    house: House, *, mine: dict[str, Any] | None = None, listing: dict[str, Any] | None = None, **for_each: Any
) -> dict[str, Any]:
    return {
        "name": "dig",
        "seed": 1,
        "steps": {
            "files": {"do": "list", "root": str(house.home / "tracks"), **(listing or {})},
            "mine": {
                "do": "mine",
                "input": "each",
                "for_each": {"in": "files", **for_each},
                "timeout": "20s",
                **(mine or {}),
            },
            "all": {"do": "gather", "input": "mine"},
        },
    }


def gathered(job: sqlite3.Row) -> list[dict[str, Any]]:
    return json.loads((Path(job["folder"]) / "gathered.json").read_text())


def runs(house: House, state: str = "done") -> int:
    query = "SELECT count(*) FROM runs JOIN steps ON steps.id = step_id WHERE steps.name = 'mine' AND runs.state = ?"
    rows = house.rows(query, state)
    return rows[0][0] if rows else 0


def test_each_row_is_a_run_and_its_files_lie_where_the_handler_wants_them(mines: House) -> None:
    tracks(mines, *["tone"] * 4)
    mines.start()
    mines.drop("dig.yaml", job(mines, mine={"items": 2}, start=1, limit=2))
    done = mines.ended("dig")
    folder = Path(done["folder"])
    assert sorted(str(path.relative_to(folder)) for path in (folder / "by_source").rglob("*.txt")) == [
        f"by_source/track0{number}/pads/track0{number}_pad0{item}.txt" for number in (1, 2) for item in (1, 2)
    ]
    assert (folder / "files.csv").exists() and (folder / "files_rows.jsonl").exists()
    first, second = gathered(done)
    assert (first["label"], first["id"], first["ok"], first["reason"]) == ("track01.txt", "audio_0001", True, "")
    assert first["took_s"] >= 0
    published = "by_source/track02/pads/track02_pad02.txt"
    note = {"note": "by_source/track02/notes/track02_02.log"}
    assert second["items"][1] == ["mine/4", published, note, "mined from track02.txt\n"]
    step = mines.manifest(done)["steps"][1]
    assert [(run["run"], run["of"], run["state"]) for run in step["runs"]] == [
        (1, "track01.txt", "done"),
        (2, "track02.txt", "done"),
    ]
    assert [entry["label"] for entry in step["inputs"]] == ["track01.txt", "track02.txt"]
    assert len(step["inputs"][0]["sha256"]) == 64, "hashed at dispatch"


def test_one_run_that_fails_or_dies_or_hangs_spoils_no_other(mines: House) -> None:
    tracks(mines, "tone", "invalid", "crash", "hang", "tone", "transient", "tone")
    mines.start()
    mines.drop("dig.yaml", job(mines, mine={"timeout": "1s", "retries": 1}))
    done = mines.ended("dig")
    assert done["failures"] == 4
    reasons = {run["label"]: run["reason"] for run in gathered(done) if not run["ok"]}
    assert reasons == {
        "track01.txt": "this file is silent; take another",
        "track02.txt": "it exited with status 3 in the middle of its work",
        "track03.txt": "it did not finish within 1 s",
        "track05.txt": "the disk is busy",
    }
    attempts = mines.rows(
        "SELECT each, count(*) AS n FROM attempts JOIN runs ON runs.id = run_id WHERE each IS NOT NULL GROUP BY each"
    )
    assert {row["each"]: row["n"] for row in attempts} == {
        "track00.txt": 1, "track01.txt": 1, "track02.txt": 3, "track03.txt": 1, "track04.txt": 1, "track05.txt": 2, "track06.txt": 1,
    }  # fmt: skip
    assert "failures: 4" in (Path(done["folder"]) / "index.html").read_text()
    assert "failures: 4" in (Path(done["folder"]) / "report.md").read_text()
    assert mines.manifest(done)["job"]["failures"] == 4


def test_a_daemon_killed_in_the_middle_goes_on_where_it_was(mines: House) -> None:
    tracks(mines, *["tone"] * 12)
    stamp = mines.home / "stamps"
    mines.start()
    mines.drop("dig.yaml", job(mines, mine={"seconds": 0.15, "stamp": str(stamp)}))
    eventually(lambda: 3 <= runs(mines) < 9, "some runs are done")
    mines.stop(signal.SIGKILL)
    done_before = {row["each"] for row in mines.rows("SELECT each FROM runs WHERE state = 'done' AND each IS NOT NULL")}
    begun_before = len(stamp.read_text().splitlines())
    mines.start()
    done = mines.ended("dig")
    begun = stamp.read_text().splitlines()
    assert 3 <= len(done_before) < 12
    assert not done_before & set(begun[begun_before:]), "what was done is not run again"
    assert set(begun) == {f"track{number:02d}.txt" for number in range(12)}
    assert len(list((Path(done["folder"]) / "by_source").rglob("*_pad01.txt"))) == 12
    assert Counter(
        row["outcome"] for row in mines.rows("SELECT outcome FROM attempts WHERE outcome != 'done'")
    ).keys() <= {"interrupted"}
    assert len(gathered(done)) == 12 and all(run["ok"] for run in gathered(done))


def test_too_few_successes_fail_the_job_and_a_retry_runs_only_what_failed(mines: House) -> None:
    tracks(mines, "tone", "invalid", "tone", "invalid")
    stamp = mines.home / "stamps"
    mines.start()
    mines.drop("dig.yaml", job(mines, mine={"min_success": 3, "stamp": str(stamp)}))
    failed = mines.ended("dig", "failed")
    assert "2 of 4 runs succeeded, 3 must" in failed["reason"] and failed["failures"] == 2
    tracks(mines, "tone", "tone", "tone", "invalid")
    mines.ask("retry", job=failed["id"])
    done = mines.ended("dig")
    assert done["failures"] == 1
    assert Counter(stamp.read_text().splitlines()) == {
        "track00.txt": 1,
        "track01.txt": 2,
        "track02.txt": 1,
        "track03.txt": 2,
    }
    assert [run["ok"] for run in gathered(done)] == [True, True, True, False]


def test_cancelling_ends_all_runs_and_keeps_what_was_mined(mines: House) -> None:
    tracks(mines, *["tone"] * 8)
    mines.start()
    mines.drop("dig.yaml", job(mines, mine={"seconds": 0.3}))
    eventually(lambda: runs(mines) >= 2, "some runs are done")
    mines.ask("cancel", job=mines.job("dig")["id"])
    ended = mines.ended("dig", "cancelled")
    kept = len(list((Path(ended["folder"]) / "by_source").rglob("*_pad01.txt")))
    assert 2 <= kept < 8 and runs(mines, "queued") == runs(mines, "running") == 0
    mines.ask("retry", job=ended["id"])
    assert len(list((Path(mines.ended("dig")["folder"]) / "by_source").rglob("*_pad01.txt"))) == 8


def test_working_folders_stay_where_the_job_wants_them(mines: House) -> None:
    tracks(mines, "tone")
    mines.start()
    mines.drop("dig.yaml", {**job(mines, mine={"leaves": "half.bin"}), "keep_work": True})
    folder = Path(mines.ended("dig")["folder"])
    assert [str(path.relative_to(folder)) for path in (folder / "work").rglob("*.*") if path.is_file()] == [
        "work/mine.001.1/half.bin"
    ]
    assert (folder / "by_source/track00/pads/track00_pad01.txt").exists()


def test_a_dry_run_lists_the_rows_that_would_be_run_and_leaves_nothing(mines: House) -> None:
    tracks(mines, *["tone"] * 4)
    plan = mines.home / "dig.yaml"
    plan.write_text(json.dumps(job(mines, start=1, limit=2)))
    command = [sys.executable, "-m", "daemon", "submit", "--dry-run", str(plan)]
    said = subprocess.run(command, env=mines.environment, cwd=mines.home, capture_output=True, text=True, check=True)
    assert "mine would run 2 times, for these of 4 rows of files:" in said.stdout
    assert said.stdout.splitlines()[-2:] == ["     2  track01.txt", "     3  track02.txt"]
    (report,) = json.loads(subprocess.check_output([*command, "--json"], env=mines.environment, cwd=mines.home))
    assert report["runs"] == [
        {"step": "mine", "over": "files", "rows": 4, "start": 1, "chosen": ["track01.txt", "track02.txt"]}
    ]
    assert list(mines.inbox.iterdir()) == [] and not mines.outbox.exists()


def test_a_job_goes_over_the_rows_that_an_earlier_one_listed(mines: House) -> None:
    tracks(mines, "tone", "tone")
    mines.start()
    mines.drop("dig.yaml", job(mines))
    mines.ended("dig")
    again = {
        "from": "dig",
        "steps": {"mine": {"do": "mine", "input": "each", "for_each": {"in": "from/files", "start": 1}}},
    }
    mines.drop("deeper.yaml", again)
    folder = Path(mines.ended("deeper")["folder"])
    assert [path.name for path in (folder / "by_source").rglob("*.txt")] == ["track01_pad01.txt"]
    whole = {"from": "dig", "steps": {"all": {"do": "gather", "input": "from/mine"}}}
    mines.drop("page.yaml", whole)
    assert [run["label"] for run in gathered(mines.ended("page"))] == ["track00.txt", "track01.txt"]


def test_a_row_outside_the_roots_fails_alone_and_says_how_to_allow_it(mines: House) -> None:
    tracks(mines, "tone")
    secret = mines.home / "secret.txt"
    secret.write_text("tone secret")
    mines.start()
    mines.drop("dig.yaml", job(mines, listing={"stray": str(secret)}))
    first, stray = gathered(mines.ended("dig"))
    assert first["ok"] and not stray["ok"] and "outside the folders that jobs may read" in stray["reason"]


def test_a_table_that_is_none_fails_its_job_in_words(mines: House) -> None:
    tracks(mines, "tone")
    mines.start()
    mines.drop("dig.yaml", job(mines, listing={"garbled": True}))
    assert "step mine: files_rows.jsonl, row 1:" in mines.ended("dig", "failed")["reason"]


def test_a_start_past_the_last_row_says_how_many_there_are(mines: House) -> None:
    tracks(mines, "tone", "tone")
    mines.start()
    mines.drop("dig.yaml", job(mines, start=5))
    assert "nothing to go over: files has 2 rows, start is 5" in mines.ended("dig", "failed")["reason"]


def test_the_same_recording_twice_is_mined_twice_and_named_apart(mines: House) -> None:
    tracks(mines, "tone")
    again = mines.home / "tracks" / "again"
    again.mkdir()
    (again / "track00.txt").write_text("tone 0")
    mines.start()
    mines.drop("dig.yaml", job(mines))
    folder = Path(mines.ended("dig")["folder"]) / "by_source/track00/pads"
    assert sorted(path.name for path in folder.iterdir()) == ["track00_pad01-2.txt", "track00_pad01.txt"]


def test_a_row_called_what_a_second_one_would_be_is_mined_too(mines: House) -> None:
    tracks(mines, "tone")
    again = mines.home / "tracks" / "again"
    again.mkdir()
    (again / "track00.txt").write_text("tone 0")
    other = again / "track00.txt"
    key = hashlib.sha256(b"tone 0").hexdigest()
    mines.start()
    mines.drop("dig.yaml", job(mines, listing={"stray": str(other), "stray_key": f"{key}.2"}))
    done = mines.ended("dig")
    assert [run["label"] for run in gathered(done)] == ["again/track00.txt", "track00.txt", "stray"]


def test_a_thousand_rows_hold_nothing_up(mines: House) -> None:
    tracks(mines, *["invalid"] * 1000)
    (mines.home / "tracks" / "track1000.txt").write_text("tone last")
    mines.start()
    mines.drop("dig.yaml", job(mines, mine={"timeout": "30s"}))
    done = mines.ended("dig")
    assert done["failures"] == 1000 and len(gathered(done)) == 1001
    for page in ("index.html", "report.md"):
        assert (Path(done["folder"]) / page).stat().st_size < 400_000, page
    assert len(mines.manifest(done)["steps"][1]["runs"]) == 1001
