"""The ledger held by another program, damaged, or gone: nothing is lost, and what to do is said."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from daemon.ledger import Ledger, LedgerError
from tests.conftest import PATIENCE_S, eventually
from tests.faults.conftest import BreakableHouse, published_once

LONGER_THAN_THE_BUSY_TIMEOUT_S = 11.0
"""daemon/ledger.py waits 10 s for the lock, then gives the transaction back and tries it again."""


@contextmanager
def held(house: BreakableHouse) -> Iterator[None]:
    """Another program writes, and takes its time."""
    other = sqlite3.connect(house.state / "ledger.sqlite3", isolation_level=None, timeout=10)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_nothing_is_lost_while_another_program_holds_the_ledger(running: BreakableHouse) -> None:
    made = running.home / "made"
    running.drop("long.yaml", {"do": "wreck", "items": 3, "seconds": 0.5, "made": str(made)})
    eventually(running.worker, "a step runs")
    with held(running):
        for number in range(5):
            running.drop(f"meanwhile-{number}.yaml", {"do": "wreck", "made": str(made)})
        eventually(lambda: made.exists() and len(made.read_text().splitlines()) == 3, "the step finishes meanwhile")
        time.sleep(LONGER_THAN_THE_BUSY_TIMEOUT_S)
        assert [row["state"] for row in running.rows("SELECT state FROM jobs")] == ["running"]
        eventually(lambda: "the ledger cannot be written; everything waits" in running.output(), "it says so")
    eventually(lambda: running.count() == 6, "all are done")
    eventually(lambda: published_once(running) == [], "all are published once")
    assert {row["outcome"] for row in running.rows("SELECT outcome FROM attempts")} == {"done"}
    assert len(made.read_text().splitlines()) == 3 + 5, "no item was made twice"


def test_a_daemon_that_starts_while_the_ledger_is_held_waits_for_it(house: BreakableHouse) -> None:
    house.start()
    assert house.stop() == 0
    with held(house):
        process = house.start(wait=False)
        time.sleep(2)
        assert process.poll() is None
    house.drop("first.yaml", {"do": "wreck"})
    house.ended("first")


def test_a_ledger_that_is_held_for_good_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE other (x)")
    monkeypatch.setattr("daemon.ledger.BUSY_TIMEOUT_S", 0.1)
    with pytest.raises(LedgerError, match=r"cannot be used now: database is locked\. Does another program hold it"):
        Ledger(path)
    other.execute("ROLLBACK")
    other.close()
    Ledger(path).close()


def damage(ledger: Path) -> None:
    """As a dying disk does it; after what still waits in the write-ahead log was written into the file."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = ledger.stat().st_size
    with open(ledger, "r+b") as file:
        for place in range(4096, size, 4096):
            file.seek(place)
            file.write(os.urandom(512))


def test_a_damaged_ledger_is_refused_with_what_to_do(house: BreakableHouse) -> None:
    house.start()
    house.drop("first.yaml", {"do": "wreck"})
    house.ended("first")
    assert house.stop() == 0
    damage(house.state / "ledger.sqlite3")
    before = (house.state / "ledger.sqlite3").read_bytes()
    assert house.start(wait=False).wait(PATIENCE_S) == 2
    said = house.output().splitlines()[-1]
    assert str(house.state / "ledger.sqlite3") in said and "damaged" in said
    assert "./drophammer restore FOLDER" in said and "--without" in said and "inbox/accepted/" in said
    assert (house.state / "ledger.sqlite3").read_bytes() == before, "nothing was written to it"


def test_what_is_no_ledger_at_all_is_refused(house: BreakableHouse) -> None:
    house.state.mkdir()
    (house.state / "ledger.sqlite3").write_text("somebody's notes, " * 1000)
    assert house.start(wait=False).wait(PATIENCE_S) == 2
    assert "damaged" in house.output() and "Traceback" not in house.output()
    assert (house.state / "ledger.sqlite3").read_text().startswith("somebody's notes")


def test_without_its_ledger_the_daemon_starts_afresh_and_leaves_published_work_alone(house: BreakableHouse) -> None:
    house.start()
    house.drop("first.yaml", {"do": "wreck"})
    first = house.ended("first")
    house.kill()  # The write-ahead log stays behind: it must not be read into the new ledger.
    (house.state / "ledger.sqlite3").unlink()
    house.start()
    house.drop("second.yaml", {"do": "wreck"})
    house.ended("second")
    assert house.rows("SELECT count(*) FROM jobs")[0][0] == 1
    assert (Path(first["folder"]) / "manifest.json").exists()
    # What accepted/ holds is dropped again, as the refusal of a damaged ledger advises.
    accepted = house.inbox / "accepted" / f"{first['id']}.yaml"
    accepted.rename(house.inbox / "again.yaml")
    house.ended("again")
