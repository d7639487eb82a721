"""A dropped file is taken once: after a crash between acceptance and its move, when it is exchanged, linked, or dropped again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from daemon.core import Core
from daemon.events import Identity
from daemon.inbox import take
from daemon.intake import Intake, version_of
from daemon.ledger import Ledger
from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse

JOB = "do: wreck\n"


def test_a_file_whose_move_a_crash_prevented_is_not_accepted_twice(running: BreakableHouse) -> None:
    source = running.drop("first.yaml", JOB)
    job = running.ended("first")
    accepted = running.inbox / "accepted" / f"{job['id']}.yaml"
    eventually(accepted.exists, "it is set aside")
    running.kill()
    accepted.rename(source)  # The very file, where it lay when its row was committed.
    running.start()
    eventually(accepted.exists, "its move is made good")
    assert not source.exists()
    assert running.rows("SELECT count(*) FROM jobs")[0][0] == 1


def test_a_changed_file_at_the_same_place_is_a_new_job(running: BreakableHouse) -> None:
    source = running.drop("first.yaml", JOB)
    job = running.ended("first")
    accepted = running.inbox / "accepted" / f"{job['id']}.yaml"
    eventually(accepted.exists, "it is set aside")
    running.kill()
    accepted.rename(source)
    source.write_text("do: wreck\nitems: 2\n")
    running.start()
    eventually(lambda: running.count() == 2, "it is another job")


def test_a_file_exchanged_while_it_is_rejected_is_a_new_drop(running: BreakableHouse) -> None:
    """Whatever the daemon read, in the end each version has its answer: the last one is a job."""
    for _ in range(20):
        running.drop("same.yaml", "do: nothing that exists\n")
    running.drop("same.yaml", JOB)
    running.ended("same")
    for rejected in (running.inbox / "rejected").glob("*.yaml"):
        assert rejected.read_text() == "do: nothing that exists\n"


def test_a_hard_link_to_an_accepted_file_is_a_new_job(running: BreakableHouse) -> None:
    template = running.home / "template.yaml"
    template.write_text(JOB)
    for number in (1, 2, 3):
        os.link(template, running.inbox / "again.yaml")
        eventually(lambda number=number: running.count() == number, f"job {number} is done")
        eventually(lambda: not (running.inbox / "again.yaml").exists(), "it is set aside")
    assert len(list((running.inbox / "accepted").iterdir())) == 3
    assert template.read_text() == JOB


def test_a_hard_link_dropped_while_the_daemon_was_down_is_a_new_job(running: BreakableHouse) -> None:
    template = running.home / "template.yaml"
    template.write_text(JOB)
    os.link(template, running.inbox / "again.yaml")
    eventually(lambda: running.count() == 1 and not (running.inbox / "again.yaml").exists(), "the first is done")
    running.kill()
    os.link(template, running.inbox / "again.yaml")
    running.start()
    eventually(lambda: running.count() == 2, "the second is done")


def test_files_dropped_under_one_name_in_quick_succession_are_all_taken_or_replaced(running: BreakableHouse) -> None:
    """Each drop replaces the last or finds the name free; no version that was once taken is taken again."""
    for number in range(40):
        running.drop("same.yaml", {"do": "wreck", "seed": number})
    eventually(
        lambda: (
            not (running.inbox / "same.yaml").exists() and not running.rows("SELECT 1 FROM jobs WHERE state != 'done'")
        ),
        "at rest",
    )
    seeds = [row["seed"] for row in running.rows("SELECT seed FROM jobs ORDER BY number")]
    assert len(seeds) == len(set(seeds)) and 39 in seeds, seeds


@pytest.fixture
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    """Only what setting a file aside needs: an empty ledger, and an inbox that is told to forget."""
    intake = object.__new__(Intake)
    ledger = Ledger(tmp_path_factory.mktemp("state") / "ledger.sqlite3")
    intake.core = cast(
        Core,
        SimpleNamespace(
            inbox=SimpleNamespace(forget=lambda path: None), ledger=ledger, settings=SimpleNamespace(group=None)
        ),
    )
    yield intake
    ledger.close()


def test_a_file_exchanged_between_read_and_move_goes_back_as_a_new_drop(tmp_path: Path, intake: Intake) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    _, identity = take(path, tmp_path)
    newer = tmp_path / "newer"
    newer.write_text("do: wreck\nitems: 2\n")
    newer.rename(path)
    intake._move(path, tmp_path, "20261121-020315-job-0001", identity)
    assert [entry.read_text() for entry in tmp_path.glob("*.yaml")] == ["do: wreck\nitems: 2\n"]
    assert list((tmp_path / "accepted").iterdir()) == []


def test_a_file_written_between_read_and_move_goes_back_as_a_new_drop(tmp_path: Path, intake: Intake) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    _, identity = take(path, tmp_path)
    with open(path, "a") as file:
        file.write("items: 2\n")
    intake._move(path, tmp_path, "20261121-020315-job-0001", identity)
    assert [entry.read_text() for entry in tmp_path.glob("*.yaml")] == [JOB + "items: 2\n"]


def test_a_newer_version_that_was_read_in_the_same_batch_goes_to_its_own_job(
    tmp_path: Path, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    _, older = take(path, tmp_path)
    path.write_text("do: wreck\nitems: 2\n")
    text, newer = take(path, tmp_path)
    intake.core.ledger.insert(
        "jobs", id="20261121-020315-job-0002", number=2, name="job", state="waiting", document=text.decode(), origin="inbox",
        source_path=str(path), source_identity=asdict(newer), seed=1, accepted_at="2026-11-21T02:03:15.000Z",
    )  # fmt: skip

    def look(moved: Path, inbox: Path) -> Identity | None:
        if not path.exists():  # In this moment a third version is dropped under the same name.
            path.write_text("do: wreck\nitems: 3\n")
        return version_of(moved, inbox)

    monkeypatch.setattr("daemon.intake.version_of", look)
    intake._move(path, tmp_path, "20261121-020315-job-0001", older)
    intake._move(path, tmp_path, "20261121-020315-job-0002", newer)
    assert [entry.name for entry in (tmp_path / "accepted").iterdir()] == ["20261121-020315-job-0002.yaml"]
    assert [entry.read_text() for entry in tmp_path.glob("*.yaml")] == ["do: wreck\nitems: 3\n"]


def test_a_file_reported_twice_in_one_batch_leaves_the_next_drop_alone(tmp_path: Path, intake: Intake) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    _, identity = take(path, tmp_path)
    intake._move(path, tmp_path, "20261121-020315-job-0001", identity)
    path.write_text("do: wreck\nitems: 2\n")
    intake._move(path, tmp_path, "20261121-020315-job-0001", identity)
    assert (tmp_path / "accepted" / "20261121-020315-job-0001.yaml").read_text() == JOB
    assert path.read_text() == "do: wreck\nitems: 2\n"


def test_a_file_that_was_not_exchanged_is_set_aside(tmp_path: Path, intake: Intake) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    _, identity = take(path, tmp_path)
    intake._move(path, tmp_path, "20261121-020315-job-0001", identity)
    moved = tmp_path / "accepted" / "20261121-020315-job-0001.yaml"
    assert not path.exists() and Identity.of(moved.stat()).same_file(identity)


def test_an_accepted_folder_that_cannot_be_made_stops_nobody(running: BreakableHouse) -> None:
    """Somebody's file has that name: the job is taken once all the same, also by the next daemon."""
    (running.inbox / "accepted").write_text("a file")
    running.drop("first.yaml", JOB)
    running.ended("first")
    running.kill()
    running.start()
    running.drop("second.yaml", JOB)
    running.ended("second")
    assert running.rows("SELECT count(*) FROM jobs")[0][0] == 2
    (running.inbox / "accepted").unlink()
    running.kill()
    running.start()
    eventually(lambda: not list(running.inbox.glob("*.yaml")), "both are set aside as soon as it can be done")
    assert running.rows("SELECT count(*) FROM jobs")[0][0] == 2
