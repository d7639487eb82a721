"""A handler whose work can be counted from outside: it writes one line for every item it makes, and may start processes."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from handlers.contract import Handler, Params, Reference, Transient

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
        context.emit(item, path)
        if params.made:
            with open(params.made, "a") as file:
                file.write(f"{context.job_id} {context.step} {over} {item}\n")
