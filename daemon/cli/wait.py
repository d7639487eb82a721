"""`wait`: hold until a job has ended, and say by the exit code how. Cheap: it asks the ledger only when it changed."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli import terminal
from daemon.cli.failure import NO, UNANSWERED, CommandError
from daemon.cli.jobview import PENDING, REJECTED, Outside, find_job, open_ledger, read_job, read_steps
from daemon.cli.read import step_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.settings import Paths

POLL_S = 0.08
ENDED = ("done", "failed", "cancelled", REJECTED)


def follow(
    paths: Paths, job_id: str, deadline: float | None = None, alive: Callable[[], bool] = lambda: True
) -> Iterator[tuple[sqlite3.Connection | None, dict[str, Any]]]:
    """Yield a job's row at once and whenever the ledger or the inbox changed, until it has ended.

    The last row yielded is the ended one. A submitted job that is not taken yet has the state `pending`.

    Raises
    ------
    CommandError
        When the job is unknown, `deadline` (monotonic seconds) passes, or the daemon is no longer `alive`.
    """
    connection, version, said = None, None, None
    while True:
        connection = connection or open_ledger(paths)
        seen = connection.execute("PRAGMA data_version").fetchone()[0] if connection else None
        if said is None or seen != version or said == PENDING:
            job = read_job(connection, job_id) or _outside(find_job(paths, connection, job_id), connection)
            if not (said == job["state"] == PENDING):
                yield connection, job
            version, said = seen, job["state"]
            if said in ENDED:
                return
        if deadline is not None and time.monotonic() >= deadline:
            raise CommandError(f"{job_id} is {said}: the time is up", UNANSWERED)
        if not alive():
            raise CommandError(f"{job_id} is {said}: the daemon has ended", UNANSWERED)
        time.sleep(POLL_S)


def _outside(found: str | Outside, connection: sqlite3.Connection | None) -> dict[str, Any]:
    if isinstance(found, Outside):
        return {"id": found.id, "state": found.state, "reason": found.reason, "folder": None}
    return read_job(connection, found) or {"id": found, "state": PENDING, "reason": None, "folder": None}


def wait(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id, start of an id, number, name, or latest.")],
    timeout: Annotated[float | None, typer.Option(help="Give up after this many seconds.", min=0)] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the job's last state as JSON: id, state, reason, failures, folder.")
    ] = False,
) -> None:
    """Wait until a job has ended. Exit code 0: done; 1: failed or cancelled; 2: unknown job, or the time is up.

    Example: ./drophammer wait latest --timeout 600 && mpv outbox/latest/*.wav
    """
    from daemon.control import ControlError, ask
    from daemon.settings import locate

    paths = locate()
    deadline = None if timeout is None else time.monotonic() + timeout
    found = find_job(paths, open_ledger(paths), job)
    job_id = found.id if isinstance(found, Outside) else found
    last: dict[str, Any] = {}
    line = ProgressLine()
    with line:
        for connection, last in follow(paths, job_id, deadline):
            if not last.get("finished_at") and not line.begun and last["state"] not in ENDED:
                try:
                    ask(paths, {"do": "ping"})
                except ControlError as error:
                    terminal.note(f"{job_id} is {last['state']}: {error}")
            line.show(describe_progress(connection, last))
    if json:
        terminal.print_json({key: last.get(key) for key in ("id", "state", "reason", "failures", "folder")})
    else:
        where = last.get("folder") or last.get("reason") or ""
        failures = f", failures: {last['failures']}" if last.get("failures") else ""
        print(f"{job_id} {last['state']}{failures}{': ' + terminal.safe(where) if where else ''}")
    if last["state"] != "done":
        raise typer.Exit(NO)


def describe_progress(connection: sqlite3.Connection | None, job: dict[str, Any]) -> str:
    """A running job in one line."""
    steps = read_steps(connection, job["id"]) if connection is not None and job["state"] == "running" else []
    active = [f"{step['name']}: {step_now(step)}" for step in steps if step["state"] == "running"]
    done = sum(step["state"] == "done" for step in steps)
    took = terminal.duration(terminal.seconds_between(job.get("started_at"), datetime.now(UTC)))
    return terminal.safe(
        "  ".join([job["state"], *([f"{done}/{len(steps)} steps"] if steps else []), *active, took]).strip()
    )


class ProgressLine:
    """One line on stderr that is written over; nothing at all when stderr is no terminal."""

    def __init__(self) -> None:
        import sys

        self.stream = sys.stderr
        self.live = self.stream.isatty()
        self.begun = False

    def __enter__(self) -> ProgressLine:
        return self

    def show(self, text: str) -> None:
        import shutil

        self.begun = True
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\x1b[2K{text[:width]}")
            self.stream.flush()

    def clear(self) -> None:
        if self.live and self.begun:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()

    def __exit__(self, *_: object) -> None:
        self.clear()
