"""The outbox is not there, full, or read-only; the ledger's disk is full: work is parked, visibly, and goes on by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once

MARKER = ".drophammer-outbox"


def parked(house: BreakableHouse, words: str) -> str:
    """Wait until `status` shows why everything is parked."""
    return eventually(
        lambda: (reason := house.ask("status")["obstacle"]) and words in reason and reason, f"parked: {words}"
    )


def goes_on(house: BreakableHouse) -> None:
    eventually(lambda: house.ask("status")["obstacle"] is None, "it goes on")


def fill(folder: Path, leave_kib: int = 0) -> Path:
    """Take all the space of a filesystem but `leave_kib`."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave_kib * 1024))
    return ballast


def test_without_its_marker_nothing_is_published_or_begun_until_it_is_back(running: BreakableHouse) -> None:
    marker = running.outbox / MARKER
    running.drop("first.yaml", {"do": "wreck", "seconds": 3})
    eventually(running.worker, "it runs")
    content = marker.read_text()
    marker.unlink()
    assert str(marker) in parked(running, "is the drive mounted?")
    running.drop("second.yaml", {"do": "wreck"})
    eventually(lambda: (job := running.job("first")) and job["state"] == "publishing", "the first is over, and parked")
    eventually(lambda: (job := running.job("second")) and job["state"] == "queued", "the second is accepted, and waits")
    assert not (running.outbox / running.job("first")["id"]).exists()
    assert not (running.outbox / "latest").is_symlink()
    assert running.rows("SELECT count(*) FROM attempts")[0][0] == 1
    marker.write_text(content)
    running.ended("first")
    running.ended("second")
    assert published_once(running) == []


def test_a_daemon_that_starts_without_the_marker_parks_and_does_not_write_into_the_folder(
    running: BreakableHouse,
) -> None:
    running.drop("first.yaml", {"do": "wreck"})
    running.ended("first")
    assert running.stop() == 0
    running.outbox.rename(running.home / "unplugged")
    running.outbox.mkdir()
    running.start()
    running.drop("second.yaml", {"do": "wreck"})
    parked(running, "is the drive mounted?")
    eventually(lambda: (job := running.job("second")) and job["state"] == "queued", "it waits")
    assert os.listdir(running.outbox) == []
    running.outbox.rmdir()
    (running.home / "unplugged").rename(running.outbox)
    running.ended("second")


def test_an_outbox_that_vanishes_while_the_daemon_runs_parks_it(running: BreakableHouse) -> None:
    running.drop("first.yaml", {"do": "wreck", "seconds": 2})
    eventually(running.worker, "it runs")
    running.outbox.rename(running.home / "unplugged")
    parked(running, "is the drive mounted?")
    (running.home / "unplugged").rename(running.outbox)
    goes_on(running)
    running.drop("second.yaml", {"do": "wreck"})
    running.ended("second")
    running.ended("first")


def test_under_its_reserve_of_space_nothing_is_begun(house: BreakableHouse, small_disk: Callable[..., Path]) -> None:
    small_disk(house.outbox)
    house.configure(min_free="1MiB")
    house.start()
    ballast = fill(house.outbox)
    parked(house, "1 MiB are kept free (min_free)")
    house.drop("first.yaml", {"do": "wreck"})
    eventually(lambda: (job := house.job("first")) and job["state"] == "queued", "it waits")
    assert house.rows("SELECT count(*) FROM attempts")[0][0] == 0
    ballast.unlink()
    house.ended("first")


def test_a_step_that_finds_the_disk_full_is_tried_again_and_the_space_it_took_is_given_back(
    house: BreakableHouse, small_disk: Callable[..., Path]
) -> None:
    small_disk(house.outbox, "6m")
    house.start()
    ballast = fill(house.outbox, leave_kib=2500)
    house.drop("large.yaml", {"do": "wreck", "size_kib": 3500, "retries": 20})
    eventually(lambda: house.rows("SELECT 1 FROM attempts WHERE outcome = 'failed'"), "it meets the full disk")
    (attempt, *_) = house.rows("SELECT meaning, message FROM attempts WHERE outcome = 'failed'")
    assert attempt["meaning"] == "transient" and "No space left on device" in attempt["message"]
    ballast.unlink()
    house.ended("large")


def test_a_folder_that_cannot_be_assembled_for_want_of_space_is_assembled_later(
    house: BreakableHouse, small_disk: Callable[..., Path]
) -> None:
    small_disk(house.outbox, "2m")
    house.start()
    house.drop("first.yaml", {"do": "wreck", "seconds": 1})
    eventually(house.worker, "it runs")
    ballast = fill(house.outbox, leave_kib=8)  # Enough for the item, not for the pages.
    eventually(lambda: "cannot be assembled; trying again" in house.output(), "it says so")
    assert house.job("first")["state"] == "running"
    ballast.unlink()
    house.ended("first")
    assert published_once(house) == []


def test_a_full_disk_under_the_ledger_loses_nothing(house: BreakableHouse, small_disk: Callable[..., Path]) -> None:
    small_disk(house.state)
    house.start()
    house.drop("long.yaml", {"do": "wreck", "items": 3, "seconds": 0.4})
    eventually(house.worker, "it runs")
    ballast = fill(house.state)
    for number in range(30):  # More than what the write-ahead log has room for without a new page.
        house.drop(f"job-{number}.yaml", {"do": "wreck"})
    eventually(lambda: "the ledger cannot be written; everything waits" in house.output(), "it says so")
    ballast.unlink()
    eventually(lambda: house.count() == 31, "all are done")
    eventually(lambda: published_once(house) == [], "all are published once")


def test_a_read_only_outbox_parks_until_it_can_be_written(
    house: BreakableHouse, small_disk: Callable[..., Path]
) -> None:
    small_disk(house.outbox)
    house.start()
    house.drop("first.yaml", {"do": "wreck"})
    house.ended("first")
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "it is at rest")
    remounted = subprocess.run(["mount", "-o", "remount,ro", str(house.outbox)], capture_output=True, text=True)
    if remounted.returncode:
        pytest.skip(f"no filesystem can be made read-only here: {remounted.stderr}")
    parked(house, "cannot be written")
    house.drop("second.yaml", {"do": "wreck"})
    eventually(lambda: (job := house.job("second")) and job["state"] == "queued", "it waits")
    subprocess.run(["mount", "-o", "remount,rw", str(house.outbox)], check=True)
    house.ended("second")


def test_an_outbox_that_cannot_be_made_is_refused_in_words(house: BreakableHouse) -> None:
    house.outbox.write_text("a file where the outbox should be")
    assert house.start(wait=False).wait(60) == 2
    assert str(house.outbox) in house.output() and "Traceback" not in house.output()
