"""What listening to a recording gives: its beat grid and its onsets. Times in seconds from the first sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Meter = Literal["4/4", "3/4", "6/8"]
METERS: tuple[Meter, ...] = ("4/4", "3/4", "6/8")
BEATS_PER_BAR: dict[str, int] = {"4/4": 4, "3/4": 3, "6/8": 2}
"""Beats are quarters, and in 6/8 dotted quarters."""
BANDS = ("low", "mid", "high")
"""Below 200 Hz, to 2.5 kHz, and above."""


@dataclass(frozen=True)
class Segment:
    """A stretch of one tempo."""

    start_s: float
    end_s: float
    tempo_bpm: float
    first_beat_s: float


@dataclass(frozen=True)
class Onsets:
    """Where something begins."""

    times_s: np.ndarray
    """``(n,)`` float64, increasing."""
    strength: np.ndarray
    """``(n,)`` float64, 0..1, the strongest being 1."""
    band: np.ndarray
    """``(n,)`` int: the index in `BANDS` of the band it is strongest in."""


@dataclass(frozen=True)
class Grid:
    """Beats and bars of a recording."""

    has_beat: bool
    confidence: float
    """0..1: that there is a beat, or that there is none."""
    tempo_bpm: float | None
    """That of most of the recording; None without a beat."""
    tempo_confidence: float
    """0..1: that the tempo is right, octave included."""
    alternatives: tuple[tuple[float, float], ...]
    """Other tempi that fit, such as the half and the double: BPM and score 0..1, best first."""
    beats_s: np.ndarray
    """``(beats,)`` float64, increasing, from the first sample to the last."""
    downbeats: np.ndarray
    """``(bars,)`` int: which beats begin a bar, as indices into `beats_s`."""
    meter: Meter | None
    meter_confidence: float
    """0..1."""
    steady: bool
    """Whether one even grid holds from the first beat to the last."""
    segments: tuple[Segment, ...]
    """The tempo over time; one where it is steady, none without a beat."""
    onsets: Onsets

    @property
    def downbeats_s(self) -> np.ndarray:
        """``(bars,)`` float64: where bars begin."""
        return self.beats_s[self.downbeats]

    @property
    def bars(self) -> np.ndarray:
        """``(beats,)`` int: the number of each beat's bar: 1 from the first downbeat on, 0 for an upbeat before it."""
        return np.searchsorted(self.downbeats, np.arange(len(self.beats_s)), side="right")
