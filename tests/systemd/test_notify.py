"""What the real daemon tells its service manager, heard on a socket that stands in for systemd's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, House, eventually


class Manager:
    """The service manager's end of the notify socket."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())  # A socket's path must be short.
        self.path = self.folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(PATIENCE_S)
        self.heard: list[dict[str, str]] = []

    def hear(self) -> dict[str, str]:
        """The next message."""
        message = dict(line.split("=", 1) for line in self.socket.recv(65536).decode().splitlines())
        self.heard.append(message)
        return message

    def until(self, key: str, start: str = "") -> dict[str, str]:
        """Listen until a message has `key`, with a value that begins with `start`."""
        for _ in range(10_000):
            message = self.hear()
            if key in message and message[key].startswith(start):
                return message
        pytest.fail(f"{key}={start} was never said: {self.heard[-10:]}")

    def close(self) -> None:
        self.socket.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def manager() -> Iterator[Manager]:
    manager = Manager()
    yield manager
    manager.close()


def start(house: House, manager: Manager, **environment: str) -> int:
    return house.start(wait=False, NOTIFY_SOCKET=str(manager.path), **environment).pid


def test_notify_ready_comes_after_the_first_scan_and_names_the_daemon(house: House, manager: Manager) -> None:
    house.drop("waiting.yaml", {"do": "probe"})
    pid = start(house, manager)
    assert manager.until("READY") == {"READY": "1", "MAINPID": str(pid)}
    assert house.job("waiting") is not None, "what lay in the inbox at the start was taken before READY"


def test_notify_watchdog_is_fed_again_and_again(house: House, manager: Manager) -> None:
    start(house, manager, WATCHDOG_USEC="3000000")
    for _ in range(3):
        manager.until("WATCHDOG", "1")


def test_notify_watchdog_stays_quiet_when_nobody_watches_this_process(house: House, manager: Manager) -> None:
    start(house, manager, WATCHDOG_USEC="300000", WATCHDOG_PID="1")
    manager.until("READY")
    house.drop("one.yaml", {"do": "probe", "seconds": 2})
    house.ended("one")
    house.process.send_signal(signal.SIGTERM)
    manager.until("STOPPING")
    assert not [message for message in manager.heard if "WATCHDOG" in message]


def test_notify_watchdog_starves_when_the_loop_stands_still(house: House, manager: Manager) -> None:
    pid = start(house, manager, WATCHDOG_USEC="1000000")
    manager.until("WATCHDOG")
    os.kill(pid, signal.SIGSTOP)
    manager.socket.settimeout(3)
    with pytest.raises(TimeoutError):
        for _ in range(100):
            manager.hear()


def test_notify_status_shows_the_running_step(house: House, manager: Manager) -> None:
    start(house, manager)
    manager.until("READY")
    house.drop("long.yaml", {"steps": {"beds": {"do": "probe", "items": 4, "seconds": 0.7}}})
    assert "/beds" in manager.until("STATUS", "running: ")["STATUS"]
    house.ended("long")
    manager.until("STATUS", "idle")


def test_notify_stopping_asks_for_the_time_that_draining_may_take(house: House, manager: Manager) -> None:
    house.configure(drain="40s")
    start(house, manager)
    manager.until("READY")
    house.drop("long.yaml", {"do": "probe", "seconds": 3})
    eventually(lambda: (job := house.job("long")) and job["state"] == "running", "it runs")
    house.process.send_signal(signal.SIGTERM)
    message = manager.until("STOPPING")
    assert message["STOPPING"] == "1" and int(message["EXTEND_TIMEOUT_USEC"]) >= 40_000_000
    manager.until("STATUS", "draining: ")
    assert house.stop() == 0
    assert [row["outcome"] for row in house.rows("SELECT outcome FROM attempts")] in (["done"], ["interrupted"])


@pytest.mark.parametrize("text", ["retries: 5\n", "retries: many\n"])
def test_notify_reloading_is_followed_by_ready_even_when_the_new_configuration_is_broken(
    house: House, manager: Manager, text: str
) -> None:
    start(house, manager)
    manager.until("READY")
    (house.home / "config" / "drophammer.yaml").write_text('handlers: ["tests.probes:HANDLER"]\n' + text)
    house.process.send_signal(signal.SIGHUP)
    manager.until("RELOADING", "1")
    manager.until("READY", "1")
    assert ("stays in force" in house.output()) == (text == "retries: many\n")


def test_notify_workers_do_not_inherit_the_managers_socket(house: House, manager: Manager) -> None:
    start(house, manager, WATCHDOG_USEC="3000000")
    manager.until("READY")
    house.drop("long.yaml", {"do": "probe", "seconds": 3})
    worker = eventually(lambda: house.ask("status")["lanes"]["cpu"]["workers"], "a worker is there")[0]
    environment = Path(f"/proc/{worker['pid']}/environ").read_bytes()
    assert b"PYTHONPATH=" in environment
    assert b"NOTIFY_SOCKET" not in environment and b"WATCHDOG" not in environment


def test_a_worker_is_more_killable_than_its_daemon(house: House) -> None:
    house.start()
    house.drop("long.yaml", {"do": "probe", "seconds": 3})
    worker = eventually(
        lambda: [worker for worker in house.ask("status")["lanes"]["cpu"]["workers"] if worker["state"] == "busy"],
        "it works",
    )[0]
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (house.process.pid, worker["pid"])]
    assert scores[1] >= 500 and scores[1] > scores[0]
