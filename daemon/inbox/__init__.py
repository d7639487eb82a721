"""The inbox: from whatever lands in the watched folders to files that are complete, each reported once.

Rooms: `names` (what a name says), `gate` (is anybody still writing?), `filesystem` (does the kernel see every change
here?), `watcher` (what the kernel tells), `arming` (events or polling), `places` (one inbox, and notices), `sightings`
(what was reported, what is unfinished), `reporting` (one file), `watching` (:class:`Inbox`, which ties them
together), `taking` (reading a job file once).
"""

from __future__ import annotations

from daemon.inbox.gate import is_complete
from daemon.inbox.taking import NotSettled, take
from daemon.inbox.watching import Inbox

__all__ = ["Inbox", "NotSettled", "is_complete", "take"]
