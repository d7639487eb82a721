"""`schedules`: what config/schedules.yaml holds, when each is due next, and how it went last."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.cli import terminal
from daemon.cli.jobview import open_ledger
from daemon.cli.read import Json


def schedules(json: Json = False) -> None:
    """List the schedules with the next time each is due.

    JSON: a list of name, cron, timezone, enabled, next_due_at, last_due_at, last_outcome, last_job.

    Example: ./drophammer schedules
    """
    from daemon.schedule import next_due, read
    from daemon.settings import locate

    paths = locate()
    connection = open_ledger(paths)
    now = datetime.now(UTC)
    found = []
    for schedule in read(paths.config / "schedules.yaml"):
        query = "SELECT due_at, outcome, job_id FROM firings WHERE schedule = ? ORDER BY due_at DESC LIMIT 1"
        last = connection.execute(query, (schedule.name,)).fetchone() if connection else None
        moment = next_due(schedule, now)
        found.append(
            {
                "name": schedule.name, "cron": schedule.cron.expression, "timezone": schedule.cron.timezone, "enabled": schedule.enabled,
                "next_due_at": moment and moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "last_due_at": last and last["due_at"], "last_outcome": last and last["outcome"], "last_job": last and last["job_id"],
            }
        )  # fmt: skip
    if json:
        terminal.print_json(found)
        return
    if not found:
        print(f"no schedules; write them into {paths.config / 'schedules.yaml'}")
        return
    rows = [
        (entry["name"], entry["cron"], terminal.local(entry["next_due_at"]) or "disabled", terminal.local(entry["last_due_at"]),
         " ".join(filter(None, (entry["last_outcome"], entry["last_job"]))))
        for entry in found
    ]  # fmt: skip
    terminal.print_table(("schedule", "cron", "next", "last due", "outcome"), rows)
