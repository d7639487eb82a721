"""What the search for places knows of a recording, frame by frame, in one streaming pass.

A frame is a Hann window of about 93 ms; frames overlap by half. Memory is 130 bytes a frame, not the samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft

BANDS = 16
LOWEST_HZ, HIGHEST_HZ = 60.0, 16_000.0
WINDOW_S = 0.093
FIRST_BIN = 2
TONAL_HZ = (100.0, 4000.0)
"""Where it is asked whether there are tones or noise."""
TOLD_PITCH = -15.0
"""Semitones from 440 Hz: lower ones lie closer than a frame tells apart."""
CANCELS = 0.05
"""Share of the channels' power from which on their mean stands for them; under it they cancel."""


@dataclass(frozen=True)
class Features:
    """Levels over time.

    Attributes
    ----------
    bands
        Power in `BANDS` logarithmic bands, float32 ``(frames, BANDS)``, of the mean of the channels; in all the mean
        square.
    edges_hz
        Where each band begins.
    noisiness
        Spectral flatness in `TONAL_HZ` in dB, float32 ``(frames,)``: 0 for all alike, about -2.5 for noise, -30 for
        tones.
    chroma
        Amplitude of each pitch class in `TONAL_HZ`, float32 ``(frames, 12)``.
    mean_power
        Of all frames by frequency, ``(bins,)``.
    window, hop
        Samples of a frame, and from one to the next: frame t covers ``t * hop .. t * hop + window``.
    """

    bands: np.ndarray
    edges_hz: np.ndarray
    noisiness: np.ndarray
    chroma: np.ndarray
    mean_power: np.ndarray
    window: int
    hop: int
    sample_rate: int
    length: int
    """Samples of the recording."""

    def frames_within(self, samples: int) -> int:
        """How many whole frames a region of that many samples holds; 0 when it is shorter than one."""
        return max(0, (samples - self.window) // self.hop + 1)


class Collector:
    """Takes a recording block by block.

    Parameters
    ----------
    sample_rate
        Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._window = 2 ** max(6, round(math.log2(sample_rate * WINDOW_S)))
        self._hop = self._window // 2
        hann = np.hanning(self._window + 1)[:-1].astype(np.float32)
        # Parseval: with this the power of all bins is the mean square.
        self._taper = hann / np.float32(math.sqrt(self._window / 2 * np.sum(hann**2)))
        highest = min(HIGHEST_HZ, 0.45 * sample_rate)
        bin_hz = sample_rate / self._window
        edges = np.round(np.geomspace(LOWEST_HZ, highest, BANDS + 1)[:-1] / bin_hz).astype(int)
        # The lowest band takes all below it but DC, whose leakage ends with bin 1; the highest all above.
        edges[0] = FIRST_BIN
        self._edges = np.maximum(edges, np.arange(FIRST_BIN, FIRST_BIN + BANDS))
        self._tonal = slice(round(TONAL_HZ[0] / bin_hz), max(8, round(min(TONAL_HZ[1], highest) / bin_hz)))
        pitches = 12 * np.log2(np.arange(self._tonal.start, self._tonal.stop) * bin_hz / 440)
        pitches[pitches < TOLD_PITCH] = np.nan
        self._classes = (np.round(pitches)[:, None] % 12 == np.arange(12)).astype(np.float32)
        self._pending = np.zeros(0, np.float32)
        self._bands: list[np.ndarray] = []
        self._noisiness: list[np.ndarray] = []
        self._chroma: list[np.ndarray] = []
        self._sum = np.zeros(self._window // 2 + 1)
        self._length = 0

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``, full scale ±1."""
        self._length += block.shape[1]
        mono = block.mean(axis=0, dtype=np.float32) if len(block) > 1 else block[0]
        if len(block) > 1 and np.vdot(mono, mono) < CANCELS * np.vdot(block[0], block[0]):
            mono = block[0]
        self._pending = np.concatenate([self._pending, mono]) if self._pending.size else mono
        count = (len(self._pending) - self._window) // self._hop + 1
        if count <= 0:
            return
        bands, noisiness = np.empty((count, BANDS), np.float32), np.empty(count, np.float32)
        chroma = np.empty((count, 12), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(self._pending, self._window)[:: self._hop][:count]
        # In handfuls that stay in the processor's cache.
        for start in range(0, count, 32):
            part = slice(start, start + 32)
            spectra = fft.rfft(frames[part] * self._taper, axis=1)
            power = spectra.real**2 + spectra.imag**2
            self._sum += power.sum(axis=0)
            bands[part] = np.add.reduceat(power, self._edges, axis=1)
            heard = power[:, self._tonal] + np.float32(1e-16)
            noisiness[part] = 10 * (np.log10(heard).mean(axis=1) - np.log10(heard.mean(axis=1)))
            chroma[part] = np.sqrt(heard) @ self._classes
        self._bands.append(bands)
        self._chroma.append(chroma)
        self._noisiness.append(noisiness)
        self._pending = self._pending[count * self._hop :].copy()

    def finish(self) -> Features:
        """What was collected; no frame at all for less than one window."""
        bands = np.concatenate(self._bands) if self._bands else np.zeros((0, BANDS), np.float32)
        noisiness = np.concatenate(self._noisiness) if self._noisiness else np.zeros(0, np.float32)
        chroma = np.concatenate(self._chroma) if self._chroma else np.zeros((0, 12), np.float32)
        edges_hz = self._edges * self._rate / self._window
        mean_power = self._sum / max(1, len(bands))
        return Features(
            bands, edges_hz, noisiness, chroma, mean_power, self._window, self._hop, self._rate, self._length
        )
