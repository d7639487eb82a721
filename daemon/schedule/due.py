"""What is due: pure functions of the schedules, when each was last due, and now."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Literal

from daemon.schedule.cron import Cron
from daemon.schedule.reading import Schedule

LISTED_AT_MOST = 1000
"""Due times of one schedule in one answer: the daemon may have been down for a year, or its clock wrong."""


@dataclass(frozen=True)
class Firing:
    """One due time and what becomes of it: a job, or a line in the ledger that says why not."""

    schedule: Schedule
    due_at: datetime
    outcome: Literal["fire", "missed", "coalesced"]
    note: str | None = None


def due(schedules: Iterable[Schedule], last_due: Mapping[str, datetime], now: datetime) -> list[Firing]:
    """Everything that came due since it was last looked, oldest first.

    Parameters
    ----------
    schedules
        Those in force; disabled ones are passed over.
    last_due
        By schedule name: the moment up to which due times have been dealt with. A schedule without one has missed
        nothing: it is due from now on, and the caller notes `now` for it.
    now
        By the wall clock, with a zone. If it lies before `last_due`, because the clock was put back, nothing is due:
        no moment fires twice. (A caller who sets `last_due` back as well relies on its own record of firings.)

    Returns
    -------
    firings
        ``missed``: noticed later than the schedule's grace. ``coalesced``: a newer one in the same answer fires. At
        most 1,000 missed and 1,000 others of each schedule; a note tells when there were more.
    """
    firings = [firing for schedule in schedules if schedule.enabled and schedule.name in last_due
               for firing in _due(schedule, last_due[schedule.name], now)]
    return sorted(firings, key=lambda firing: firing.due_at)


def _due(schedule: Schedule, last: datetime, now: datetime) -> list[Firing]:
    first = _next(schedule.cron, last)
    if first is None or first > now:
        return []
    # What is exactly as old as the grace allows is still in time.
    limit = max(last, now - timedelta(seconds=schedule.misfire_grace_s, microseconds=1))
    late = [Firing(schedule, moment, "missed") for moment in islice(schedule.cron.between(last, limit), LISTED_AT_MOST + 1)]
    if len(late) > LISTED_AT_MOST:
        newest = _newest(schedule.cron, late[-1].due_at, limit)
        late[-1] = Firing(schedule, newest, "missed", f"more than {LISTED_AT_MOST:,} due times were missed; this is the last, those between are not listed")
    recent = deque(schedule.cron.between(limit, now), maxlen=LISTED_AT_MOST)
    fire_from = len(recent) - 1 if schedule.coalesce else 0
    return late + [Firing(schedule, moment, "fire" if i >= fire_from else "coalesced") for i, moment in enumerate(recent)]


def _newest(cron: Cron, known: datetime, limit: datetime) -> datetime:
    """The last due time up to `limit`, looked for in ever longer stretches before it; `known` is one that is earlier."""
    stretch = timedelta(hours=1)
    while True:
        start = max(known, limit - stretch)
        found = deque(cron.between(start, limit), maxlen=1)
        if found or start == known:
            return found[0] if found else known
        stretch *= 2


@lru_cache(256)
def _next(cron: Cron, moment: datetime) -> datetime | None:
    """Kept from tick to tick: between two firings `moment` stays the same."""
    return cron.after(moment)


def next_due(schedule: Schedule, now: datetime) -> datetime | None:
    """When a schedule is due next, in UTC; None when it is disabled."""
    return schedule.cron.after(now.astimezone(UTC)) if schedule.enabled else None
