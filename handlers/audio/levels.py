"""Loudness over time, and all that :mod:`handlers.audio.loudness` measures, in a third of the time.

True peaks are looked for only where a sample comes near the largest so far: a wave between two samples that passes the
largest of all has large neighbours. The interpolation is libebur128's, so the number is the same as there.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import pyebur128
from pyebur128 import MeasurementMode

from handlers.audio.loudness import Loudness

POINTS = 400
"""At most so many points of the curve; it has one a second or fewer."""
NEAR = 0.7
"""Share of the largest peak from which on a sample is looked at: a sine between two such samples is at most 1 / NEAR."""
SHORT_TERM = 30
"""Tenths of a second in a short-term window, EBU Tech 3341; its maximum is read as often."""
_TAPS, _STRICT_TAPS = 49, 513
_MODE = MeasurementMode.MODE_I | MeasurementMode.MODE_LRA | MeasurementMode.MODE_M | MeasurementMode.MODE_S


@dataclass(frozen=True)
class Curve:
    """Loudness over time in LUFS; minus infinity in silence."""

    times_s: list[float]
    """Ends of the windows, increasing."""
    short_term_lufs: list[float]
    """Of the last 3 s."""
    momentary_lufs: list[float]
    """Of the last 400 ms."""


class Levels:
    """Measures a recording fed block by block.

    Parameters
    ----------
    sample_rate
        Hz.
    channels
        Of every block.
    duration_s
        Of the recording, from which the curve's steps follow: whole seconds, `POINTS` at most.
    """

    def __init__(self, sample_rate: int, channels: int, duration_s: float) -> None:
        self._rate = sample_rate
        self._state = pyebur128.R128State(channels, sample_rate, _MODE)
        self._peak = TruePeak(sample_rate)
        self._step = max(1, math.ceil(duration_s / POINTS)) * sample_rate
        self._tenth = (sample_rate + 5) // 10
        self._recent: deque[float] = deque(maxlen=SHORT_TERM)
        self.short_term_max_lufs = -math.inf
        """The loudest 3 s so far; minus infinity before the first are full."""
        self._taken = 0
        self._curve = Curve([], [], [])

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``, full scale ±1."""
        self._peak.feed(block)
        flat = np.ascontiguousarray(block.T, np.float32)
        start = 0
        while start < len(flat):
            left = min(self._step - self._taken % self._step, self._tenth - self._taken % self._tenth)
            end = min(len(flat), start + left)
            self._state.add_frames(flat[start:end].ravel(), end - start)
            self._taken += end - start
            start = end
            if self._taken % self._tenth == 0:
                # libebur128 would add up three seconds anew each time; these tenths are added up here.
                self._recent.append(10 ** (pyebur128.get_loudness_window(self._state, 100) / 10))
                if len(self._recent) == SHORT_TERM and (mean := sum(self._recent) / SHORT_TERM):
                    self.short_term_max_lufs = max(self.short_term_max_lufs, 10 * math.log10(mean))
            if self._taken % self._step == 0:
                self._curve.times_s.append(self._taken / self._rate)
                self._curve.short_term_lufs.append(pyebur128.get_loudness_shortterm(self._state))
                self._curve.momentary_lufs.append(pyebur128.get_loudness_momentary(self._state))

    def finish(self) -> tuple[Loudness, Curve]:
        """Return the whole recording's loudness and its curve."""
        loudness = Loudness(
            pyebur128.get_loudness_global(self._state),
            pyebur128.get_loudness_range(self._state),
            _decibels(self._peak.value),
            _decibels(self._peak.sample_peak),
        )
        return loudness, self._curve


class TruePeak:
    """The largest value of the wave through the samples, ITU-R BS.1770-4 annex 2, of a recording fed in blocks.

    Oversampled four times below 96 kHz, twice below 192 kHz, and not above, by a Hann-windowed sinc of 49 taps.

    Parameters
    ----------
    sample_rate
        Hz.
    strict
        Eight times by 513 taps: finds what a longer filter finds in sounds that reach up to half the rate, where the
        short one reads up to 0.8 dB less.
    """

    def __init__(self, sample_rate: int, *, strict: bool = False) -> None:
        factor = 8 if strict else 4 if sample_rate < 96_000 else 2 if sample_rate < 192_000 else 1
        count = _STRICT_TAPS if strict else _TAPS
        places = np.arange(count) - (count - 1) / 2
        taps = np.sinc(places / factor) * 0.5 * (1 - np.cos(2 * np.pi * np.arange(count) / (count - 1)))
        length = -(-count // factor)
        # ``(length, phases)``: the newest sample meets the first tap, so each phase is turned around.
        self._phases = np.zeros((length, factor), np.float32)
        for tap, weight in enumerate(taps):
            self._phases[length - 1 - tap // factor, tap % factor] = weight
        self._before = np.zeros((0, 0), np.float32)
        self.value = self.sample_peak = 0.0
        """Linear; 0 for silence."""

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``."""
        if not block.shape[1]:
            return
        length = len(self._phases)
        if not self._before.size:
            self._before = np.zeros((len(block), length - 1), np.float32)
        samples = np.concatenate([self._before, block], axis=1)
        self.sample_peak = max(self.sample_peak, float(block.max()), -float(block.min()))
        self.value = max(self.value, self.sample_peak)
        if not self.value:
            self._before = samples[:, -(length - 1) :]
            return
        for channel in samples:
            # The wave's maximum lies beside a large sample, which is in the middle of the windows around it.
            large = np.abs(channel) >= NEAR * self.value
            if not large.any():
                continue
            near = large.copy()
            near[1:] |= large[:-1]
            near[:-1] |= large[1:]
            windows = np.lib.stride_tricks.sliding_window_view(channel, length)
            starts = np.flatnonzero(near) - length // 2
            starts = starts[(starts >= 0) & (starts < len(windows))]
            for start in range(0, len(starts), 1 << 16):
                between = windows[starts[start : start + (1 << 16)]] @ self._phases
                self.value = max(self.value, float(np.abs(between).max()))
        self._before = samples[:, -(length - 1) :]


def find_true_peak(audio: np.ndarray, sample_rate: int) -> float:
    """Return the true peak in dBTP of ``(channels, samples)`` with silence before and after; strictly, see above."""
    peak = TruePeak(sample_rate, strict=True)
    peak.feed(audio)
    peak.feed(np.zeros((len(audio), _STRICT_TAPS), np.float32))
    return _decibels(peak.value)


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
