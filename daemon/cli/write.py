"""What changes something: submitting works by itself, the rest asks the running daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli import terminal
from daemon.cli.failure import NO, CommandError
from daemon.cli.jobview import PENDING, Outside, find_job, open_ledger

if TYPE_CHECKING:
    from daemon.settings import Paths

Job = Annotated[str, typer.Argument(metavar="JOB", help="Id, start of an id, number, name, or latest.")]
Lane = Annotated[str | None, typer.Argument(metavar="[LANE]", help="gpu or cpu; without it: both.")]
LANES = ("gpu", "cpu")


def submit(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Job files; - reads one from stdin.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and list what `for_each` would go over.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of id, name, path.")] = False,
) -> None:
    """Check job files and drop them into the inbox; print the job's id.

    Works with the daemon down: the job starts when the daemon does. With a problem in any file none is submitted.
    --dry-run submits nothing: it runs the steps that only look around (discover, select) and lists what steps with
    for_each would go over; its JSON is that of `check`, with runs (step, over, rows, start, chosen).

    Example: ./drophammer submit config/jobs/demo.yaml
    """
    from daemon.cli.submission import drop, read_documents
    from daemon.settings import load

    if dry_run:
        from daemon.cli.check import check_files

        check_files(files, json=json, look_around=True)
        return
    settings = load()
    dropped = []
    for text, document in read_documents(files, settings):
        job_id = drop(settings.paths, text, document.name)
        dropped.append({"id": job_id, "name": document.name, "path": str(settings.paths.inboxes[0] / f"{job_id}.yaml")})
        for step in document.steps:
            for finding in step.findings:
                terminal.note(f"{finding.kind}: step {step.name}, {finding.key}: {finding.message}")
    if json:
        terminal.print_json(dropped)
        return
    for entry in dropped:
        print(entry["id"])
    if not is_running(settings.paths):
        terminal.note("no daemon is running: the job starts when it does (./drophammer run)")
    if terminal.is_terminal():
        last = dropped[-1]["id"]
        terminal.note(
            f"follow it: ./drophammer wait {last}\nsee it:    ./drophammer show {last}\nall lanes: ./drophammer top"
        )


def is_running(paths: Paths) -> bool:
    """Whether a daemon answers."""
    from daemon.control import ControlError, ask

    try:
        ask(paths, {"do": "ping"})
    except ControlError:
        return False
    return True


def cancel(job: Job) -> None:
    """Cancel a job. What it finished is published in outbox/failed; a running step is asked to stop, then killed.

    Example: ./drophammer cancel latest
    """
    from daemon.control import ask
    from daemon.settings import locate

    paths = locate()
    found = find_job(paths, open_ledger(paths), job)
    if isinstance(found, Outside):
        if found.state == PENDING and _withdraw(found):
            print(f"{found.id} withdrawn: it was not taken yet")
            return
        found = find_job(paths, open_ledger(paths), found.id)
        if isinstance(found, Outside):
            raise CommandError(f"{found.id} is {found.state}: there is nothing to cancel", NO)
    ask(paths, {"do": "cancel", "job": found})
    print(f"{found} is being cancelled")


def _withdraw(job: Outside) -> bool:
    try:
        job.path.unlink()
    except FileNotFoundError:
        return False
    return True


def retry(job: Job) -> None:
    """Run a failed or cancelled job again; items that were finished are kept.

    Example: ./drophammer retry latest
    """
    from daemon.control import ask
    from daemon.settings import locate

    paths = locate()
    found = find_job(paths, open_ledger(paths), job)
    if isinstance(found, Outside):
        raise CommandError(f"{found.id} is {found.state}: only a failed or cancelled job can be retried", NO)
    ask(paths, {"do": "retry", "job": found})
    print(f"{found} is queued again")


def keep(
    job: Job,
    items: Annotated[list[str], typer.Argument(metavar="ITEM...", help="Finished items: beds/3, seed-7/beds/3.")],
    drop: Annotated[bool, typer.Option("--drop", help="Do not keep them any more.")] = False,
) -> None:
    """Mark finished items as kept: `again` takes them over as they are, and makes all else anew.

    Example: ./drophammer keep latest beds/3 beds/5
    """
    from daemon.control import ask
    from daemon.settings import locate

    paths = locate()
    found = find_job(paths, open_ledger(paths), job)
    if isinstance(found, Outside):
        raise CommandError(f"{found.id} is {found.state}: it has finished nothing", NO)
    kept = ask(paths, {"do": "keep", "job": found, "items": " ".join(items), "drop": "yes" if drop else None})["kept"]
    print(f"{found} keeps {', '.join(kept)}" if kept else f"{found} keeps nothing")
    if kept and terminal.is_terminal():
        terminal.note(f"the rest anew: ./drophammer again {found}")


def pause(
    lane: Lane = None,
    until: Annotated[
        str | None, typer.Option(help="Go on by itself at this local time: 18:00, or an ISO time.")
    ] = None,
) -> None:
    """Start nothing new in a lane. A running step is finished; a paused gpu lane frees its memory.

    Example: ./drophammer pause gpu --until 18:00
    """
    answer = _ask_lane("pause", lane, until=until)
    moment = answer.get("until")
    print(
        f"paused: {lane or 'gpu and cpu'}{', until ' + terminal.local(moment) if moment else '; go on with: ./drophammer resume'}"
    )


def resume(lane: Lane = None) -> None:
    """Let a paused lane work again.

    Example: ./drophammer resume gpu
    """
    _ask_lane("resume", lane)
    print(f"resumed: {lane or 'gpu and cpu'}")


def _ask_lane(verb: str, lane: str | None, **more: Any) -> dict[str, Any]:
    from daemon.control import ask
    from daemon.settings import locate

    if lane is not None and lane not in LANES:
        raise CommandError(f"no lane {lane!r}: there are {' and '.join(LANES)}")
    return ask(locate(), {"do": verb, "lane": lane, **more})


def reload() -> None:
    """Let the running daemon read its configuration again; running steps keep what they had.

    Example: ./drophammer reload
    """
    from daemon.control import ask
    from daemon.settings import locate

    answer = ask(locate(), {"do": "reload"})
    changed, later = answer.get("changed", []), answer.get("restart_needed", [])
    print(f"changed: {', '.join(changed) or 'nothing'}")
    if later:
        print(f"in force only after a restart: {', '.join(later)}")
