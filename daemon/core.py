"""What the rooms of the service share: the ledger, the lanes, the clock, and what is to be done after the commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon.errands import Errands
from daemon.events import Event
from daemon.jobs import timestamp
from daemon.lane import Lane
from daemon.ledger import Ledger
from daemon.outbox import Outbox
from daemon.settings_model import Settings
from handlers.contract import World
from handlers.registry import Registry

if TYPE_CHECKING:
    from daemon.inbox import Inbox

Act = Callable[[], None]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Core:
    """Everything the main thread works with. Only it writes the ledger and appends to `acts`."""

    settings: Settings
    registry: Registry
    ledger: Ledger
    outbox: Outbox
    lanes: dict[str, Lane]
    post: Callable[[Event], None]
    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    errands: Errands = None  # type: ignore[assignment]
    messenger: Errands = None  # type: ignore[assignment]
    """What goes out once a job is published. A drive or a phone that does not answer holds up nobody else's job."""
    inbox: Inbox = None  # type: ignore[assignment]
    acts: list[Act] = field(default_factory=list)
    draining: bool = False
    obstacle: str | None = None
    """Why no step is started and nothing published now: the disk is full, the outbox is not mounted."""

    def after(self, act: Act) -> None:
        """Do this once the transaction is committed. What is lost between commit and act is derived again at the next start."""
        self.acts.append(act)

    def stamp(self) -> str:
        return timestamp(self.now())

    @property
    def world(self) -> World:
        return World(self.settings.paths.config, self.settings.paths.state)
