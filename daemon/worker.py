"""The child process that does the work: takes one run at a time, stays warm, and never outlives its daemon.

It speaks JSON lines on two pipes of its own; stdout and stderr belong to the libraries and end in the job's log.
To it: ``run``, ``cancel``, ``exit``. From it: ``ready``, ``progress``, ``log``, ``item``, ``done``, ``failed``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daemon.execution import Execution, Request
from handlers.contract import HandlerError
from handlers.registry import load_registry

PR_SET_PDEATHSIG = 1
OOM_SCORE = 500
"""Of a worker, on the kernel's scale from -1000 (never) to 1000 (first): as if it held half of all memory more."""
Say = Callable[[dict[str, Any]], None]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lane", required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--commands", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--lock", type=Path)
    parser.add_argument("--handler", action="append", default=[])
    options = parser.parse_args()

    die_with_parent(options.parent)
    die_before_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal reaches the whole group; the daemon decides.
    # Libraries may start processes of their own: those must not hold our pipes open after us.
    os.set_inheritable(options.commands, False)
    os.set_inheritable(options.events, False)

    say = speaker(options.events)
    worker = Worker(load_registry(options.handler), say, options.lock)
    threading.Thread(target=worker.listen, args=(options.commands,), name="commands", daemon=True).start()
    say({"say": "ready", "pid": os.getpid()})
    worker.work()


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill us when the daemon ends, and end now if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def die_before_parent() -> None:
    """When memory runs out, be what the kernel kills: a worker's loss is one attempt, the daemon's is all that runs."""
    score = Path("/proc/self/oom_score_adj")
    try:
        score.write_text(str(max(OOM_SCORE, int(score.read_text()))))
    except OSError:
        pass  # A container may keep /proc read-only. The kernel takes the largest process first, and that is a worker too.


def speaker(descriptor: int) -> Say:
    """A function that writes one message as one line, whole, from any thread."""
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        line = json.dumps(message, allow_nan=False, default=str).encode() + b"\n"
        with lock:
            view = memoryview(line)
            try:
                while view:
                    view = view[os.write(descriptor, view) :]
            except BrokenPipeError:
                os._exit(1)  # Nobody is left to work for.

    return say


class Worker:
    """Takes requests off the command pipe and runs them one after the other."""

    def __init__(self, registry: Any, say: Say, lock: Path | None) -> None:
        self.registry = registry
        self.say = say
        self.lock = lock
        self.models: dict[str, Any] = {}
        self.requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.cancelled: int | None = None
        """The attempt that was cancelled last; it may not have begun when we hear of it."""

    def listen(self, descriptor: int) -> None:
        """Read commands until the daemon closes the pipe, which is the end of us whatever we are doing."""
        with open(descriptor, "rb") as stream:
            for line in stream:
                command = json.loads(line)
                if "file" in command:
                    command = json.loads(Path(command["file"]).read_bytes())
                match command["do"]:
                    case "run":
                        self.requests.put(command)
                    case "cancel":
                        self.cancelled = command["attempt"]
                    case "exit":
                        self.requests.put(None)
        os._exit(0)

    def work(self) -> None:
        held = None
        while (command := self.requests.get()) is not None:
            if self.lock is not None and held is None:
                held = claim_device(self.lock, command["attempt"], self.say)
            self.run(command)

    def run(self, command: dict[str, Any]) -> None:
        """Run one request and report how it ended. The only place that catches everything: the lane's boundary."""
        attempt = command["attempt"]
        request = Request(**command["request"])
        answer: dict[str, Any]
        execution = Execution(
            request,
            lambda message: self.say({**message, "attempt": attempt}),
            models=self.models,
            cancelled=lambda: self.cancelled == attempt,
        )
        try:
            answer = {"say": "done", **asdict(execution.run(self.registry[request.handler]))}
        except HandlerError as error:
            answer = {"say": "failed", "meaning": error.meaning, "message": str(error), "traceback": None}
        except MemoryError as error:
            answer = _failure("out_of_memory", error)
        except OSError as error:
            answer = _failure("transient" if error.errno in execution.passing_errors else "bug", error)
        except Exception as error:
            answer = _failure("out_of_memory" if type(error).__name__ == "OutOfMemoryError" else "bug", error)
        answer.setdefault("warnings", execution.warnings)
        answer.setdefault("inputs", execution.hashed)
        self.say({**answer, "attempt": attempt})


def _failure(meaning: str, error: BaseException) -> dict[str, Any]:
    return {
        "say": "failed",
        "meaning": meaning,
        "message": f"{type(error).__name__}: {error}",
        "traceback": "".join(traceback.format_exception(error))[-20_000:],
    }


def claim_device(path: Path, attempt: int | None, say: Say) -> int:
    """Take the device's lock, and keep it until this process ends. While another holds it, say so and leave a note.

    The note (`<lock>.wanted`) makes the holder's daemon send its warm worker home as soon as it is idle.
    """
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    wanted = path.with_suffix(".wanted")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
        wanted.write_text(f"{os.getpid()}\n")
        say(
            {
                "say": "progress",
                "attempt": attempt,
                "phase": f"waiting for the device, held by process {holder}",
                "done": 0,
            }
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    wanted.unlink(missing_ok=True)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # Library threads (CUDA, OpenMP) must not hold the end up.
