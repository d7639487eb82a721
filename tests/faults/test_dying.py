"""What must go when something dies, and what must not: workers, their children, processes that only look like ours."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.processes import start_ticks
from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, alive


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, which heeds no signal that can be ignored."""
    program = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)"
    process = subprocess.Popen([sys.executable, "-c", program], process_group=0)
    yield process
    process.kill()
    process.wait()


def busy(house: BreakableHouse, **more: object) -> int:
    """Start a long step; returns its worker's process id."""
    house.drop("long.yaml", {"do": "wreck", "items": 4, "seconds": 1, **more})
    return eventually(house.worker, "a worker is busy")


def test_a_worker_goes_when_its_daemon_is_killed(running: BreakableHouse) -> None:
    worker = busy(running)
    running.kill()
    eventually(lambda: not alive(worker), "the worker is gone", 10)


def test_a_worker_that_can_hear_nothing_goes_when_its_daemon_is_killed(running: BreakableHouse) -> None:
    worker = busy(running, deaf=True)
    time.sleep(0.5)  # It is deep in its step.
    running.kill()
    eventually(lambda: not alive(worker), "the worker is gone", 10)


def test_a_stopped_worker_goes_when_its_daemon_is_killed(running: BreakableHouse) -> None:
    worker = busy(running)
    os.kill(worker, signal.SIGSTOP)
    running.kill()
    eventually(lambda: not alive(worker), "the worker is gone", 10)


def test_the_children_of_a_worker_die_with_it(running: BreakableHouse) -> None:
    note = running.home / "child"
    worker = busy(running, child=str(note))
    child = int(eventually(lambda: note.exists() and note.read_text(), "it has a child"))
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not alive(child), "the child is gone")
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts LIMIT 1")] == ["crashed"]


def test_children_that_outlive_daemon_and_worker_are_ended_at_the_next_start(running: BreakableHouse) -> None:
    note = running.home / "child"
    worker = busy(running, child=str(note))
    child = int(eventually(lambda: note.exists() and note.read_text(), "it has a child"))
    running.kill()
    eventually(lambda: not alive(worker), "the worker is gone")
    assert alive(child)
    running.start()
    assert not alive(child)


def _say_that_the_worker_was(house: BreakableHouse, pid: int, ticks: int) -> None:
    with sqlite3.connect(house.state / "ledger.sqlite3") as ledger:
        ledger.execute("UPDATE attempts SET worker_pid = ?, worker_start = ? WHERE outcome IS NULL", (pid, ticks))
    ledger.close()


def test_a_worker_that_outlived_its_daemon_is_killed_before_anything_starts(
    running: BreakableHouse, stranger: subprocess.Popen[bytes]
) -> None:
    busy(running)
    running.kill()
    _say_that_the_worker_was(running, stranger.pid, start_ticks(stranger.pid) or 0)
    running.start()
    assert not alive(stranger.pid)
    running.ended("long")
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts ORDER BY id")] == [
        "interrupted",
        "done",
    ]


def test_a_process_that_only_has_a_dead_workers_number_is_left_alone(
    running: BreakableHouse, stranger: subprocess.Popen[bytes]
) -> None:
    busy(running)
    running.kill()
    _say_that_the_worker_was(running, stranger.pid, (start_ticks(stranger.pid) or 0) - 1)
    running.start()
    assert alive(stranger.pid)


def test_a_worker_that_was_stopped_and_continued_finishes_its_step(running: BreakableHouse) -> None:
    worker = busy(running, items=2)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(2)  # Two ticks of the lane's supervision pass.
    os.kill(worker, signal.SIGCONT)
    running.ended("long")
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts")] == ["done"]


def test_a_worker_that_stays_stopped_is_ended_at_its_steps_timeout(running: BreakableHouse) -> None:
    worker = busy(running, timeout="2s")
    os.kill(worker, signal.SIGSTOP)
    job = running.ended("long", "failed")
    assert "did not finish within 2 s" in job["reason"]
    eventually(lambda: not alive(worker), "the worker is gone")


def test_a_daemon_that_was_stopped_and_continued_goes_on(running: BreakableHouse) -> None:
    busy(running, items=2)
    running.process.send_signal(signal.SIGSTOP)
    running.drop("meanwhile.yaml", {"do": "wreck"})
    time.sleep(2)
    running.process.send_signal(signal.SIGCONT)
    running.ended("long")
    running.ended("meanwhile")


def test_a_dead_workers_child_that_prints_without_end_holds_nothing_up(running: BreakableHouse) -> None:
    note = running.home / "child"
    worker = busy(running, items=1, child=str(note), child_prints=True)
    child = int(eventually(lambda: note.exists() and note.read_text(), "it has a child"))
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not alive(child), "the child is gone")
    running.drop("next.yaml", {"do": "wreck"})
    running.ended("next")


def test_a_worker_that_dies_idle_costs_no_job_anything(running: BreakableHouse) -> None:
    running.drop("first.yaml", {"do": "wreck"})
    running.ended("first")
    (worker,) = [entry["pid"] for entry in running.ask("status")["lanes"]["cpu"]["workers"]]
    os.kill(worker, signal.SIGKILL)
    eventually(
        lambda: not any(entry["pid"] == worker for entry in running.ask("status")["lanes"]["cpu"]["workers"]),
        "it is forgotten",
    )
    running.drop("second.yaml", {"do": "wreck"})
    running.ended("second")
    assert {row["outcome"] for row in running.rows("SELECT outcome FROM attempts")} == {"done"}


def test_what_was_not_delivered_before_a_kill_is_delivered_after_it(house: BreakableHouse) -> None:
    samples = house.home / "samples"
    house.configure(deliver={"daw": str(samples)})
    house.start()
    house.drop("set.yaml", {"do": "wreck", "deliver": {"to": "daw"}})
    job = house.ended("set")
    eventually(lambda: not (house.outbox / ".staging" / job["id"]).exists(), "it is handed out")
    assert house.stop() == 0
    # As a kill between `done` and the copies leaves it: published, staging still there, nothing delivered.
    (samples / "set" / "set_wreck_1.txt").unlink()
    (house.outbox / ".staging" / job["id"] / "wreck.001.1").mkdir(parents=True)
    house.start()
    eventually((samples / "set" / "set_wreck_1.txt").exists, "the copy is there")
    eventually(lambda: not (house.outbox / ".staging" / job["id"]).exists(), "staging is cleared")


def test_the_daemon_outlives_requests_that_no_query_can_hold(running: BreakableHouse) -> None:
    from daemon.control import ControlError

    for request in ({"do": "cancel", "job": ["x"]}, {"do": "retry", "job": {"a": 1}}, {"do": "cancel", "job": "\ud800"},
                    {"do": ["x"]}, {"do": "pause", "until": 7}, {"do": "pause", "until": "0001-01-01T00:00"}):  # fmt: skip
        with pytest.raises(ControlError):
            running.ask(**request)
    assert running.ask("ping")["pid"] == running.process.pid


def test_no_pipe_or_process_is_left_over_by_workers_that_die(running: BreakableHouse) -> None:
    descriptors = Path(f"/proc/{running.process.pid}/fd")

    def crash(name: str) -> None:
        running.drop(f"{name}.yaml", {"do": "probe", "end": "kill"})
        running.ended(name, "failed")
        eventually(lambda: not running.ask("status")["lanes"]["cpu"]["workers"], "the dead are forgotten")

    crash("first")
    before = len(list(descriptors.iterdir()))
    crash("second")
    crash("third")
    eventually(lambda: len(list(descriptors.iterdir())) <= before, f"no more than {before} descriptors are open")
