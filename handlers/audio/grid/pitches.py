"""Which notes sound when: peaks of the spectrum on a tuned scale of semitones, collected while a recording passes by.

Frames of 0.74 s stand every 0.37 s, centred on their time: long enough to tell semitones apart from E1 on. What is no
peak (drums, hiss) leaves hardly a trace. 300 s of stereo take 0.15 s of CPU; memory is 1 kB a frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from handlers.audio.resample import Resampler

RATE = 11_025
WINDOW, HOP = 8192, 4096
FRAMES_PER_S = RATE / HOP
LOWEST_HZ = 440 * 2 ** (-45 / 12)
"""C1."""
SEMITONES = 72
"""C1 to B6, 1976 Hz; above, partials outnumber notes."""
_FINE = 3
"""Bins a semitone, so that tuning can be found afterwards."""
_SPECTRUM = 1500
"""Bins of the spectrum that are looked at: up to 2019 Hz."""
_AROUND = 61
_ABOVE = 2.0
"""A peak stands this much above the mean of the bins around it."""
_PIECE = 64
"""Frames transformed at once: they stay in the processor's cache."""
_THIRD, _FIFTH = 28, 19
"""Semitones to a note's fifth and third partial; alone these would turn every minor key major."""
_PARTIALS = 0.25
"""Share of each note's strength that is taken from where those partials lie."""
_BASS = 24
"""Semitones up to C3."""
_HANN = np.hanning(WINDOW).astype(np.float32)


@dataclass(frozen=True)
class Notes:
    """What sounds in a recording."""

    strength: np.ndarray
    """float32 ``(frames, SEMITONES)``, >= 0: amplitude of each semitone from C1, upper partials taken out."""
    tuning_cents: float
    """-50..50: how far above (or below) A4 = 440 Hz it is tuned."""

    def chroma(self, start_s: float, end_s: float) -> np.ndarray:
        """Mean share of each pitch class from C in a stretch of time, float64 ``(12,)``; zeros where nothing sounds."""
        first = max(0, min(len(self.strength) - 1, round(start_s * FRAMES_PER_S)))
        part = self.strength[first : max(first + 1, round(end_s * FRAMES_PER_S))]
        classes = part.sum(axis=0, dtype=np.float64).reshape(-1, 12).sum(axis=0)
        return classes / total if (total := classes.sum()) > 0 else classes


class Pitches:
    """Collects a recording block by block.

    Parameters
    ----------
    sample_rate
        Of the blocks in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._resampler = Resampler(sample_rate, RATE, 1)
        self._pending = np.zeros(WINDOW // 2, np.float32)
        self._offset: np.float32 | None = None
        self._found: list[np.ndarray] = []

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``, full scale ±1."""
        if not block.shape[1]:
            return
        mono = block.mean(axis=0, keepdims=True)
        # What stands still is no pitch, and its beginning would be all of them. The median of silence with a click is 0.
        if self._offset is None:
            self._offset = np.median(mono)
        self._take(self._resampler.process(mono - self._offset))

    def finish(self) -> Notes:
        """Return what sounds; there is at least one frame."""
        self._take(self._resampler.flush())
        self._take(np.zeros((1, max(WINDOW // 2, WINDOW - len(self._pending))), np.float32))
        return tune(np.concatenate(self._found))

    def _take(self, samples: np.ndarray) -> None:
        self._pending = np.concatenate([self._pending, samples[0]])
        count = (len(self._pending) - WINDOW) // HOP + 1
        if count > 0:
            frames = np.lib.stride_tricks.sliding_window_view(self._pending, WINDOW)[::HOP]
            for start in range(0, count, _PIECE):
                self._found.append(find_peaks(frames[start : min(start + _PIECE, count)]))
            self._pending = self._pending[count * HOP :]


def find_peaks(frames: np.ndarray) -> np.ndarray:
    """Amplitudes of spectral peaks over pitch.

    Parameters
    ----------
    frames
        ``(frames, WINDOW)`` samples at `RATE`.

    Returns
    -------
    strength
        float32 ``(frames, SEMITONES * 3)``: three bins a semitone, the first at C1; each peak is shared between the two
        bins nearest to its frequency, found by a parabola through three bins of the logarithmic spectrum.
    """
    magnitude = np.abs(np.fft.rfft(frames * _HANN, axis=1)[:, :_SPECTRUM])
    around = uniform_filter1d(magnitude, _AROUND, axis=1)
    inner = magnitude[:, 1:-1]
    peak = (inner > magnitude[:, :-2]) & (inner >= magnitude[:, 2:]) & (inner > _ABOVE * around[:, 1:-1])
    frame, place = np.nonzero(peak)
    place += 1
    before, here, after = (np.log(np.maximum(magnitude[frame, place + step], 1e-9)) for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.divide(0.5 * (before - after), bend, out=np.zeros_like(bend), where=bend < 0)
    position = _FINE * 12 * np.log2((place + shift) * (RATE / WINDOW / LOWEST_HZ))
    size = SEMITONES * _FINE
    strength = np.zeros((len(frames), size), np.float32)
    below = np.floor(position).astype(int)
    for bins, share in ((below, 1 - (position - below)), (below + 1, position - below)):
        inside = (bins >= 0) & (bins < size)
        amplitude = magnitude[frame[inside], place[inside]] * share[inside]
        np.add.at(strength, (frame[inside], bins[inside]), amplitude.astype(np.float32))
    return strength


def tune(fine: np.ndarray) -> Notes:
    """Find the tuning of what :func:`find_peaks` found, and gather it in semitones of that tuning."""
    places = np.arange(fine.shape[1])
    # In the bass a bin is a third of a semitone and more: it follows the tuning, it does not tell it.
    total = fine[:, _BASS * _FINE :].sum(axis=0, dtype=np.float64)
    turn = float(np.angle((total * np.exp(2j * np.pi * places[_BASS * _FINE :] / _FINE)).sum())) / (2 * np.pi)
    centres = (np.arange(SEMITONES) + turn) * _FINE
    away = np.abs(places[:, None] - centres)
    gather = np.where(away < _FINE / 2, np.cos(np.pi * away / _FINE) ** 2, 0).astype(np.float32)
    strength = fine @ gather
    notes = strength.copy()
    for partial in (_FIFTH, _THIRD):
        notes[:, partial:] -= _PARTIALS * strength[:, :-partial]
    return Notes(np.maximum(notes, 0), 100 * turn)
