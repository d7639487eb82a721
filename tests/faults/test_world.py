"""What the daemon stands on gives way: the disk of its log, whoever reads its log, the ledger's file, the clock of its host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, eventually
from tests.faults.conftest import BreakableHouse, published_once
from tests.faults.test_parking import fill


def start_logging_to(house: BreakableHouse, stream: object) -> None:
    house.process = subprocess.Popen(
        [sys.executable, "-m", "daemon.service"], cwd=house.home, stdout=stream, stderr=stream,
        env=house.environment | {"PYTHONUNBUFFERED": ""},  # As on most machines.
        start_new_session=True,
    )  # fmt: skip
    eventually(lambda: (house.state / "control.sock").exists() and house.ask("ping")["ready"], "it is ready")


def test_a_full_disk_under_the_log_holds_up_no_work_and_the_ledger_keeps_the_lines(
    house: BreakableHouse, small_disk: Callable[..., Path]
) -> None:
    disk = small_disk(house.home / "logs", "2m")
    with open(disk / "daemon.log", "ab") as log:
        start_logging_to(house, log)
    ballast = fill(disk)
    for number in range(20):  # More lines than the file's last page has room for.
        house.drop(f"unheard-{number}.yaml", {"do": "wreck"})
    eventually(lambda: house.count() == 20, "all are done")
    first = house.job("unheard-0")
    size = (disk / "daemon.log").stat().st_size
    ballast.unlink()
    house.drop("second.yaml", {"do": "wreck"})
    house.ended("second")
    eventually(lambda: (disk / "daemon.log").stat().st_size > size, "it logs again")
    assert house.rows("SELECT 1 FROM events WHERE job_id = ? AND event = 'done'", first["id"])
    assert "second" in (disk / "daemon.log").read_text()
    assert published_once(house) == []
    house.kill()  # Before its disk is unmounted.


def test_whoever_reads_the_log_may_go(house: BreakableHouse) -> None:
    reading, writing = os.pipe()
    start_logging_to(house, writing)
    os.close(writing)
    os.close(reading)
    house.drop("first.yaml", {"do": "wreck"})
    house.ended("first")
    assert house.stop() == 0
    assert published_once(house) == []


@pytest.mark.parametrize("whole", [False, True], ids=["the file", "the folder"])
def test_a_ledger_deleted_under_the_daemon_is_written_back(house: BreakableHouse, whole: bool) -> None:
    made = house.home / "made"
    house.start()
    house.drop("first.yaml", {"do": "wreck"})
    house.ended("first")
    house.drop(
        "long.yaml",
        {"do": "wreck", "items": 2, "made": str(made), "fails_until": str(house.home / "gate"), "retries": 20},
    )
    eventually(lambda: made.exists(), "an item is finished")
    if whole:
        for file in house.state.glob("ledger.sqlite3*"):
            file.unlink()
    else:
        (house.state / "ledger.sqlite3").unlink()
    assert house.process.wait(PATIENCE_S) == 1
    assert "the ledger was deleted or exchanged while the daemon ran" in house.output()
    assert house.job("first")["state"] == "done"
    (house.home / "gate").touch()
    house.start()
    house.ended("long")
    assert published_once(house) == []
    assert len(made.read_text().splitlines()) == 2, "nothing was made again"


def test_another_ledger_in_its_place_is_left_alone_and_the_daemons_own_put_beside_it(house: BreakableHouse) -> None:
    house.start()
    house.drop("first.yaml", {"do": "wreck"})
    house.ended("first")
    other = house.home / "other"
    other.write_bytes(b"somebody's file")
    other.rename(house.state / "ledger.sqlite3")
    assert house.process.wait(PATIENCE_S) == 1
    assert (house.state / "ledger.sqlite3").read_bytes() == b"somebody's file"
    (kept,) = house.state.glob("ledger-*.sqlite3")
    assert str(kept) in house.output()
