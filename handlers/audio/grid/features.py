"""Features: from samples to bands, notes and attacks over time, computed once and read by grid, sections and key alike.

A recording passes by in blocks, becomes mono at `RATE`, and leaves per second: 115 frames of power in bands, 11 frames of
semitones, 689 values of energy for the exact place of attacks. An hour takes 120 MB. All times are seconds from the
first sample; frames are centred on their time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import fft

from handlers.audio.resample import Resampler
from handlers.contract import Invalid

RATE = 22_050
WINDOW, HOP = 1024, 192
FRAMES_PER_S = RATE / HOP
NOTE_WINDOW, NOTE_HOP = 4096, 2048
NOTE_FRAMES_PER_S = RATE / NOTE_HOP
ATTACK_HOP = 32
ATTACKS_PER_S = RATE / ATTACK_HOP
LOWEST_NOTE, SEMITONES = 36, 60
"""MIDI number of the lowest semitone (C2, 65 Hz), and how many."""
_PIECE = 256
"""Frames transformed at once: they stay in the processor's cache."""
_EDGES = np.unique(np.round(np.geomspace(1.6, 486, 44)).astype(int))
"""Bins of the spectrum at which bands begin: 43 Hz to 10.5 kHz, a sixth of an octave or one bin."""
CENTRES_HZ = np.sqrt(_EDGES[:-1] * (_EDGES[1:] - 1).clip(1)) * RATE / WINDOW
"""``(bands,)``."""
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_NOTE_HANN = np.hanning(NOTE_WINDOW + 1)[:-1].astype(np.float32)
_SCALE = np.float32(4 / _HANN.sum() ** 2)
"""Makes the power of a full scale sine 1."""


@dataclass(frozen=True)
class Features:
    """What a recording sounds like over time."""

    power: np.ndarray
    """float32 ``(frames, bands)``: power, a full scale sine being about 1; frame n is centred on ``n / FRAMES_PER_S``."""
    notes: np.ndarray
    """float32 ``(note frames, SEMITONES)``: amplitude by semitone from C2; frame n centred on ``n / NOTE_FRAMES_PER_S``."""
    attacks: np.ndarray
    """float32 ``(values, 2)``: mean power of the samples and of their differences (highs), for `ATTACK_HOP` samples each;
    value n covers ``n / ATTACKS_PER_S`` to ``(n + 1) / ATTACKS_PER_S``."""
    duration_s: float
    peak: float
    """Largest sample of any channel, without DC."""
    centres_hz: np.ndarray
    """``(bands,)``."""

    @property
    def frames_per_s(self) -> float:
        """Frames of `power` a second."""
        return FRAMES_PER_S


def features_of(blocks: Iterable[np.ndarray], sample_rate: int) -> Features:
    """Compute the features of a recording.

    Parameters
    ----------
    blocks
        ``(channels, samples)`` each, full scale ±1, in order; a whole recording may be one block.
    sample_rate
        Hz.
    """
    stream = FeatureStream(sample_rate)
    for block in blocks:
        stream.feed(block)
    return stream.finish()


class FeatureStream:
    """Collects the features of a recording block by block.

    Parameters
    ----------
    sample_rate
        Of the blocks, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate < 1000:
            raise Invalid(f"sample rate {sample_rate}: a beat needs at least 1000 Hz; resample the recording")
        self._rate, self._samples, self._peak = sample_rate, 0, 0.0
        self._resampler = Resampler(sample_rate, RATE, 1)
        self._offset: np.ndarray | None = None
        self._last = np.float32(0)
        # Half a window of silence before centres the first frame on the first sample.
        self._short = np.zeros(WINDOW // 2, np.float32)
        self._long = np.zeros(NOTE_WINDOW // 2, np.float32)
        self._fine = np.zeros(0, np.float32)
        self._power: list[np.ndarray] = []
        self._notes: list[np.ndarray] = []
        self._attacks: list[np.ndarray] = []
        self._gather = _semitone_matrix()

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``, or ``(samples,)``.

        Raises
        ------
        Invalid
            When it holds NaN or infinity.
        """
        block = np.atleast_2d(block)
        if not block.shape[1]:
            return
        # Without what stands still: DC would begin with the file, which is an onset to the eye of the spectrum only.
        if self._offset is None:
            self._offset = block.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        with np.errstate(invalid="ignore"):
            peak = float(max(np.max(block - self._offset), -np.min(block - self._offset)))
        if not np.isfinite(peak):
            bad = np.argwhere(~np.isfinite(block))
            place = f" at {(self._samples + bad[0, 1]) / self._rate:.4f} s" if len(bad) else ""
            raise Invalid(f"audio: holds NaN or infinity{place}: export it again without")
        self._peak = max(self._peak, peak)
        self._samples += block.shape[1]
        mono = (block - self._offset).mean(axis=0, dtype=np.float32, keepdims=True)
        self._take(self._resampler.process(mono)[0])

    def finish(self) -> Features:
        """Return the features; there is at least one frame of each kind."""
        self._take(self._resampler.flush()[0])
        end = np.zeros(NOTE_WINDOW, np.float32)
        self._short = np.concatenate([self._short, end[: WINDOW // 2]])
        self._long = np.concatenate([self._long, end[: NOTE_WINDOW // 2]])
        self._fine = np.concatenate([self._fine, end[:ATTACK_HOP]])
        self._take(end[:0])
        return Features(
            power=np.concatenate(self._power),
            notes=np.concatenate(self._notes),
            attacks=np.concatenate(self._attacks),
            duration_s=self._samples / self._rate,
            peak=self._peak,
            centres_hz=CENTRES_HZ,
        )

    def _take(self, samples: np.ndarray) -> None:
        self._short, frames = _frames(self._short, samples, WINDOW, HOP)
        for start in range(0, len(frames), _PIECE):
            self._power.append(band_power(frames[start : start + _PIECE]))
        self._long, frames = _frames(self._long, samples, NOTE_WINDOW, NOTE_HOP)
        for start in range(0, len(frames), _PIECE // 4):
            spectrum = fft.rfft(frames[start : start + _PIECE // 4] * _NOTE_HANN, axis=1)[:, : len(self._gather)]
            self._notes.append(np.abs(spectrum) @ self._gather)
        self._fine, frames = _frames(self._fine, samples, ATTACK_HOP, ATTACK_HOP)
        if len(frames):
            used = frames.reshape(-1)
            risen = np.diff(used, prepend=self._last)
            self._last = used[-1]
            size = (-1, ATTACK_HOP)
            self._attacks.append(
                np.stack([np.square(part).reshape(size).mean(axis=1) for part in (used, risen)], axis=1)
            )


def band_power(frames: np.ndarray) -> np.ndarray:
    """Power in bands of ``(frames, WINDOW)`` samples at `RATE`: float32 ``(frames, bands)``."""
    spectrum = fft.rfft(frames * _HANN, axis=1)[:, : _EDGES[-1]]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.add.reduceat(power, _EDGES[:-1], axis=1) * _SCALE


def _frames(pending: np.ndarray, samples: np.ndarray, window: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left for later, and the whole frames of ``(frames, window)``."""
    joined = np.concatenate([pending, samples])
    count = (len(joined) - window) // hop + 1
    if count <= 0:
        return joined, np.zeros((0, window), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(joined, window)[::hop][:count]
    return joined[count * hop :].copy(), frames


def _semitone_matrix() -> np.ndarray:
    """``(bins, SEMITONES)``: what each bin of a long spectrum gives to each semitone; a full scale sine gives about 1."""
    bins = int(440 * 2 ** ((LOWEST_NOTE + SEMITONES - 69) / 12) * NOTE_WINDOW / RATE) + 2
    hz = np.maximum(np.arange(bins), 0.5) * RATE / NOTE_WINDOW
    pitch = 69 + 12 * np.log2(hz / 440) - LOWEST_NOTE
    near = np.maximum(0, 1 - np.abs(pitch[:, None] - np.arange(SEMITONES)))
    width = near.sum(axis=0).clip(1)
    return (near / width * 2 / _NOTE_HANN.sum()).astype(np.float32)
