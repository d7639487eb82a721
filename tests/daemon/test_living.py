"""The daemon among people and processes: started twice, stopped, paused, reloaded, delivering, telling."""

from __future__ import annotations

import grp
import os
import signal
import time
from pathlib import Path

import pytest

from daemon.control import ControlError
from tests.conftest import House, eventually


def test_a_paused_lane_starts_nothing_and_its_worker_leaves(running: House) -> None:
    running.drop("warm.yaml", {"do": "probe"})
    running.ended("warm")
    running.ask("pause", lane="cpu")
    eventually(lambda: not running.ask("status")["lanes"]["cpu"]["workers"], "the idle worker leaves")
    running.drop("later.yaml", {"do": "probe"})
    eventually(lambda: running.job("later"), "it is accepted")
    time.sleep(0.5)
    assert running.job("later")["state"] == "queued"
    running.ask("resume", lane="cpu")
    running.ended("later")


def test_the_daemons_process_holds_no_audio_library(running: House) -> None:
    running.drop("one.yaml", {"do": "probe"})
    running.ended("one")
    maps = Path(f"/proc/{running.process.pid}/maps").read_text()
    assert "sqlite" in maps
    for library in ("numpy", "scipy", "librosa", "soundfile", "torch", "numba", "llvmlite"):
        assert f"/{library}" not in maps, library


def test_a_second_daemon_refuses_and_names_the_first(running: House) -> None:
    first = running.process
    second = running.start(wait=False)
    assert second.wait(60) == 2
    assert f"process {first.pid}" in running.output()
    running.process = first


def test_a_stopping_daemon_finishes_what_runs(running: House) -> None:
    running.drop("short.yaml", {"do": "probe", "seconds": 1.5})
    eventually(lambda: (job := running.job("short")) and job["state"] == "running", "it runs")
    assert running.stop() == 0
    running.start()
    running.ended("short")
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts")] == ["done"]


def test_asked_twice_to_stop_it_gives_the_step_back(running: House) -> None:
    running.drop("long.yaml", {"do": "probe", "items": 3, "seconds": 1.5})
    eventually(lambda: running.rows("SELECT 1 FROM artifacts"), "the first item is finished")
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert running.stop() == 0
    assert running.job("long")["state"] == "running"
    running.start()
    running.ended("long")
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts")] == ["interrupted", "done"]


def test_reload_takes_a_good_configuration_and_refuses_a_broken_one(running: House) -> None:
    running.configure(retries=5)
    assert running.ask("reload")["changed"] == ["retries"]
    (running.home / "config" / "drophammer.yaml").write_text("retries: many\n")
    with pytest.raises(ControlError, match=r"the old one stays in force(.|\n)*retries"):
        running.ask("reload")
    running.drop("after.yaml", {"do": "probe"})
    job = running.ended("after")
    assert running.rows("SELECT retries FROM steps WHERE job_id = ?", job["id"])[0]["retries"] == 5


def test_copies_are_delivered_and_never_over_another_file(house: House) -> None:
    house.configure(deliver={"daw": str(house.home / "samples")})
    other = house.home / "samples" / "set" / "set_probe_1.txt"
    other.parent.mkdir(parents=True)
    other.write_text("somebody else's")
    house.start()
    house.drop("set.yaml", {"do": "probe", "items": 2, "deliver": {"to": "daw"}})
    house.ended("set")
    eventually((other.parent / "set_probe_2.txt").exists, "the copy arrives")
    assert other.read_text() == "somebody else's"


def test_commands_are_run_when_a_job_ends(house: House) -> None:
    note = house.home / "note"
    house.configure(
        on_done=[["sh", "-c", 'printf "%s\\n" "$1" >>"$0"', str(note), "done {name} {reason}"]],
        on_failed=[["sh", "-c", 'printf "%s\\n" "$1" >>"$0"', str(note), "failed {name}"]],
    )
    house.start()
    house.drop("good.yaml", {"do": "probe"})
    house.drop("bad.yaml", {"do": "probe", "end": "invalid"})
    eventually(lambda: note.exists() and len(note.read_text().splitlines()) == 2, "both commands ran")
    assert sorted(note.read_text().splitlines()) == ["done good ", "failed bad"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to any group")
def test_the_persons_group_can_delete_what_the_daemon_made(house: House) -> None:
    group = next(entry for entry in grp.getgrall() if entry.gr_gid not in (0, os.getegid()))
    house.configure(group=group.gr_name)
    house.start()
    house.drop("good.yaml", {"do": "probe"})
    house.drop("wrong.yaml", "nonsense\n")
    folder = Path(house.ended("good")["folder"])
    eventually((house.inbox / "rejected" / "wrong.yaml.reason.txt").exists, "the other is rejected")
    for path in (
        folder,
        *folder.iterdir(),
        house.inbox / "accepted",
        house.inbox / "rejected",
        house.outbox / "failed",
    ):
        assert path.stat().st_gid == group.gr_gid and path.stat().st_mode & 0o020, path
