"""Discover and select as jobs of a running daemon."""

from __future__ import annotations

import csv
from pathlib import Path

from handlers.audio import files
from tests.conftest import House, eventually
from tests.fixtures.sound import tone

STEPS = {
    "find": {"do": "discover", "root": "./old"},
    "choose": {"do": "select", "catalog": "find", "min_duration": 0.1},
}


def test_a_job_finds_and_chooses_once_its_folder_is_there(running: House, tmp_path: Path) -> None:
    running.drop("dig.yaml", {"steps": STEPS})
    job = eventually(lambda: running.job("dig"), "it is accepted")
    assert (job["state"], job["reason"]) == ("waiting", "./old is not here")
    made = tmp_path / "made"
    made.mkdir()
    for name in ("a.wav", "masters.wav", "test.wav"):
        files.write(made / name, tone(440, 0.25, 8000), 8000)
    made.rename(running.inbox / "old")
    job = running.ended("dig")
    (item,) = running.manifest(job)["steps"][1]["items"]
    assert item["facts"]["selected"] == 2 and item["facts"]["rejected"] == {"skip": 1}
    (primary,) = [one for one in item["files"] if one["kind"] == "primary"]
    with open(Path(job["folder"]) / primary["name"], newline="") as file:
        assert [row["rel_path"] for row in csv.DictReader(file)] == ["masters.wav", "a.wav"]


def test_a_link_that_leads_out_since_the_job_was_accepted_is_not_followed(house: House, tmp_path: Path) -> None:
    (house.inbox / "old").mkdir()
    house.start()
    house.ask("pause", lane="cpu")
    house.drop("dig.yaml", {"do": "discover", "root": "./old"})
    eventually(lambda: (job := house.job("dig")) and job["state"] == "queued", "it is queued")
    (house.inbox / "old").rmdir()
    (house.inbox / "old").symlink_to(tmp_path)
    house.ask("resume", lane="cpu")
    assert "outside the folders that jobs may read" in house.ended("dig", "failed")["reason"]
