"""The outbox: published once, whole, and nobody's files overwritten or removed on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.outbox import Outbox, deliver
from daemon.settings import load
from tests.conftest import House, eventually


@pytest.fixture
def outbox(house: House) -> Outbox:
    outbox = Outbox(load(house.home), "0")
    outbox.open(known=False)
    return outbox


def stage(outbox: Outbox, job: str, text: str) -> None:
    folder = outbox.staging / job / ".publish"
    folder.mkdir(parents=True)
    (folder / "sound.txt").write_text(text)


def test_publishing_again_changes_nothing(outbox: Outbox) -> None:
    stage(outbox, "job", "sound")
    for _ in range(2):
        folder = outbox.publish("job", "done")
        assert folder == outbox.root / "job" and (folder / "sound.txt").read_text() == "sound"


def test_a_job_that_fails_again_replaces_what_it_published_before(outbox: Outbox) -> None:
    for text in ("first", "second"):
        stage(outbox, "job", text)
        folder = outbox.publish("job", "failed")
    assert folder == outbox.root / "failed" / "job" and (folder / "sound.txt").read_text() == "second"


def test_what_is_done_is_never_replaced(outbox: Outbox) -> None:
    """Not even by a job that a ledger from a backup made again."""
    for text in ("first", "second"):
        stage(outbox, "job", text)
        folder = outbox.publish("job", "done")
    assert (folder / "sound.txt").read_text() == "first"


def test_latest_leads_to_the_newest_job_and_is_never_put_over_a_file_of_ones_own(outbox: Outbox) -> None:
    latest = outbox.root / "latest"
    outbox.point_latest("one")
    outbox.point_latest("two")
    assert os.readlink(latest) == "two"
    latest.unlink()
    latest.write_text("mine")
    outbox.point_latest("three")
    assert latest.read_text() == "mine"


def test_where_no_link_can_be_made_the_job_is_published_all_the_same(outbox: Outbox) -> None:
    (outbox.root / ".latest").mkdir()
    outbox.point_latest("one")
    assert not (outbox.root / "latest").exists()


def test_a_missing_marker_is_an_obstacle_that_says_what_to_do(outbox: Outbox) -> None:
    assert outbox.obstacle() is None
    (outbox.root / ".drophammer-outbox").unlink()
    assert "is the drive mounted" in outbox.obstacle()
    outbox.open(known=True)
    assert outbox.obstacle() is not None, "a marker that went is not ours to write again"


def test_too_little_room_is_an_obstacle(house: House) -> None:
    house.configure(min_free="1000000TiB")
    outbox = Outbox(load(house.home), "0")
    outbox.open(known=False)
    assert "min_free" in outbox.obstacle()


def test_copies_are_whole_and_never_over_a_file_that_differs(tmp_path: Path) -> None:
    (tmp_path / "made.wav").write_text("new")
    target = tmp_path / "daw"
    clashes: list[Path] = []
    files = [(tmp_path / "made.wav", "a.wav"), (tmp_path / "made.wav", "b.wav"), (tmp_path / "made.wav", "c.wav")]
    target.mkdir()
    (target / "a.wav").write_text("somebody else's")
    (target / "b.wav").write_text("new")
    assert deliver(target, files, clashes.append) == [target / "c.wav"]
    assert clashes == [target / "a.wav"] and (target / "a.wav").read_text() == "somebody else's"
    assert sorted(os.listdir(target)) == ["a.wav", "b.wav", "c.wav"]


def test_a_start_with_an_empty_ledger_removes_nothing_that_was_published(house: House) -> None:
    kept = house.outbox / "failed" / "20261121-020315-old-0001"
    kept.mkdir(parents=True)
    (kept / "reason.txt").write_text("why")
    staged = house.outbox / ".staging" / kept.name
    staged.mkdir(parents=True)
    house.start()
    eventually(lambda: not staged.exists(), "staging without a row is swept")
    house.stop()
    assert (kept / "reason.txt").read_text() == "why"


def test_what_is_published_is_given_to_the_configured_group(house: House) -> None:
    import grp

    house.configure(group=grp.getgrgid(os.getgid()).gr_name)
    house.start()
    house.drop("one.yaml", {"do": "probe"})
    folder = Path(house.ended("one")["folder"])
    assert {path.stat().st_gid for path in (folder, *folder.iterdir())} == {os.getgid()}
