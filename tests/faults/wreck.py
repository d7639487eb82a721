"""A handler whose work can be counted from outside: it writes one line for every item it makes, and may start processes."""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from handlers.contract import Handler, Invalid, Params, Reference, Transient

DEAF = re.compile(r"(a+)+$")
"""Takes years on forty a's and a b, without once letting another thread of the process run."""


class WreckParams(Params):
    input: Reference | list[Reference] = []
    items: int = 1
    seconds: float = 0.0
    """How long each item takes."""
    made: str = ""
    """A file that gets a line ``job step label item`` for every item that is made."""
    child: str = ""
    """A file that gets the process id of a child, which outlives everything unless it is killed."""
    child_prints: bool = False
    """The child prints without end."""
    fails_until: str = ""
    """A file; the last item fails with an error that may pass while it does not exist."""
    deaf: bool = False
    """Never listen again."""
    size_kib: int = 0
    """Of each item."""
    misbehaves: Literal["", "segfault", "closes its pipe", "leaves", "takes all memory"] = ""
    once: str = ""
    """A file; it misbehaves only while that does not exist, and makes it first."""
    says: str = ""
    """A JSON text; it is warned of, logged, delivered as a fact, named as what is done, and, where `refuses`, the reason."""
    refuses: bool = False
    table: str = ""
    """A file whose bytes every item gets as its table of rows."""


HANDLER = Handler(
    name="wreck", summary="a handler for tests of faults", params=WreckParams, run="tests.faults.wreck:run"
)


def run(params: WreckParams, context) -> None:
    if params.child:
        command = ["yes", "endless output of a child"] if params.child_prints else ["sleep", "1000"]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        Path(params.child).write_text(f"{child.pid}\n")
    if params.deaf:
        DEAF.match("a" * 40 + "b")
    if params.misbehaves and not (params.once and Path(params.once).exists()):
        if params.once:
            Path(params.once).touch()
        _misbehave(params.misbehaves)
    over = ",".join(entry.label for entries in context.inputs.values() for entry in entries) or "-"
    for item in range(1, params.items + 1):
        if item in context.completed:
            continue
        until = time.monotonic() + params.seconds
        while time.monotonic() < until:
            context.check_cancelled()
            context.progress("working", item - 1, params.items, "items")
            time.sleep(0.01)
        if params.fails_until and item == params.items and not Path(params.fails_until).exists():
            raise Transient("the device is busy")
        path = context.workdir / f"{item}.txt"
        with open(path, "wb") as file:
            file.write(f"{context.job_id} {context.step} {over} {item}\n".encode())
            for _ in range(params.size_kib):
                file.write(bytes(1024))
        if params.table:
            table = context.workdir / f"{item}.jsonl"
            table.write_bytes(Path(params.table).read_bytes())
            context.emit(item, table, "sidecar", label="rows")
        said = json.loads(params.says) if params.says else ""
        context.emit(item, path, **({"said": said} if said else {}))
        if said:
            context.warn(said)
            context.log(said, about=said)
            context.progress(said, 1, 1, said)
        if params.refuses:
            raise Invalid(said)
        if params.made:
            with open(params.made, "a") as file:
                file.write(f"{context.job_id} {context.step} {over} {item}\n")


def _misbehave(how: str) -> None:
    match how:
        case "segfault":
            ctypes.string_at(0)
        case "closes its pipe":
            os.close(int(sys.argv[sys.argv.index("--events") + 1]))
        case "leaves":
            raise SystemExit(0)
        case "takes all memory":
            have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (have + (64 << 20), resource.RLIM_INFINITY))
            bytearray(1 << 30)
