"""`top` and `demo` against the real daemon: driven through a pseudo-terminal, as a person would."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl

import pytest

from daemon.cli.top import REFRESH_S
from daemon.cli.write import is_running
from daemon.control import ask
from daemon.settings import CHECKOUT, Paths, locate

PATIENCE_S = 60.0
"""How long a test waits for what must come; only a failing test spends it."""
WAITING_JOB = "do: beats\ninput: ./never.wav\n"
ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
TINY_DEMO = """
name: tiny
steps:
  beds: {do: stems, style: industrial/bed, duration: 6, count: 1}
  mix: {do: mix, order: [beds/1, beds/1], transition: {kind: cut}}
  grid: {do: beats, input: mix}
"""


@pytest.fixture
def paths(tmp_path, monkeypatch) -> Paths:
    monkeypatch.setenv("DROPHAMMER_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    shutil.copytree(CHECKOUT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("drophammer.yaml"))
    (tmp_path / "inbox").mkdir()
    return locate(tmp_path)


@pytest.fixture
def daemon(paths) -> Iterator[Paths]:
    with open(paths.home / "daemon.log", "wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "daemon", "run"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            until(lambda: is_running(paths) or process.poll() is not None)
            assert process.poll() is None, (paths.home / "daemon.log").read_text()
            yield paths
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


class Terminal:
    """`drophammer top` on a pseudo-terminal of 120 x 40."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        # A shell's background job ignores the interrupt and passes that on; a person's terminal does not.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daemon", "top"], stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        self.seen = b""

    def read(self, timeout_s: float = 0.05) -> bytes:
        ready, _, _ = select.select([self.master], [], [], timeout_s)
        piece = os.read(self.master, 65536) if ready else b""
        self.seen += piece
        return piece

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_for(self, pattern: bytes, start: int = 0) -> None:
        until(lambda: self.read() is not None and re.search(pattern, self.seen[start:]))

    def close(self) -> int:
        until(lambda: self.read() is not None and self.process.poll() is not None)
        while self.read(0.1):
            pass
        return self.process.returncode

    def is_restored(self) -> bool:
        """Echo and line mode as before, and the alternate screen left."""
        return termios.tcgetattr(self.slave) == self.before and self.seen.rfind(LEAVE_SCREEN) > self.seen.rfind(ENTER_SCREEN) >= 0


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened: list[Terminal] = []

    def make() -> Terminal:
        opened.append(Terminal())
        return opened[-1]

    yield make  # type: ignore[misc]
    for screen in opened:
        if screen.process.poll() is None:
            screen.process.kill()
            screen.process.wait()
        os.close(screen.master)
        os.close(screen.slave)


def test_top_shows_lanes_and_jobs_and_its_keys_pause_resume_and_cancel(daemon, terminal) -> None:
    part = daemon.inboxes[0] / ".part"
    part.write_text(WAITING_JOB)
    part.rename(daemon.inboxes[0] / "patience.yaml")
    screen = terminal()
    screen.wait_for(rb"gpu.*idle")
    screen.wait_for(rb"patience-0001.*waiting")

    screen.press(b"p")
    until(lambda: ask(daemon, {"do": "status"})["lanes"]["gpu"]["paused"])
    screen.wait_for(rb"gpu paused")
    screen.press(b"p")
    until(lambda: not ask(daemon, {"do": "status"})["lanes"]["gpu"]["paused"])

    screen.press(b"\x1b[B\x1b[B")  # Down twice: past the lanes, to the job.
    screen.press(b"c")
    screen.wait_for(rb"cancelled")
    screen.press(b"q")
    assert screen.close() == 0
    assert screen.is_restored()


def test_status_of_a_running_daemon_names_lanes_and_watched_folders(daemon) -> None:
    output = subprocess.run([sys.executable, "-m", "daemon", "status"], capture_output=True, text=True, check=True).stdout
    assert f"watching  {daemon.inboxes[0]} (" in output
    assert re.search(r"^gpu .*0 queued$", output, re.M) and re.search(r"^cpu .*0 queued$", output, re.M)


def test_top_is_drawn_anew_without_a_key_being_pressed(daemon, terminal) -> None:
    assert REFRESH_S <= 0.5, "at least twice a second"
    screen = terminal()
    until(lambda: screen.read() is not None and screen.seen.count(b"drophammer ") >= 6)
    screen.press(b"q")
    assert screen.close() == 0


def test_top_without_a_daemon_says_so_and_shows_the_ledger(paths, terminal) -> None:
    screen = terminal()
    screen.wait_for(rb"no daemon is running")
    screen.press(b"q")
    assert screen.close() == 0 and screen.is_restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_top_restores_the_terminal_when_it_is_ended(paths, terminal, number) -> None:
    screen = terminal()
    screen.wait_for(rb"no daemon is running")
    screen.process.send_signal(number)
    assert screen.close() != 0
    assert screen.is_restored()


def test_top_needs_a_terminal(paths) -> None:
    result = subprocess.run([sys.executable, "-m", "daemon", "top"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == 2 and "needs a terminal" in result.stderr


def test_demo_starts_its_own_daemon_tells_the_stations_and_stops_it(paths) -> None:
    (paths.config / "jobs" / "demo.yaml").write_text(TINY_DEMO)
    result = subprocess.run([sys.executable, "-m", "daemon", "demo"], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    told = [result.stdout.index(words) for words in ("started a daemon", "dropped", "can be heard now", "done in", "next:", "stopped the daemon")]
    assert told == sorted(told)
    assert result.stdout.count("can be heard now") == 1
    assert re.search(r"the mix: \S+, 0:12 long, [\d.]+ BPM( \(the grid measures [\d.]+\))?, -[\d.]+ LUFS", result.stdout)
    assert (paths.outbox / "latest" / "manifest.json").exists()
    assert not is_running(paths)


def test_demo_uses_a_running_daemon_and_leaves_it(daemon) -> None:
    (daemon.config / "jobs" / "demo.yaml").write_text(TINY_DEMO)
    result = subprocess.run([sys.executable, "-m", "daemon", "demo"], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("using the daemon that is running") and "stopped the daemon" not in result.stdout
    assert is_running(daemon)


def test_demo_that_cannot_start_a_daemon_shows_its_last_words(paths) -> None:
    (paths.config / "schedules.yaml").write_text("nightly: {crom: '0 3 * * *'}\n")
    result = subprocess.run([sys.executable, "-m", "daemon", "demo"], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 2 and "did not start" in result.stderr and "crom" in result.stderr
