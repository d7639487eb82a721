"""How far a fetch, a copy or a verification is, in one line: on a terminal in place, else every few seconds. Light."""

from __future__ import annotations

import sys
import time
from types import TracebackType

LINE_EVERY_S, QUIET_EVERY_S = 0.2, 5.0
LOOKED_BACK_S = 10.0
"""The speed is that of the last so many seconds."""


class Meter:
    """Counts bytes of a known total and says how long the rest takes.

    Parameters
    ----------
    what
        ``fetching``, ``checking``, ...
    total
        Bytes in all.
    done
        Bytes that were here before.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what, self.total, self.done = what, total, done
        self.live = sys.stdout.isatty()
        self.history = [(time.monotonic(), done)]
        self.shown_at = self.history[0][0]
        self.base = done

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            print("\r\033[K", end="", flush=True)

    def start(self, base: int) -> None:
        """Begin a file: the bytes that :meth:`seen` is told count from here."""
        self.base = base

    def seen(self, count: int) -> None:
        """Take note that so many bytes of the file are done."""
        self.done = self.base + count
        now = time.monotonic()
        self.history.append((now, self.done))
        while len(self.history) > 2 and now - self.history[0][0] > LOOKED_BACK_S:
            self.history.pop(0)
        if now - self.shown_at >= (LINE_EVERY_S if self.live else QUIET_EVERY_S):
            self.shown_at = now
            print(f"\r\033[K{self.line()}" if self.live else self.line(), end="" if self.live else "\n", flush=True)

    def line(self) -> str:
        """``fetching 1.2 GB of 2.0 GB, 60 %, 45 MB/s, 18 s left``."""
        (then, before), (now, done) = self.history[0], self.history[-1]
        speed = (done - before) / (now - then) if now > then else 0.0
        share = f"{100 * self.done / self.total:.0f} %" if self.total else ""
        rest = f", {size(speed)}/s, {_time((self.total - self.done) / speed)} left" if speed > 0 else ""
        return f"{self.what} {size(self.done)} of {size(self.total)}, {share}{rest}"


def size(count: float) -> str:
    """``512 B``, ``3.4 MB``, ``1.07 GB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def _time(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02d} min"
