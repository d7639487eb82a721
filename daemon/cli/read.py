"""`list` and `status`: what was asked for, and how far it is.

Reading works with the daemon down. JSON keys are stable: a key may come, none changes its meaning.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from daemon.cli import terminal
from daemon.cli.failure import CommandError
from daemon.cli.jobview import JOB_COLUMNS, Outside, find_job, open_ledger, pending_jobs, plain, read_job, read_steps

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
STATES = ("pending", "waiting", "queued", "running", "publishing", "done", "failed", "cancelled")


def list_jobs(
    state: Annotated[str | None, typer.Option(help=f"Only jobs in this state: {', '.join(STATES)}.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1)] = 20,
    json: Json = False,
) -> None:
    """List recent jobs, newest first.

    `pending` jobs are submitted and not taken yet. JSON: a list of objects with id, number, name, state, reason,
    origin, priority, seed, seeds, from_job, failures, procedural, folder, accepted_at, started_at, finished_at.

    Example: ./drophammer list --state failed --limit 5
    """
    from daemon.settings import locate

    if state is not None and state not in STATES:
        raise CommandError(f"--state {state}: is none of {', '.join(STATES)}")
    paths = locate()
    connection = open_ledger(paths)
    waiting = [] if state not in (None, "pending") else pending_jobs(paths)[::-1][:limit]
    jobs: list[dict[str, Any]] = [outside_facts(job) for job in waiting]
    if connection is not None and state != "pending" and len(jobs) < limit:
        condition, values = ("WHERE state = ?", [state]) if state else ("", [])
        query = f"SELECT {JOB_COLUMNS} FROM jobs {condition} ORDER BY accepted_at DESC, id DESC LIMIT ?"
        jobs += [plain(row) for row in connection.execute(query, [*values, limit - len(jobs)])]
    if json:
        terminal.print_json(jobs)
        return
    if not jobs:
        print("no jobs yet; try: ./drophammer demo" if state is None else f"no job is {state}")
        return
    now = datetime.now(UTC)
    rows = [
        (job["id"], job["state"], terminal.ago(job["accepted_at"], now),
         terminal.duration(terminal.seconds_between(job["started_at"], job["finished_at"] or now)), remark(job))
        for job in jobs
    ]  # fmt: skip
    terminal.print_table(("job", "state", "accepted", "took", ""), rows, state=1)


def outside_facts(job: Outside) -> dict[str, Any]:
    """A job that is not in the ledger, with the keys of one that is."""
    facts: dict[str, Any] = dict.fromkeys(key.strip() for key in JOB_COLUMNS.split(","))
    _, _, number = job.id.rpartition("-")
    facts.update(
        id=job.id, number=int(number), name=job.id[16 : -len(number) - 1], state=job.state, failures=0, procedural=False,
        seeds=[],
    )  # fmt: skip
    facts["reason"] = job.reason or f"not taken yet: {job.path}"
    return facts


def remark(job: dict[str, Any]) -> str:
    """What must be said wherever a job is shown."""
    said = ["PROCEDURAL"] if job["procedural"] else []
    if job["failures"]:
        said.append(f"failures: {job['failures']}")
    if job["reason"]:
        said.append(str(job["reason"]))
    return "; ".join(said)


def status(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Id, start of an id, number, name, or latest.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the daemon, its lanes and the queue; or how far one job is and when it should be ready.

    JSON without a job: running, daemon (as the daemon answers), states. With a job: the keys of `list`, and
    steps, remaining_s, completion_at (null when nothing is known).

    Example: ./drophammer status latest
    """
    from daemon.settings import locate

    paths = locate()
    connection = open_ledger(paths)
    if job is None:
        _show_daemon(paths, connection, json)
        return
    found = find_job(paths, connection, job)
    if isinstance(found, Outside):
        facts = {**outside_facts(found), "steps": [], "remaining_s": None, "completion_at": None}
    else:
        facts = job_status(connection, found)
    if json:
        terminal.print_json(facts)
        return
    completion = facts["completion_at"]
    terminal.print_facts(
        [
            ("job", facts["id"]), ("state", facts["state"]), ("why", remark(facts)), ("accepted", terminal.local(facts["accepted_at"])),
            ("started", terminal.local(facts["started_at"])), ("finished", terminal.local(facts["finished_at"])),
            ("ready", completion and f"about {terminal.local(completion)} (in {terminal.duration(facts['remaining_s'])})"),
            ("folder", facts["folder"]),
        ]
    )  # fmt: skip
    if facts["state"] == "running" and completion is None:
        terminal.note("no estimate: this machine has no finished runs to compare with")
    if facts["steps"]:
        print()
        terminal.print_table(
            ("step", "handler", "lane", "state", "now", "took"), [_step_row(step) for step in facts["steps"]], state=3
        )


def job_status(connection: Any, job_id: str) -> dict[str, Any]:
    """A job's row with its steps, the seconds of work left and when that would be."""
    from daemon.cli.pace import remaining_s

    facts = read_job(connection, job_id)
    if facts is None:
        raise CommandError(f"no job {job_id!r}")
    steps = read_steps(connection, job_id)
    left = remaining_s(connection, steps) if facts["state"] in ("queued", "running") else None
    # A queued job has others before it: its own work is known, the moment is not.
    ready = datetime.now(UTC) + timedelta(seconds=left) if left is not None and facts["state"] == "running" else None
    return {
        **facts,
        "steps": steps,
        "remaining_s": left,
        "completion_at": ready and ready.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def step_now(step: dict[str, Any]) -> str:
    """What a step is at: its running run's progress, or how many of its runs have ended."""
    runs = step["runs"]
    active = [run for run in runs if run["state"] == "running"]
    ended = sum(run["state"] in ("done", "failed", "cancelled") for run in runs)
    said = f"run {ended}/{len(runs)} " if len(runs) > 1 else ""
    if active:
        run = active[0]
        said += terminal.progress(run["phase"], run["done"], run["total"], run["unit"])
    return said.strip()


def _step_row(step: dict[str, Any]) -> tuple[object, ...]:
    took = terminal.seconds_between(
        step["started_at"], step["finished_at"] or (datetime.now(UTC) if step["state"] == "running" else None)
    )
    return step["name"], step["handler"], step["lane"], step["state"], step_now(step), terminal.duration(took)


def _show_daemon(paths: Any, connection: Any, json: bool) -> None:
    from daemon.control import ControlError, ask

    answer: dict[str, Any] | None
    try:
        answer = ask(paths, {"do": "status"})
    except ControlError as error:
        answer, problem = None, str(error)
    counts = (
        dict(connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()) if connection else {}
    )
    counts = {"pending": len(pending_jobs(paths)), **counts}
    states = {state: counts[state] for state in STATES if counts.get(state)}
    if json:
        terminal.print_json({"running": answer is not None, "daemon": answer, "states": states})
        return
    if answer is None:
        print(f"daemon    {terminal.safe(problem)}")
    else:
        since = terminal.ago(answer.get("started_at"))
        print(
            f"daemon    running as process {answer['pid']}, version {answer['version']}{', started ' + since if since else ''}"
        )
        if answer.get("obstacle"):
            print(f"parked    {terminal.safe(answer['obstacle'])}")
        for folder in answer.get("watching", []):
            print(f"watching  {terminal.safe(folder['folder'])} ({terminal.safe(folder['how'])})")
        for name, lane in answer["lanes"].items():
            print(f"{name:8}  {terminal.safe(lane_line(lane))}")
    print(f"jobs      {', '.join(f'{count} {state}' for state, count in states.items()) or 'none yet'}")


def lane_line(lane: dict[str, Any]) -> str:
    """A lane in a line: paused or not, what its workers do, how much waits."""
    parts = []
    if lane.get("paused"):
        until = lane.get("paused_until")
        parts.append(f"paused{' until ' + terminal.local(until) if until else ''}")
    elif lane.get("closed"):
        parts.append(lane["closed"])
    for worker in lane.get("workers", []):
        if worker.get("state") == "busy":
            doing = terminal.progress(worker.get("phase"), worker.get("done"), worker.get("total"), worker.get("unit"))
            parts.append(f"{worker['job_id']} {worker['step']} {doing}".rstrip())
    idle = sum(worker.get("state") != "busy" for worker in lane.get("workers", []))
    if idle:
        parts.append(f"{idle} warm and idle")
    parts.append(f"{lane.get('queued', 0)} queued")
    return "; ".join(parts)
