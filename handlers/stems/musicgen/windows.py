"""Pieces longer than a model's window: where the windows lie, and how many steps they take. Light: arithmetic only.

As audiocraft does it: a window is given the last frames of the one before, past the stride, and goes on from them. A
frame is one column of tokens, a fiftieth of a second in the published models.
"""

from __future__ import annotations

from dataclasses import dataclass

STRIDE_S = 18.0
"""How far one window goes beyond the one before: audiocraft's own default, of windows of 30 s."""
DELAY_STEPS = 3
"""Steps beyond its frames that a window takes, for codebooks that run behind the first; stereo models have pairs."""


@dataclass(frozen=True)
class Window:
    """One call of the decoder."""

    start: int
    """The frame of the piece that it begins at."""
    given: int
    """So many frames it is given; the rest it makes."""
    frames: int
    """Given and made together."""

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.start + self.frames

    @property
    def steps(self) -> int:
        """How many steps the decoder takes."""
        return self.frames - self.given + DELAY_STEPS


def plan_windows(frames: int, longest: int, stride: int, given: int = 0) -> list[Window]:
    """Lay windows over a piece.

    Parameters
    ----------
    frames
        Of the whole piece, with what is given.
    longest
        Frames of the model's window.
    stride
        Frames from one window's start to the next; less than `longest`.
    given
        Frames at the start that are there already; fewer than `frames` and than `longest`.
    """
    if not 0 <= given < min(frames, longest) or not 0 < stride < longest:
        raise ValueError(f"{given} of {frames} frames are given to windows of {longest} that advance by {stride}")
    windows: list[Window] = []
    start = 0
    while start + given < frames:
        length = min(frames - start, longest)
        windows.append(Window(start, given, length))
        given = max(length - stride, 0)
        start += stride
    return windows
