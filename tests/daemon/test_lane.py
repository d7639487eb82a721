"""A lane with real worker processes, and a clock that the test turns."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.ears import Ears
from daemon.events import Event, WorkerDied, WorkerSpoke
from daemon.lane import EXIT_GRACE_S, START_WITHIN_S, Lane, Worker
from daemon.settings import load
from tests.conftest import PATIENCE_S, House

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Workshop:
    """One lane, and what its workers say."""

    def __init__(self, house: House, name: str) -> None:
        self.house = house
        self.time = 0.0
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        (house.home / "state").mkdir(exist_ok=True)
        self.lane = Lane(name, load(house.home), Ears(self.events.put), lambda: self.time)

    def reload(self, **settings: Any) -> None:
        self.house.configure(**settings)
        self.lane.configure(load(self.house.home))

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        """Do with events what the service does, up to the one that is wanted."""
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            event = self.events.get(timeout=PATIENCE_S)
            if isinstance(event, WorkerDied):
                worker = self.lane.workers[event.worker]
                self.lane.reap(worker)
                self.lane.forget(worker)
            elif isinstance(event, WorkerSpoke) and event.message["say"] == "ready":
                self.lane.ready(self.lane.workers[event.worker])
            if wanted(event):
                return event
        pytest.fail("it was never heard")

    def hear(self, say: str) -> dict[str, Any]:
        return self.until(lambda event: isinstance(event, WorkerSpoke) and event.message["say"] == say).message  # type: ignore[attr-defined]

    def warm(self) -> Worker:
        self.lane.staff(1)
        self.hear("ready")
        (worker,) = self.lane.idle()
        return worker

    def dies(self) -> None:
        self.until(lambda event: isinstance(event, WorkerDied))

    def run(self, worker: Worker, attempt: int, inputs: Any = None, **params: Any) -> None:
        """Give it a probe to run, as dispatch does."""
        home = self.house.home
        request = {
            "handler": "probe", "params": json.dumps(params), "inputs": inputs or {}, "completed": [], "seed": 1, "job_id": "j",
            "job_name": "j", "step": "s", "workdir": str(home / f"work{attempt}"), "config_dir": str(home), "cache_dir": str(home / "cache"),
        }  # fmt: skip
        command = {"do": "run", "attempt": attempt, "request": request}
        self.lane.assign(worker, attempt, {}, 60.0)
        self.lane.send(worker, command, json.dumps(command).encode() + b"\n")


@pytest.fixture
def workshop(house: House) -> Iterator[Callable[[str], Workshop]]:
    made: list[Workshop] = []

    def make(name: str = "cpu") -> Workshop:
        made.append(Workshop(house, name))
        return made[-1]

    yield make
    for one in made:
        for worker in one.lane.workers.values():
            one.lane.end(worker, "drain")
            one.lane.reap(worker)


def test_a_warm_worker_runs_what_it_is_given(workshop: Callable[..., Workshop]) -> None:
    shop = workshop()
    worker = shop.warm()
    shop.run(worker, 1, items=1)
    assert shop.hear("item")["item"] == 1
    assert shop.hear("done")["attempt"] == 1


def test_a_command_longer_than_any_pipe_gets_through(workshop: Callable[..., Workshop]) -> None:
    shop = workshop()
    worker = shop.warm()
    source = shop.house.inbox / "take.wav"
    source.write_bytes(b"sound")
    shop.run(worker, 1, {"in": [{"path": str(source), "label": "in", "sha256": None, "facts": {"beats": "x" * 3_000_000}}]})
    assert shop.hear("done")["inputs"][0]["label"] == "in"
    shop.lane.release(worker)
    shop.lane.dismiss(worker)
    shop.dies()
    assert [path.name for path in (shop.house.home / "state").iterdir() if "command" in path.name] == []


def test_a_cancel_that_comes_with_its_run_is_heard(workshop: Callable[..., Workshop]) -> None:
    shop = workshop()
    worker = shop.warm()
    os.kill(worker.pid, 19)  # Stopped: it will read both commands at once.
    shop.run(worker, 5, seconds=60)
    shop.lane.ask_to_cancel(worker)
    os.kill(worker.pid, 18)
    message = shop.hear("failed")
    assert (message["attempt"], message["meaning"]) == (5, "cancelled")


def test_a_cancel_meant_for_an_earlier_run_ends_no_other(workshop: Callable[..., Workshop]) -> None:
    shop = workshop()
    worker = shop.warm()
    shop.lane.assign(worker, 4, {}, 60.0)
    shop.lane.ask_to_cancel(worker)
    shop.lane.release(worker)
    shop.run(worker, 5, items=1, seconds=0.1)
    assert shop.hear("done")["attempt"] == 5


def test_a_worker_that_is_never_ready_is_killed_and_the_lane_starts_another(
    workshop: Callable[..., Workshop], tmp_path: Path
) -> None:
    shop = workshop()
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 3600\n")
    python.chmod(0o755)
    shop.reload(lanes={"cpu": {"python": str(python)}})
    shop.lane.staff(1)
    shop.time += START_WITHIN_S - 1
    shop.lane.tick()
    assert shop.lane.workers
    shop.time += 1
    shop.lane.tick()
    shop.dies()
    assert shop.lane.workers == {} and shop.lane.failed_starts == 1
    shop.reload()
    shop.time = shop.lane.start_after
    assert shop.warm()


@pytest.mark.parametrize("settings", [{"handlers": ["tests.probes:HANDLER", "os:getcwd"]}, {"lanes": {"cpu": {"python": "/bin/false"}}}])
def test_after_a_reload_with_other_handlers_or_python_no_worker_of_before_is_used(
    workshop: Callable[..., Workshop], settings: dict[str, Any]
) -> None:
    shop = workshop()
    shop.warm()
    shop.reload(retries=5)
    assert shop.lane.idle()
    shop.reload(**settings)
    assert shop.lane.idle() == []
    shop.lane.let_go()
    shop.dies()


def test_a_lane_made_smaller_sends_the_surplus_home(workshop: Callable[..., Workshop]) -> None:
    shop = workshop()
    shop.lane.staff(2)
    shop.hear("ready"), shop.hear("ready")
    shop.reload(lanes={"cpu": {"workers": 1}})
    assert len(shop.lane.idle()) == 1
    shop.lane.let_go()
    shop.dies()
    assert len(shop.lane.idle()) == 1
    shop.reload(lanes={"cpu": {"workers": 0}})
    shop.lane.let_go()
    shop.dies()
    assert shop.lane.workers == {}


def test_a_pause_that_has_an_end_ends(workshop: Callable[..., Workshop]) -> None:
    lane = workshop().lane
    lane.paused, lane.paused_until = True, NOON + timedelta(hours=1)
    assert "paused until" in lane.closed(NOON)
    assert lane.closed(NOON + timedelta(hours=1)) is None
    assert not lane.paused, "a worker stays warm again"


def test_the_device_is_given_up_only_for_one_who_still_waits(workshop: Callable[..., Workshop]) -> None:
    shop = workshop("gpu")
    shop.warm()
    note = shop.house.home / "state" / "gpu.wanted"
    dead = subprocess.Popen(["true"])
    dead.wait()
    note.write_text(f"{dead.pid}\n")
    assert shop.lane.idle() and not note.exists()
    note.write_text(f"{os.getpid()}\n")
    assert shop.lane.idle() == []
    shop.lane.let_go()
    shop.dies()


def test_an_idle_worker_leaves_after_its_time_and_is_killed_if_it_does_not(workshop: Callable[..., Workshop]) -> None:
    shop = workshop()
    worker = shop.warm()
    os.kill(worker.pid, 19)
    shop.time += 601
    shop.lane.tick()
    assert worker.state == "leaving" and shop.lane.workers
    shop.time += EXIT_GRACE_S
    shop.lane.tick()
    shop.dies()
    assert shop.lane.workers == {} and shop.lane.failed_starts == 0


def test_an_interpreter_that_is_not_there_is_tried_again_later_and_later(workshop: Callable[..., Workshop]) -> None:
    shop = workshop()
    shop.reload(lanes={"cpu": {"python": "/no/such/python"}})
    starts = []
    for _ in range(200):
        before = shop.lane.failed_starts
        shop.lane.staff(1)
        starts += [shop.time] if shop.lane.failed_starts > before else []
        shop.time += 1
    assert 3 <= len(starts) <= 8 and starts[-1] - starts[-2] >= 60


@pytest.mark.parametrize("free", range(0, 10))
def test_without_descriptors_no_worker_is_started_and_nothing_leaks(workshop: Callable[..., Workshop], free: int) -> None:
    shop = workshop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    held = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        for _ in range(free):
            os.close(held.pop())
        shop.lane.staff(1)
        left = [os.dup(0) for _ in range(free)] if shop.lane.failed_starts else []
        held += left
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(left) == free if shop.lane.failed_starts else shop.lane.workers
