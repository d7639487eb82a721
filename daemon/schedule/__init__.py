"""Schedules: config/schedules.yaml, and what is due. Pure: no clock, no thread, nothing written.

Rooms: `cron` (an expression to moments), `reading` (the file to :class:`Schedule` objects, a schedule to its job's
text), `due` (what to fire, what was missed).
"""

from __future__ import annotations

from daemon.schedule.due import Firing, due, next_due
from daemon.schedule.reading import Schedule, read, text_of

__all__ = ["Firing", "Schedule", "due", "next_due", "read", "text_of"]
