"""`logs`: what the daemon and the handlers had to say, from the ledger."""

from __future__ import annotations

import json as jsonlib
import time
from typing import Annotated, Any

import typer

from daemon.cli import terminal
from daemon.cli.failure import CommandError
from daemon.cli.jobview import Outside, find_job, open_ledger
from daemon.cli.wait import POLL_S

LEVELS = ("debug", "info", "warning", "error")


def logs(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Only this job's lines.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come, until Ctrl-C.")] = False,
    level: Annotated[str, typer.Option(help=f"This level and above: {', '.join(LEVELS)}.")] = "debug",
    limit: Annotated[int, typer.Option(help="Begin with the last so many lines.", min=0)] = 100,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line: id, at, level, job_id, event, facts.")
    ] = False,
) -> None:
    """Print log lines, oldest first.

    Example: ./drophammer logs latest -f --level warning
    """
    from daemon.settings import locate

    if level not in LEVELS:
        raise CommandError(f"--level {level}: is none of {', '.join(LEVELS)}")
    paths = locate()
    connection = open_ledger(paths)
    found = find_job(paths, connection, job) if job is not None else None
    job_id = found.id if isinstance(found, Outside) else found
    wanted = [*LEVELS[LEVELS.index(level) :], "critical"]
    condition = f"level IN ({', '.join('?' * len(wanted))}) AND (? IS NULL OR job_id = ?)"
    values: list[Any] = [*wanted, job_id, job_id]
    last, version = 0, None
    first = True
    while True:
        connection = connection or open_ledger(paths)
        if connection is not None:
            seen = connection.execute("PRAGMA data_version").fetchone()[0]
            if first or seen != version:
                order, most = ("DESC", limit) if first else ("ASC", -1)
                query = f"SELECT * FROM events WHERE id > ? AND {condition} ORDER BY id {order} LIMIT ?"
                rows = connection.execute(query, [last, *values, most]).fetchall()
                if first:
                    rows.reverse()
                    # Nothing fitting yet is no reason to print the whole past when the first line comes.
                    last = (
                        connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
                        if not rows
                        else last
                    )
                for row in rows:
                    _print(dict(row), json)
                    last = row["id"]
                version, first = seen, False
        if not follow:
            return
        time.sleep(POLL_S)


def _print(row: dict[str, Any], json: bool) -> None:
    facts = jsonlib.loads(row["facts"])
    if json:
        print(jsonlib.dumps({**row, "facts": facts}), flush=True)
        return
    details = " ".join(f"{key}={_value(value)}" for key, value in facts.items())
    text = f"{terminal.local(row['at'])} {row['level']:7} {row['job_id'] or '-'}  {row['event']}{'  ' + details if details else ''}"
    if terminal.is_terminal():
        terminal.console().print(terminal.coloured(row["level"], text), soft_wrap=True)
    else:
        print(terminal.safe(text), flush=True)


def _value(value: object) -> str:
    return value if isinstance(value, str) and " " not in value else jsonlib.dumps(value)
