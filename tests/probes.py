"""A handler for tests and benchmarks: it does what its parameters say, and dies the way they say."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Literal

from handlers.contract import Handler, Invalid, OutOfMemory, Params, Reference, Transient


class ProbeParams(Params):
    input: list[Reference] = []
    items: int = 1
    """How many items to make."""
    seconds: float = 0.0
    """How long each takes."""
    text: str = ""
    tells: bool = False
    """Write the run's seed and step, and what it reads, in place of `text`."""
    facts: dict[str, Any] = {}
    """Of every item."""
    stamp: str = ""
    """A file that gets one line, the monotonic time in nanoseconds, when the handler runs."""
    end: Literal[
        "done", "invalid", "transient", "memory", "bug", "exit", "abort", "kill", "hang", "garbage", "flood"
    ] = "done"
    until: str = ""
    """A file; `end` happens only while it does not exist."""
    memory_mib: int = 0
    phases: list[str] = []
    """Said one right after the other; then nothing more is said for `seconds`."""


HANDLER = Handler(name="probe", summary="a handler for tests", params=ProbeParams, run="tests.probes:run")


class TunedParams(Params):
    tempo: float | list[float] | None = None
    key: str | None = None
    items: int = 1


TUNED = Handler(name="tuned", summary="makes items with a tempo", params=TunedParams, run="tests.probes:run_tuned")


def run_tuned(params: TunedParams, context) -> None:
    for item in range(1, params.items + 1):
        if item not in context.completed:
            path = context.workdir / f"{item}.txt"
            path.write_text(f"{context.seed} {item}")
            context.emit(item, path, tempo_bpm=123.5, key="F# minor")


def run(params: ProbeParams, context) -> None:
    if params.stamp:
        with open(params.stamp, "a") as file:
            file.write(f"{context.job_id} {time.monotonic_ns()}\n")
    for phase in params.phases:
        context.progress(phase, 0)
    if params.phases:
        time.sleep(params.seconds)
        return
    ballast = bytearray(params.memory_mib << 20)
    for item in range(1, params.items + 1):
        if item in context.completed:
            continue
        until = time.monotonic() + params.seconds
        while time.monotonic() < until:
            context.check_cancelled()
            context.progress("working", item - 1, params.items, "items")
            time.sleep(0.02)
        if params.end != "done" and item == params.items and not (params.until and Path(params.until).exists()):
            _end(params.end)
        path = context.workdir / f"{item}.txt"
        text = params.text or context.job_id
        if params.tells:
            read = [entry.path.read_text().strip() for entries in context.inputs.values() for entry in entries]
            text = f"{context.seed} {context.step} {read or ''}"
        path.write_text(f"{text} {item}\n")
        if params.tells:
            note = context.workdir / f"{item}-note.log"
            note.write_text(text)
            context.emit(item, note, "sidecar", label="note")
        context.emit(item, path, item_text=params.text, **params.facts)
    del ballast


def _end(how: str) -> None:
    match how:
        case "invalid":
            raise Invalid("text: the request is wrong; write another")
        case "transient":
            raise Transient("the device is busy")
        case "memory":
            raise OutOfMemory("no memory is left")
        case "bug":
            raise ZeroDivisionError("a bug of the handler")
        case "exit":
            os._exit(3)
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
        case "garbage":
            os.write(int(sys.argv[sys.argv.index("--events") + 1]), b"this is no JSON\n")
            time.sleep(3600)
        case "flood":
            while True:
                sys.stdout.write("endless output\n" * 1000)
