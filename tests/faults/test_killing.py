"""SIGKILL to the daemon, to a worker, to both, at every step of a job's life: accepted once, published exactly once."""

from __future__ import annotations

import os
import random
import sqlite3

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once
from tests.faults.torture import POINTS, VICTIMS, Torture

ROUNDS = 20
SETTLE_EVERY = 5
"""Rounds. A run that is cut short ten times in a row is given up, by promise: so each gets its turn in between."""


def test_nothing_is_lost_or_doubled_however_often_something_is_killed(
    house: BreakableHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("TORTURE_SEED") or random.randrange(1 << 32))
    torture = Torture(house, seed)
    with capsys.disabled():
        print(f"\nTORTURE_SEED={seed}")
    house.start()
    for number in range(ROUNDS):
        point = POINTS[number % len(POINTS)]
        torture.round(point, torture.random.choice(VICTIMS))
        if number % SETTLE_EVERY == SETTLE_EVERY - 1:
            torture.settle()
    torture.settle()
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
    assert torture.account() == [], torture.summary()
    print(torture.summary())
    assert torture.finished, "no kill came while an item was finished: this run proved nothing about them"


@pytest.mark.parametrize(
    "point", ["a job is accepted", "an item is finished", "a folder is assembled", "a job is publishing"]
)
def test_a_daemon_killed_at_a_named_point_takes_up_where_it_was(house: BreakableHouse, point: str) -> None:
    torture = Torture(house, 7)
    house.start()
    torture.round(point, "daemon")
    torture.settle()
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
    assert torture.account() == []


def _as_before_the_end(house: BreakableHouse, state: str) -> str:
    """Bring a published job back to where a crash would have left it; returns its id."""
    house.start()
    house.drop("first.yaml", {"do": "wreck", "items": 2})
    job_id = house.ended("first")["id"]
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
    house.kill()
    ledger = sqlite3.connect(house.state / "ledger.sqlite3")
    with ledger:
        ledger.execute("UPDATE jobs SET state = ?, folder = NULL, finished_at = NULL", (state,))
    ledger.close()
    return job_id


def _unpublish(house: BreakableHouse, job_id: str) -> None:
    (house.outbox / ".staging" / job_id).mkdir()
    (house.outbox / job_id).rename(house.outbox / ".staging" / job_id / ".publish")


def test_a_job_killed_before_its_folder_was_renamed_is_published_at_the_next_start(house: BreakableHouse) -> None:
    _unpublish(house, _as_before_the_end(house, "publishing"))
    house.start()
    house.ended("first")
    assert published_once(house) == []


def test_a_job_killed_after_its_folder_was_renamed_counts_as_published(house: BreakableHouse) -> None:
    job_id = _as_before_the_end(house, "publishing")
    inode = (house.outbox / job_id).stat().st_ino
    house.start()
    house.ended("first")
    assert published_once(house) == []
    assert (house.outbox / job_id).stat().st_ino == inode


def test_a_job_killed_while_its_folder_was_assembled_is_assembled_again(house: BreakableHouse) -> None:
    job_id = _as_before_the_end(house, "running")
    _unpublish(house, job_id)
    # One file has been moved into the folder, the other not yet; the manifest is cut short.
    half = house.outbox / ".staging" / job_id
    (half / "wreck.001.1").mkdir()
    (half / ".publish" / "first_wreck_2.txt").rename(half / "wreck.001.1" / "2.txt")
    (half / ".publish" / "manifest.json").write_text('{"manifest_ver')
    house.start()
    job = house.ended("first")
    assert published_once(house) == []
    assert house.manifest(job)["job"]["state"] == "done"
    assert house.rows("SELECT count(*) FROM attempts")[0][0] == 1, "nothing was made again"


def test_seeds_and_kept_items_survive_a_kill_in_the_middle(house: BreakableHouse) -> None:
    made = house.home / "made"
    wreck = {"do": "wreck", "items": 4, "seconds": 0.1, "made": str(made)}
    house.start()
    house.drop("first.yaml", {"do": "wreck", "items": 2})
    first = house.ended("first")["id"]
    house.drop("second.yaml", {**wreck, "from": "first", "seeds": [1, 2], "keep": {2: "from/wreck/1"}})
    items = f"SELECT published, attempt_id, sha256 FROM artifacts WHERE job_id != '{first}'"
    eventually(lambda: len(house.rows(items)) >= 4, "some items are finished, kept ones among them")
    house.kill()
    before = {tuple(row) for row in house.rows(items)}
    assert len(before) < 8, "the kill came too late to prove anything"
    house.start()
    second = house.ended("second")
    assert published_once(house) == []
    assert before <= {tuple(row) for row in house.rows(items)}, "what was finished was made again"
    assert not [line for line in made.read_text().splitlines() if line.endswith(" 2")], "what is kept was made"
    kept = [step["items"][1]["facts"] for step in house.manifest(second)["steps"]]
    assert kept == [{"kept_from": f"{first}/wreck/1"}] * 2
