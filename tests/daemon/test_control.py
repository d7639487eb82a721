"""The control socket: clients that say too much, nothing, or half of it; and a daemon that goes away."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.control import CLIENTS, Control, ControlError, ask
from daemon.events import Event
from daemon.settings import Paths
from tests.conftest import eventually


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "state").mkdir()
    return Paths(tmp_path, tmp_path / "config", (tmp_path / "inbox",), tmp_path / "outbox", tmp_path / "state")


@pytest.fixture
def control(paths: Paths) -> Iterator[Control]:
    def answer(event: Any) -> None:
        event.reply({"ok": True, "heard": event.request})

    control = Control(paths, answer)
    control.start()
    yield control
    control.stop()


def talk(paths: Paths, data: bytes) -> list[dict[str, Any]]:
    """Send bytes as they are, close our half, and read every answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(paths.socket))
        threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR))).start()
        with connection.makefile("rb") as stream:
            return [json.loads(line) for line in stream]


def test_one_client_asks_as_often_as_it_likes(control: Control, paths: Paths) -> None:
    answers = talk(paths, b'{"do": "ping"}\n' * 3)
    assert answers == [{"ok": True, "heard": {"do": "ping"}}] * 3


@pytest.mark.parametrize("line", [b"hello\n", b"[]\n", b"\xff\n", b"[" * 100_000 + b"\n", b"{\n"])
def test_what_is_no_request_is_refused_and_the_next_is_heard(control: Control, paths: Paths, line: bytes) -> None:
    first, second = talk(paths, line + b'{"do": "ping"}\n')
    assert not first["ok"] and "one JSON object" in first["error"] and second["ok"]


def test_a_line_without_an_end_is_refused_once(control: Control, paths: Paths) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(paths.socket))
        with pytest.raises(ConnectionError):
            for _ in range(64):
                connection.sendall(b"x" * (1 << 20))
    assert ask(paths, {"do": "ping"})["ok"]


def test_many_silent_clients_hold_nobody_up_for_good(control: Control, paths: Paths) -> None:
    silent = []
    for _ in range(CLIENTS - 1):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(paths.socket))
        silent.append(connection)
    assert ask(paths, {"do": "ping"})["ok"]
    for connection in silent:
        connection.close()
    assert all(ask(paths, {"do": "ping"})["ok"] for _ in range(2 * CLIENTS))
    eventually(lambda: sum(thread.name == "control client" for thread in threading.enumerate()) == 0, "no thread is left")


def test_it_listens_on_after_a_moment_without_free_descriptors(control: Control, paths: Paths) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as connection:
        held: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
        try:
            while len(held) < 128:
                held.append(os.dup(0))
        except OSError:
            first.connect(str(paths.socket))  # The accept that waits has its descriptor already.
            connection.connect(str(paths.socket))  # It is accepted by the kernel, and cannot be by us.
            connection.settimeout(0.3)
            connection.sendall(b'{"do": "ping"}\n')
            with pytest.raises(TimeoutError):
                connection.recv(1)
        finally:
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        connection.settimeout(10)
        assert json.loads(connection.recv(1000))["ok"]


def test_without_a_daemon_the_error_says_so(paths: Paths) -> None:
    with pytest.raises(ControlError, match="no daemon is running"):
        ask(paths, {"do": "ping"})


@pytest.mark.parametrize("answer", [b"", b'{"ok": tr', b'{"ok": true}'])
def test_a_daemon_that_dies_while_it_answers_is_an_error_in_words(paths: Paths, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(paths.socket))
        server.listen(1)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        threading.Thread(target=serve).start()
        with pytest.raises(ControlError, match="closed the connection"):
            ask(paths, {"do": "ping"})


def test_the_socket_is_for_its_owner_only_and_works_in_a_deep_folder(tmp_path: Path) -> None:
    state = tmp_path / ("deep" * 20) / ("folder" * 10)
    state.mkdir(parents=True)
    paths = Paths(tmp_path, tmp_path, (tmp_path,), tmp_path, state)
    heard: list[Event] = []

    def answer(event: Any) -> None:
        heard.append(event)
        event.reply({"ok": True})

    control = Control(paths, answer)
    control.start()
    assert paths.socket.stat().st_mode & 0o777 == 0o600
    assert ask(paths, {"do": "ping"})["ok"] and len(heard) == 1
    control.stop()
