"""A cron expression in a time zone, as moments. APScheduler's `CronTrigger` is the calculator, with three cautions.

- It counts weekdays from Monday, cron from Sunday: numbers become names first (0 and 7 are Sunday).
- It wants day and weekday both to match; cron fires on either when both are restricted. Two triggers then.
- Around the end of summer time it repeats a moment for ever (`30 * * * *` in Europe/Berlin, version 3.11.3). So it
  calculates with wall-clock times only, and this module turns those into moments:

  * A wall-clock time that is left out (spring) fires as much later: 02:30 becomes 03:30.
  * One that comes twice (autumn) fires the first time only.
  * With `*` or `*/n` for the hour the schedule goes by elapsed time: nothing is added in spring, and in autumn
    both hours count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NICKNAMES = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_RARELY = timedelta(days=9 * 366)
"""29 February is at most eight years away; what does not come within nine never does."""
_SHIFT = timedelta(hours=26)
"""More than any zone was ever put forward or back at once (Samoa left out a day)."""
_PIECE = timedelta(days=7)
"""Looked at in one go: too short for two changes of the clock."""


@dataclass(frozen=True)
class Cron:
    """When: five fields (minute, hour, day, month, weekday) or a nickname, and a zone's name; None is this machine's."""

    expression: str
    timezone: str | None = None

    def check(self) -> None:
        """Raise ValueError, with what is wrong, for an expression or zone that cannot be used."""
        self.zone  # noqa: B018  raises
        start = datetime(2000, 1, 1, tzinfo=UTC)
        if next(self._walls(start, start + _RARELY), None) is None:
            raise ValueError(f"{self.expression!r} names a day that never comes")

    @property
    def zone(self) -> tzinfo:
        return _zone(self.timezone)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Every moment it is due, after `start` and up to `end`, ascending, in UTC."""
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        while start < end:
            piece = min(start + _PIECE, end)
            moments = sorted({moment for moment in self._moments(start, piece) if start < moment <= piece})
            yield from moments
            start = piece
            if not moments:  # leap to where the next one can be
                wall = next(self._walls(self._wall(piece) - _SHIFT, self._wall(piece) + _RARELY), None)
                if wall is None:
                    return
                start = max(piece, self._moment(wall, 0) - 2 * _SHIFT)

    def after(self, moment: datetime) -> datetime | None:
        """The first moment it is due after `moment`, in UTC."""
        return next(self.between(moment, moment + _RARELY), None)

    def _moments(self, start: datetime, end: datetime) -> Iterator[datetime]:
        offset = (start - _SHIFT).astimezone(self.zone).utcoffset()
        if offset == (end + _SHIFT).astimezone(self.zone).utcoffset():
            for wall in self._walls(start + offset, end + offset):
                yield wall - offset
            return
        elapsed = _fields(self.expression)[1].startswith("*")
        for wall in self._walls(self._wall(start) - _SHIFT, self._wall(end) + _SHIFT):
            moment = self._moment(wall, 0)
            left_out = self._wall(moment) != wall
            if not (left_out and elapsed):
                yield moment
            if elapsed and not left_out:
                yield self._moment(wall, 1)

    def _walls(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Wall-clock times from `start` to `end`, written as if they were UTC."""
        triggers = _triggers(self.expression)
        while True:
            found = [wall for trigger in triggers if (wall := trigger.get_next_fire_time(None, start)) is not None and wall <= end]
            if not found:
                return
            yield min(found)
            start = min(found) + timedelta(seconds=1)
            if start > end:
                return

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=UTC, fold=0)

    def _moment(self, wall: datetime, fold: int) -> datetime:
        return wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)


@lru_cache(64)
def _zone(name: str | None) -> tzinfo:
    if name is None:
        from tzlocal import get_localzone

        return get_localzone()
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name at all, or a folder of zones
        raise ValueError(f"{name!r} is no time zone that is known here; write one like Europe/Berlin or UTC") from None


@lru_cache(64)
def _triggers(expression: str) -> tuple[Any, ...]:
    # Imported only once there is a schedule: it costs 15 MB of the daemon's memory.
    from apscheduler.triggers.cron import CronTrigger

    minute, hour, day, month, weekday = _fields(expression)
    weekdays = translate_weekdays(weekday)
    common = {"minute": minute, "hour": hour, "month": month, "timezone": UTC}
    if not day.startswith("*") and not weekday.startswith("*"):
        return CronTrigger(day=day, **common), CronTrigger(day="*", day_of_week=weekdays, **common)
    return (CronTrigger(day=day, day_of_week=weekdays, **common),)


def _fields(expression: str) -> list[str]:
    text = expression.strip().lower()
    if text.startswith("@"):
        if text not in _NICKNAMES:
            raise ValueError(f"{expression!r} is not known; of these there are {', '.join(_NICKNAMES)}")
        text = _NICKNAMES[text]
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"{expression!r} has {len(fields)} fields; cron has five: minute hour day month weekday, as in \"0 3 * * *\"")
    return fields


def translate_weekdays(field: str) -> str:
    """Weekdays as cron counts them to names: ``"1-5/2"`` → ``"mon,wed,fri"``, ``"5-7"`` → ``"sun,fri,sat"``.

    Raises
    ------
    ValueError
    """
    chosen: set[int] = set()
    for part in field.lower().split(","):
        match = re.fullmatch(r"(?:(\*)|([0-7]|[a-z]{3})(?:-([0-7]|[a-z]{3}))?)(?:/([1-7]))?", part, re.ASCII)
        if not match or (match[4] and match[2] and not match[3]):
            raise ValueError(f"weekday {part!r} cannot be read; write 0-7 (0 and 7 are Sunday), sun-sat, a list, or a range with a step: 1-5/2")
        step = int(match[4] or 1)
        first, last = (0, 6) if match[1] else (_day(match[2]), _day(match[3] or match[2]))
        if last < first:  # fri-mon
            last += 7
        chosen.update(number % 7 for number in range(first, last + 1, step))
    return "*" if len(chosen) == 7 else ",".join(_DAYS[number] for number in sorted(chosen))


def _day(text: str) -> int:
    if text.isdigit():
        return int(text)
    if text not in _DAYS:
        raise ValueError(f"weekday {text!r} is not known; write {', '.join(_DAYS)}")
    return _DAYS.index(text)
