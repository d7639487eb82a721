"""A lane: worker processes, and their supervision. It knows processes and time; what they work on is the service's.

Workers are spawned from the main thread only (the kernel kills them when the thread that spawned them ends), each in a
process group of its own, so that a worker's own children end with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from daemon.ears import Ears
from daemon.processes import group_memory, kill_group, start_ticks
from daemon.settings import CHECKOUT
from daemon.settings_model import LaneSettings, Settings, within_hours

log = structlog.get_logger()

LONGEST_COMMAND = 1 << 15
"""In bytes. A longer one goes by way of a file: a pipe holds 64 KiB, and takes what it can without waiting."""
WORKER_MARK = "DROPHAMMER_WORKER_OF"
"""Environment variable of every worker, with the installation's folder: what it starts is known by it."""
RESTART_PAUSE_S = (0.0, 1.0, 5.0, 30.0, 60.0)
"""Before a worker is started again that died before it was ready: after none, one, two ... such deaths in a row."""
EXIT_GRACE_S = 5.0
START_WITHIN_S = 180.0
"""A worker that is not ready by then (a handler's import that hangs) is killed and started again."""


@dataclass
class Worker:
    """One child process and what it is doing."""

    number: int
    process: subprocess.Popen[bytes]
    commands: int
    start_ticks: int
    made_for: tuple[object, ...]
    """The settings it was started with; once the lane has others it gets no more work. Empty: it has had enough."""
    state: str = "starting"
    """starting, idle, busy or leaving"""
    since: float = 0.0
    attempt: int | None = None
    work: dict[str, Any] = field(default_factory=dict)
    """What it works on, for people: job_id, step, run_id; and its last progress."""
    deadline: float | None = None
    kill_at: float | None = None
    ended_for: str | None = None
    """Why we ended it: timeout, cancel, memory, drain, garbled. None: it died by itself."""
    note: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid


class Lane:
    """The workers of one lane.

    Parameters
    ----------
    clock
        Seconds that never jump (:func:`time.monotonic`).
    """

    def __init__(self, name: str, settings: Settings, ears: Ears, clock: Any) -> None:
        self.name = name
        self.ears = ears
        self.clock = clock
        self.workers: dict[int, Worker] = {}
        self.counter = 0
        self.failed_starts = 0
        self.start_after = 0.0
        self.paused = False
        self.paused_until: datetime | None = None
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        self.all_settings = settings
        self.settings: LaneSettings = getattr(settings.lanes, self.name)
        self.made_for = (self.settings.python, tuple(settings.handlers))
        self.lock = settings.paths.state / f"{self.name}.lock" if self.name == "gpu" else None

    # --- what the service asks ---

    def closed(self, now: datetime) -> str | None:
        """Why the lane takes no work now, in words; None when it does."""
        if self.paused_until is not None and now >= self.paused_until:
            self.paused, self.paused_until = False, None
        if self.paused:
            return "paused" + (f" until {self.paused_until.astimezone():%H:%M}" if self.paused_until else "")
        if not within_hours(self.settings.hours, now.astimezone()):
            return f"outside its hours ({self.settings.hours})"
        return None

    def idle(self) -> list[Worker]:
        """Workers that can take a run now."""
        leaving = {worker.number for worker in self._unfit()}
        return [worker for worker in self._warm() if worker.number not in leaving]

    def _warm(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.state == "idle"]

    def _unfit(self) -> list[Worker]:
        """Idle workers that get nothing more to do: too many of them, other settings, or the device is wanted."""
        surplus = sum(worker.state != "leaving" for worker in self.workers.values()) - self.settings.workers
        wanted = self._wanted()
        return [
            worker
            for place, worker in enumerate(self._warm())
            if place < surplus or wanted or worker.made_for != self.made_for
        ]

    def let_go(self, *, everyone: bool = False) -> None:
        """Send idle workers home that get nothing more to do; `everyone`: all of them."""
        for worker in self._warm() if everyone else self._unfit():
            self.dismiss(worker)

    def busy(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.attempt is not None]

    def staff(self, waiting: int) -> None:
        """Start workers for `waiting` runs, within the lane's limit."""
        available = sum(worker.state in ("starting", "idle") for worker in self.workers.values())
        room = self.settings.workers - len(self.workers)
        if self.clock() >= self.start_after:
            for _ in range(min(waiting - available, room)):
                self._spawn()

    def assign(self, worker: Worker, attempt: int, work: dict[str, Any], timeout_s: float) -> None:
        worker.state, worker.attempt, worker.work = "busy", attempt, work
        worker.since = self.clock()
        worker.deadline = worker.since + timeout_s

    def send(self, worker: Worker, command: dict[str, Any], line: bytes) -> None:
        """Write one command, without waiting for the worker to read."""
        size, problem = len(line), "its pipe is full"
        try:
            if size > LONGEST_COMMAND:
                file = self._command_file(worker)
                file.write_bytes(line)
                line = json.dumps({"file": str(file)}).encode() + b"\n"
            written = os.write(worker.commands, line)
        except OSError as error:
            written, problem = 0, str(error)
        if written != len(line):
            self.end(
                worker, "garbled", f"a {command['do']} command of {size:,} bytes did not get through to it: {problem}"
            )

    def _command_file(self, worker: Worker) -> Path:
        return self.all_settings.paths.state / f"command-{self.name}-{worker.number}.json"

    def ask_to_cancel(self, worker: Worker) -> None:
        """Ask first; `tick` kills after the grace."""
        if worker.kill_at is None:
            worker.kill_at = self.clock() + self.all_settings.cancel_grace
            worker.ended_for = "cancel"
            self.send(worker, {"do": "cancel"}, b'{"do": "cancel", "attempt": %d}\n' % (worker.attempt or 0))

    def release(self, worker: Worker) -> None:
        """Its run has ended; it is warm and free."""
        worker.attempt, worker.work, worker.deadline, worker.kill_at, worker.ended_for = None, {}, None, None, None
        worker.state, worker.since = "idle", self.clock()

    def dismiss(self, worker: Worker) -> None:
        """Let an idle worker go: that is what gives the device's memory back."""
        worker.state, worker.kill_at = "leaving", self.clock() + EXIT_GRACE_S
        self.send(worker, {"do": "exit"}, b'{"do": "exit"}\n')

    def end(self, worker: Worker, reason: str, note: str = "") -> None:
        """Kill a worker and everything it started; its death arrives as an event."""
        worker.ended_for, worker.note = reason, note
        worker.kill_at = None
        kill_group(worker.pid)

    def reap(self, worker: Worker) -> None:
        """Take in a dead worker's status, after killing what it left behind. Doing it again changes nothing."""
        if worker.process.returncode is None:
            kill_group(worker.pid)  # Before it is reaped: the group's number cannot be another's yet.
            worker.process.wait()

    def forget(self, worker: Worker) -> None:
        """A reaped worker makes room for a new one."""
        if self.workers.pop(worker.number, None) is None:
            return
        os.close(worker.commands)
        self._command_file(worker).unlink(missing_ok=True)
        if worker.state == "starting":
            self.failed_starts += 1
            pause = RESTART_PAUSE_S[min(self.failed_starts, len(RESTART_PAUSE_S) - 1)]
            self.start_after = self.clock() + pause
            log.error(
                "worker died before it was ready",
                lane=self.name,
                pid=worker.pid,
                end=worker_end(worker),
                again_in_s=pause,
            )

    def ready(self, worker: Worker) -> None:
        self.failed_starts = 0
        worker.state, worker.since = "idle", self.clock()

    def tick(self) -> None:
        """Once a second: what is too long, too large, or no longer needed."""
        now = self.clock()
        for worker in list(self.workers.values()):
            if worker.kill_at is not None and now >= worker.kill_at:
                self.end(worker, worker.ended_for or "cancel", worker.note)
            elif worker.deadline is not None and now >= worker.deadline and worker.ended_for is None:
                self.end(worker, "timeout", f"it did not finish within {worker.deadline - worker.since:g} s")
            elif worker.state == "starting" and worker.ended_for is None and now - worker.since >= START_WITHIN_S:
                self.end(worker, "start", f"it was not ready within {START_WITHIN_S:g} s")
            elif worker.state == "idle" and now - worker.since >= self.settings.idle_unload:
                self.dismiss(worker)
            elif self.settings.memory and worker.ended_for is None and worker.state in ("busy", "idle"):
                size = group_memory(worker.pid)
                if size > self.settings.memory:
                    self.end(
                        worker, "memory", f"it used {size >> 20} MiB, over the lane's {self.settings.memory >> 20} MiB"
                    )

    def _wanted(self) -> bool:
        """Whether a living process has left its note beside the device's lock."""
        if self.lock is None:
            return False
        note = self.lock.with_suffix(".wanted")
        try:
            if os.path.exists(f"/proc/{int(note.read_text())}"):
                return True
            note.unlink()  # It was killed while it waited.
        except (OSError, ValueError):
            pass
        return False

    def _spawn(self) -> None:
        self.counter += 1
        pipes: list[int] = []
        try:
            for _ in range(3):
                pipes += os.pipe2(os.O_CLOEXEC)
            self._start(*pipes)
        except OSError as error:
            for descriptor in pipes:
                os.close(descriptor)
            self.failed_starts += 1
            self.start_after = self.clock() + RESTART_PAUSE_S[min(self.failed_starts, len(RESTART_PAUSE_S) - 1)]
            log.error("worker cannot be started", lane=self.name, python=self._python(), error=str(error))

    def _python(self) -> str:
        return str(Path(self.settings.python).expanduser()) if self.settings.python else sys.executable

    def _start(
        self,
        command_read: int,
        command_write: int,
        event_read: int,
        event_write: int,
        output_read: int,
        output_write: int,
    ) -> None:
        os.set_blocking(command_write, False)
        command = [
            self._python(),
            "-m",
            "daemon.worker",
            "--lane",
            self.name,
            "--parent",
            str(os.getpid()),
            "--home",
            str(self.all_settings.paths.home),
            "--commands",
            str(command_read),
            "--events",
            str(event_write),
        ]
        for handler in self.all_settings.handlers:
            command += ["--handler", handler]
        if self.lock is not None:
            command += ["--lock", str(self.lock)]
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        }
        environment[WORKER_MARK] = str(self.all_settings.paths.home)
        environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output_write,
            stderr=output_write,
            cwd=self.all_settings.paths.home,
            pass_fds=(command_read, event_write),
            process_group=0,
            env=environment,
        )
        try:
            self.ears.attend(self.name, self.counter, process.pid, event_read, output_read)
        except OSError:  # No descriptor is left to watch it by.
            kill_group(process.pid)
            process.wait()
            raise
        worker = Worker(
            self.counter, process, command_write, start_ticks(process.pid) or 0, self.made_for, since=self.clock()
        )
        self.workers[worker.number] = worker
        for descriptor in (command_read, event_write, output_write):
            os.close(descriptor)


def worker_end(worker: Worker) -> str:
    """How a reaped process ended, in words."""
    status = worker.process.returncode
    if worker.note:
        return worker.note
    if status < 0:
        return f"killed by signal {-status} ({signal.Signals(-status).name})"
    return f"it exited with status {status} in the middle of its work"
