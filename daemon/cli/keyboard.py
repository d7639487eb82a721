"""A terminal that gives single keys, and is as it was afterwards, whatever ended us."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from types import FrameType

ARROWS = {b"\x1b[A": "k", b"\x1b[B": "j", b"\x1bOA": "k", b"\x1bOB": "j"}
ENDING = (signal.SIGTERM, signal.SIGHUP)


class Keyboard:
    """Reads keys from stdin without echo and without waiting for a line."""

    def __enter__(self) -> Keyboard:
        self.descriptor = sys.stdin.fileno()
        self.before = termios.tcgetattr(self.descriptor)
        # A signal becomes an exception, so that this and every other context is left in order.
        self.handlers = {number: signal.signal(number, _leave) for number in ENDING}
        tty.setcbreak(self.descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self.before)
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def read(self, timeout_s: float) -> list[str]:
        """The keys pressed within the time, arrows as `j` and `k`; `q` when the terminal has gone."""
        ready, _, _ = select.select([self.descriptor], [], [], timeout_s)
        if not ready:
            return []
        pressed = os.read(self.descriptor, 64)
        if not pressed:
            return ["q"]
        keys: list[str] = []
        while pressed:
            arrow = ARROWS.get(pressed[:3])
            keys.append(arrow or chr(pressed[0]))
            pressed = pressed[3:] if arrow else pressed[1:]
        return keys


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
