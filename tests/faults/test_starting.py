"""Starting and stopping: one daemon on one installation, what a dead one has left, every way to be told to stop."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemon.lock import AlreadyRunning, DaemonLock
from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, alive


def test_of_five_daemons_started_at_once_one_stays_and_the_others_name_it(house: BreakableHouse) -> None:
    # A file that names a dead daemon, as after a kill: nobody may be told that it is the one.
    house.start()
    dead = house.process.pid
    house.kill()
    house.drop("first.yaml", {"do": "wreck"})
    outputs = [house.home / f"output-{number}" for number in range(5)]
    daemons = []
    for output in outputs:
        with open(output, "wb") as file:
            daemons.append(
                subprocess.Popen(
                    [sys.executable, "-m", "daemon.service"],
                    cwd=house.home,
                    env=house.environment,
                    stdout=file,
                    stderr=file,
                )
            )
    try:
        eventually(lambda: sum(daemon.poll() is not None for daemon in daemons) >= 4, "four end")
        (stayed,) = [daemon for daemon in daemons if daemon.poll() is None]
        others = [output.read_text() for daemon, output in zip(daemons, outputs, strict=True) if daemon is not stayed]
        assert [daemon.returncode for daemon in daemons if daemon is not stayed] == [2] * 4
        assert all(f"process {stayed.pid} " in text for text in others), (others, dead)
        house.ended("first")
        assert house.rows("SELECT count(*) FROM attempts")[0][0] == 1
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()


def test_a_daemon_that_has_only_just_taken_the_lock_is_named_and_not_the_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    dead = subprocess.Popen(["true"])
    dead.wait()
    path.write_text(f"{dead.pid}\n")
    with open(path, "r+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        timer = threading.Timer(0.3, path.write_text, [f"{os.getpid()}\n"])
        timer.start()
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()} "):
            DaemonLock(path).take()
        timer.join()


def test_a_dead_daemons_socket_is_no_hindrance(house: BreakableHouse) -> None:
    house.start()
    house.kill()
    assert (house.state / "control.sock").is_socket()
    house.start()
    assert house.ask("ping")["pid"] == house.process.pid


def test_a_file_in_the_sockets_place_is_no_hindrance(house: BreakableHouse) -> None:
    house.state.mkdir()
    (house.state / "control.sock").write_text("")
    house.start()
    assert house.ask("ping")["ok"]


def test_a_client_that_says_nothing_holds_nobody_up(running: BreakableHouse) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for client in silent:
        client.connect(str(running.state / "control.sock"))
    assert running.ask("ping")["ok"]
    assert running.stop() == 0
    for client in silent:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_stops_when_asked_and_its_worker_with_it(running: BreakableHouse, number: int) -> None:
    running.drop("first.yaml", {"do": "wreck"})
    running.ended("first")
    (worker,) = [entry["pid"] for entry in running.ask("status")["lanes"]["cpu"]["workers"]]
    assert running.stop(number) == 0
    assert not alive(worker)
    assert not (running.state / "control.sock").exists()


def test_asked_to_stop_in_the_middle_of_a_step_it_finishes_and_publishes_it(running: BreakableHouse) -> None:
    running.drop("short.yaml", {"do": "wreck", "items": 2, "seconds": 0.5})
    running.drop("later.yaml", {"steps": {"a": {"do": "wreck", "seconds": 1}, "b": {"do": "wreck", "input": ["a"]}}})
    eventually(lambda: len(running.rows("SELECT 1 FROM attempts WHERE outcome IS NULL")) == 2, "both run")
    assert running.stop() == 0
    assert running.job("short")["state"] == "done", "it was published before the daemon went"
    states = [
        row["state"]
        for row in running.rows(
            "SELECT runs.state FROM runs JOIN jobs ON jobs.id = runs.job_id WHERE name = 'later' ORDER BY runs.id"
        )
    ]
    assert states == ["done", "queued"], "no new step was begun"
    running.start()
    running.ended("later")
    assert {row["outcome"] for row in running.rows("SELECT outcome FROM attempts")} == {"done"}


def test_a_step_over_the_drain_time_is_given_back_with_its_finished_items(house: BreakableHouse) -> None:
    house.configure(drain=1)
    made = house.home / "made"
    house.start()
    house.drop("long.yaml", {"do": "wreck", "items": 6, "seconds": 0.5, "made": str(made)})
    eventually(lambda: house.rows("SELECT 1 FROM artifacts"), "the first item is finished")
    assert house.stop() == 0
    kept = house.rows("SELECT count(*) FROM artifacts")[0][0]
    assert [row["outcome"] for row in house.rows("SELECT outcome FROM attempts")] == ["interrupted"]
    house.start()
    house.ended("long")
    by_attempt = house.rows("SELECT attempt_id, count(*) FROM artifacts GROUP BY attempt_id ORDER BY attempt_id")
    assert [tuple(row) for row in by_attempt] == [(1, kept), (2, 6 - kept)]


def test_a_worker_that_stopped_listening_does_not_hold_the_stop_up(house: BreakableHouse) -> None:
    house.configure(drain=1)
    house.start()
    house.drop("long.yaml", {"do": "wreck", "seconds": 5})
    worker = eventually(house.worker, "it runs")
    os.kill(worker, signal.SIGSTOP)
    assert house.stop() == 0
    assert not alive(worker)


def test_killed_while_it_drains_it_takes_up_where_it_was(running: BreakableHouse) -> None:
    running.drop("long.yaml", {"do": "wreck", "items": 3, "seconds": 0.5})
    eventually(lambda: running.rows("SELECT 1 FROM artifacts"), "the first item is finished")
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    running.kill()
    running.start()
    running.ended("long")
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts ORDER BY id")] == [
        "interrupted",
        "done",
    ]


def test_a_run_cut_short_ten_times_is_given_up_and_says_so(house: BreakableHouse) -> None:
    house.start()
    house.drop("long.yaml", {"do": "wreck", "seconds": 60})
    eventually(house.worker, "it runs")
    house.kill()
    with sqlite3.connect(house.state / "ledger.sqlite3") as ledger:
        ledger.execute("UPDATE runs SET interruptions = 9")
    ledger.close()
    house.start()
    job = house.ended("long", "failed")
    assert "interrupted 10 times by the end of the daemon" in job["reason"]
