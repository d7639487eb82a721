"""From beats to tempi: the fewest stretches of even beats that stay within a tolerance of the beats themselves.

Programs keep a tempo to a step of their own (rekordbox 0.01 BPM, MIDI a microsecond a quarter), so even a steady grid
drifts from what they make of it: 12 ms in five minutes at worst. New stretches begin before that is heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from handlers.audio.delivery.midi import Tempo

MIDI_TOLERANCE_S = 0.0003
LEAD_IN_BARS = 0.4
"""The least share of a bar that a MIDI file's first bar may be squeezed into."""
START_S = 0.001
"""A first downbeat this near to the start is at the start."""


class Stretch(NamedTuple):
    """Even beats."""

    first: int
    """The beat it begins with."""
    last: int
    """The beat it ends with, which the next begins with."""
    period_s: float


def straighten(
    beats_s: np.ndarray, tolerance_s: float, keep: Callable[[float], float] = lambda period_s: period_s
) -> list[Stretch]:
    """Cover beats by stretches, each as long as its kept period allows.

    Parameters
    ----------
    beats_s
        Two or more, increasing.
    tolerance_s
        How far any beat may be from where its stretch puts it; a stretch of two beats may be further.
    keep
        What a program makes of a period in seconds.
    """
    beats_s = np.asarray(beats_s, float)
    stretches: list[Stretch] = []
    first, end = 0, len(beats_s) - 1
    while first < end:
        reach = low = first + 1
        step = 1
        # Doubling while it holds, then halving: long even stretches are found in few looks.
        while step:
            reach = min(low + step, end)
            if reach > low and _away(beats_s[first : reach + 1], keep) <= tolerance_s:
                low, step = reach, step * 2
            else:
                step //= 2
        stretches.append(Stretch(first, low, keep(float(beats_s[low] - beats_s[first]) / (low - first))))
        first = low
    return stretches


def _away(beats_s: np.ndarray, keep: Callable[[float], float]) -> float:
    period_s = keep(float(beats_s[-1] - beats_s[0]) / (len(beats_s) - 1))
    return float(np.abs(beats_s - beats_s[0] - period_s * np.arange(len(beats_s))).max())


class MidiMap(NamedTuple):
    """A recording's beats as MIDI counts them."""

    tempi: list[Tempo]
    times_s: np.ndarray
    """Where the beats from the first counted one on lie, with the file's start before them."""
    quarters: np.ndarray
    """The same in quarter notes."""

    def position(self, time_s: float) -> float:
        """Quarter notes from the start to a time; after the last beat on at its tempo."""
        if time_s <= self.times_s[-1]:
            return float(np.interp(time_s, self.times_s, self.quarters))
        return float(self.quarters[-1] + (time_s - self.times_s[-1]) * self.tempi[-1].tempo_bpm / 60)


def map_midi(beats_s: np.ndarray, downbeats: np.ndarray, quarters_per_beat: float) -> MidiMap:
    """Lay MIDI's bar lines on the downbeats of a recording whose file begins with the recording.

    Parameters
    ----------
    beats_s
        In seconds, two or more.
    downbeats
        Indices of beats that begin bars, one or more.
    quarters_per_beat
        1 for 4/4 and 3/4, 1.5 for 6/8 counted in two.

    Returns
    -------
    midi_map
        Its first bars are what stands before a downbeat, played at the tempo that fits: MIDI has no bar before the
        first.
    """
    beats_s, downbeats = np.asarray(beats_s, float), np.asarray(downbeats, int)
    bar = int(np.median(np.diff(downbeats))) if len(downbeats) > 1 else 4
    bar_s = bar * float(np.median(np.diff(beats_s)))
    anchor = int(downbeats[0])
    tempi: list[Tempo] = []
    now_s = lead = 0.0
    if beats_s[anchor] > START_S:
        late = downbeats[(beats_s[downbeats] >= LEAD_IN_BARS * bar_s) & (downbeats < len(beats_s) - 1)]
        anchor = int(late[0]) if len(late) else anchor
        lead = max(1, round(beats_s[anchor] / bar_s)) * bar * quarters_per_beat
        micros = round(beats_s[anchor] * 1e6 / lead)
        tempi.append(Tempo(0.0, 60e6 / micros))
        now_s = lead * micros / 1e6
    counted = beats_s[anchor:]
    for first, last, _ in straighten(counted, MIDI_TOLERANCE_S, lambda period_s: round(period_s * 1e6) / 1e6):
        # From where the file is to where the beats are, so that roundings do not add up.
        quarters = (last - first) * quarters_per_beat
        micros = round((counted[last] - now_s) * 1e6 / quarters)
        tempi.append(Tempo(lead + first * quarters_per_beat, 60e6 / micros))
        now_s += quarters * micros / 1e6
    quarters_at = lead + quarters_per_beat * np.arange(len(counted))
    return MidiMap(
        tempi,
        np.concatenate([[0.0], counted]) if lead else counted,
        np.concatenate([[0.0], quarters_at]) if lead else quarters_at,
    )
