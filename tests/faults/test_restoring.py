"""A backup made while the daemon works, and put back after the ledger is lost: nothing that was published is made again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.backup import restore
from daemon.settings import locate
from tests.conftest import PATIENCE_S, eventually
from tests.faults.conftest import BreakableHouse, published_once
from tests.faults.test_ledger_held import damage
from tests.miners import ALL


def made(house: BreakableHouse) -> Counter[str]:
    """How many items of each job were made, by what the handler itself wrote down."""
    return Counter(
        line.split()[0].split("-", 2)[2].rpartition("-")[0] for line in (house.home / "made").read_text().splitlines()
    )


def at_rest(house: BreakableHouse) -> None:
    eventually(lambda: not list((house.outbox / ".staging").iterdir()), "staging is cleared")


@pytest.fixture
def backed_up(house: BreakableHouse) -> tuple[BreakableHouse, Path]:
    """At the backup `before` is done and `during` runs; `after` and a recording are published later; `late` never is."""
    house.configure(on_audio=[{"match": "*", "do": "wreck"}])
    house.start()
    wreck = {"do": "wreck", "items": 2, "made": str(house.home / "made")}
    house.drop("before.yaml", wreck)
    house.ended("before")
    house.drop("during.yaml", {**wreck, "seconds": 0.1, "fails_until": str(house.home / "gate"), "retries": 20})
    eventually(lambda: len(house.rows("SELECT 1 FROM artifacts")) == 3, "one item of the running job is finished")
    folder = house.home / "backup"
    assert house.drophammer("backup", str(folder)).strip() == str(folder)
    (house.home / "gate").touch()
    house.ended("during")
    each = {"do": "wreck", "input": ["each"], "for_each": {"in": "sources"}, "made": str(house.home / "made")}
    house.drop("after.yaml", {"steps": {"sources": wreck, "mine": each}})
    house.ended("after")
    house.drop("song.wav", b"a recording")
    eventually(lambda: (job := house.job("song")) and job["state"] == "done", "the recording is worked on")
    at_rest(house)
    (house.home / "gate").unlink()
    house.drop("late.yaml", {**wreck, "fails_until": str(house.home / "gate"), "retries": 20})
    eventually(
        lambda: house.rows("SELECT 1 FROM artifacts JOIN jobs ON jobs.id = job_id WHERE name = 'late'"), "late runs"
    )
    house.kill()
    return house, folder


def test_a_backup_put_back_neither_loses_nor_doubles_anything(backed_up: tuple[BreakableHouse, Path]) -> None:
    house, folder = backed_up
    before, inodes = made(house), {entry.name: entry.stat().st_ino for entry in house.outbox.iterdir()}
    damage(house.state / "ledger.sqlite3")
    assert house.start(wait=False).wait(PATIENCE_S) == 2
    assert "./drophammer restore FOLDER" in house.output()
    said = house.drophammer("restore", str(folder))
    assert "3 published jobs were read from the outbox, 1 accepted files dropped again" in said
    (house.home / "gate").touch()
    house.start()
    house.ended("late")
    # A recording that was here is still known, and so is the same one under another name.
    house.drop("copy.wav", b"a recording")
    eventually(
        lambda: house.rows("SELECT 1 FROM drops WHERE path LIKE '%copy.wav' AND note LIKE 'the same recording%'"),
        "known",
    )
    house.drop("next.yaml", {"do": "wreck", "from": "after", "input": ["from/mine/2"]})
    house.ended("next")
    at_rest(house)
    accepted_files_only = [
        line for line in published_once(house) if "is not in accepted/" not in line or "song" not in line
    ]
    assert accepted_files_only == []
    assert house.count() == 6 and house.rows("SELECT count(*) FROM jobs")[0][0] == 6
    assert {name: made(house)[name] for name in ("before", "during", "after")} == {"before": 2, "during": 2, "after": 4}
    assert made(house)["late"] == before["late"] + 2, "only what was not published is made again"
    kept = {
        entry.name: entry.stat().st_ino
        for entry in house.outbox.iterdir()
        if entry.name in inodes and entry.name != "latest"
    }
    assert kept == {name: inode for name, inode in inodes.items() if name != "latest"}, (
        "no published folder was touched"
    )


def test_a_ledger_put_back_by_hand_makes_nothing_again_that_it_took_for_unfinished(
    backed_up: tuple[BreakableHouse, Path],
) -> None:
    house, folder = backed_up
    for file in house.state.glob("ledger.sqlite3*"):
        file.unlink()
    shutil.copy(folder / "ledger.sqlite3", house.state)
    house.start()
    job = house.ended("during")
    assert house.rows("SELECT count(*) FROM artifacts WHERE job_id = ?", job["id"])[0][0] == 2
    assert made(house)["during"] == 2
    assert "published already" in house.output()


def test_without_a_backup_the_ledger_is_rebuilt_from_the_outbox(backed_up: tuple[BreakableHouse, Path]) -> None:
    house, _ = backed_up
    before = made(house)
    said = house.drophammer("restore", "--without")
    assert "4 published jobs were read from the outbox, 0 accepted files dropped again" in said
    assert "1 accepted files were left in accepted/" in said
    house.start()
    assert house.count() == 4
    assert "after" in house.drophammer("list")
    house.drop("next.yaml", {"do": "wreck", "from": "before", "input": ["from/wreck/1"]})
    house.ended("next")
    assert made(house) == before


def test_nothing_is_restored_while_a_daemon_runs_or_from_what_is_damaged(running: BreakableHouse) -> None:
    running.drop("first.yaml", {"do": "wreck"})
    running.ended("first")
    folder = running.drophammer("backup").strip()
    assert Path(folder).parent == running.state / "backups"
    assert sorted(entry.name for entry in Path(folder).iterdir()) == ["accepted", "config", "ledger.sqlite3"]
    assert f"process {running.process.pid}" in running.drophammer("restore", folder, status=2)
    assert "is there already" in running.drophammer("backup", folder, status=2)
    running.stop()
    damage(Path(folder) / "ledger.sqlite3")
    assert "nothing was changed" in running.drophammer("restore", folder, status=2)
    running.start()
    assert running.count() == 1


def test_a_schedule_makes_up_for_nothing_that_came_due_before_a_restore(house: BreakableHouse) -> None:
    nightly = '{cron: "0 3 * * *", timezone: UTC, misfire_grace: 2h, job: {do: wreck, name: night}}'
    (house.home / "config" / "schedules.yaml").write_text(f"nightly: {nightly}\n")
    house.start()
    folder = Path(house.drophammer("backup").strip())
    house.stop()
    with sqlite3.connect(folder / "ledger.sqlite3") as copy:
        copy.execute("UPDATE schedules SET since = '2026-01-01T00:00:00.000Z'")
    copy.close()
    restore(locate(house.home), folder, datetime(2026, 11, 21, 3, 30, tzinfo=UTC))
    assert [row["since"] for row in house.rows("SELECT since FROM schedules")] == ["2026-11-21T03:30:00.000Z"]


def test_a_job_over_rows_survives_a_kill_and_a_restore(house: BreakableHouse) -> None:
    tracks, stamps = house.home / "tracks", house.home / "stamps"
    tracks.mkdir()
    for number in range(8):
        (tracks / f"track{number}.txt").write_text(f"tone {number}")
    house.configure(handlers=ALL, roots=[str(tracks)], lanes={"cpu": {"workers": 2}})
    house.start()
    folder = house.drophammer("backup").strip()
    mine = {"do": "mine", "input": "each", "for_each": {"in": "files"}, "seconds": 0.1, "stamp": str(stamps)}
    steps = {"files": {"do": "list", "root": str(tracks)}, "mine": mine, "all": {"do": "gather", "input": "mine"}}
    house.drop("dig.yaml", {"name": "dig", "steps": steps})
    done_runs = "SELECT each FROM runs WHERE state = 'done' AND row IS NOT NULL"
    eventually(lambda: len(house.rows(done_runs)) >= 2, "some rows are mined")
    house.kill()
    finished, begun = {row["each"] for row in house.rows(done_runs)}, len(stamps.read_text().splitlines())
    house.start()
    job = house.ended("dig")
    assert not finished & set(stamps.read_text().splitlines()[begun:]), "what was mined is not mined again"
    assert published_once(house) == []
    at_rest(house)
    house.stop()
    before = stamps.read_text()
    house.drophammer("restore", folder)
    house.start()
    assert house.job("dig")["state"] == "done" and stamps.read_text() == before
    house.drop("page.yaml", {"from": job["id"], "steps": {"all": {"do": "gather", "input": "from/mine"}}})
    (page,) = Path(house.ended("page")["folder"]).glob("gathered.json")
    told = json.loads(page.read_text())
    assert [run["label"] for run in told] == [f"track{number}.txt" for number in range(8)]
    assert all(run["ok"] and len(run["items"]) == 1 for run in told)
    # The rows themselves are still in the published table, and can be gone over anew.
    house.drop(
        "again.yaml", {"from": job["id"], "steps": {"mine": {**mine, "for_each": {"in": "from/files", "start": 7}}}}
    )
    house.ended("again")
    assert stamps.read_text().splitlines()[-1] == "track7.txt"
    assert published_once(house) == []
