"""Log lines: to stdout as JSON, or in colour for a person at a terminal, and into the ledger.

Any thread may log. Lines wait in `Journal.pending` until the main thread writes them with its next transaction. A line
that cannot be written anywhere never fails the work: it is dropped.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from daemon.jobs import timestamp

PENDING_LINES = 20_000
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Row = tuple[str, str, str | None, str, str]


class Journal:
    """Lines that the ledger has not got yet, as rows of `events`: at, level, job_id, event, facts."""

    def __init__(self) -> None:
        self.pending: deque[Row] = deque(maxlen=PENDING_LINES)

    def __call__(self, logger: object, method: str, entry: dict[str, Any]) -> dict[str, Any]:
        facts = {key: value for key, value in entry.items() if key not in ("event", "level", "timestamp", "job_id")}
        text = json.dumps(facts, default=str) if facts else "{}"
        self.pending.append((entry["timestamp"], entry["level"], entry.get("job_id"), str(entry["event"]), text))
        return entry

    def take(self) -> list[Row]:
        """Remove and return everything that waits."""
        rows = []
        while self.pending:
            rows.append(self.pending.popleft())
        return rows


class Printer:
    """Writes to a stream until the stream fails; then says nothing more."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def msg(self, line: str) -> None:
        try:
            self.stream.write(line + "\n")
            self.stream.flush()
        except (OSError, ValueError):
            pass

    debug = info = warning = error = critical = exception = msg


def let_go(stream: TextIO) -> None:
    """Flush a stream at the end of the process; what nobody can take any more must not turn its exit code into 120."""
    try:
        stream.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _stamp(logger: object, method: str, entry: dict[str, Any]) -> dict[str, Any]:
    entry["timestamp"] = timestamp(datetime.now(UTC))
    entry["level"] = method
    return entry


def configure(journal: Journal, *, level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard output) and to `journal`."""
    stream = stream or sys.stdout
    if stream.isatty():
        render: Any = structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)
    else:
        render = structlog.processors.JSONRenderer(default=str)
    structlog.configure(
        processors=[_stamp, structlog.processors.format_exc_info, journal, render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: Printer(stream),
        cache_logger_on_first_use=False,
    )
