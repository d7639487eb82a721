"""What a picture needs to know of a recording, one column of pixels at a time, in one streaming pass.

Per column: lowest and highest sample, RMS, and a power spectrum. Memory is that of the picture, not of the recording.
"""

from __future__ import annotations

import numpy as np

WINDOW = 4096
"""Samples of one spectrum: 10.8 Hz a bin at 44.1 kHz, so that a kick and a bass line are two things."""
WINDOWS_PER_COLUMN = 2
"""Two windows cover all of a five-minute recording in a picture of common width."""
_HANN = np.hanning(WINDOW).astype(np.float32)


class Columns:
    """Collects columns from blocks fed in order.

    Parameters
    ----------
    frames
        Length of the recording in samples.
    columns
        Width of the picture in pixels.

    Attributes
    ----------
    low, high, rms
        float32 ``(columns,)``, full scale ±1: extremes over all channels and the level.
    power
        float32 ``(columns, WINDOW // 2 + 1)``: power spectrum of the channels' mean.
    """

    def __init__(self, frames: int, columns: int) -> None:
        self.frames = frames
        self.low = np.zeros(columns, np.float32)
        self.high = np.zeros(columns, np.float32)
        self.rms = np.zeros(columns, np.float32)
        self.power = np.zeros((columns, WINDOW // 2 + 1), np.float32)
        self._edges = np.linspace(0, frames, columns + 1).astype(np.int64)
        places = (np.arange(columns * WINDOWS_PER_COLUMN) + 0.5) / (columns * WINDOWS_PER_COLUMN)
        self._starts = np.clip((places * frames).astype(np.int64) - WINDOW // 2, 0, max(0, frames - WINDOW))
        self._pending = np.zeros((0, 0), np.float32)
        self._base = 0
        self._column = self._window = 0

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``."""
        self._pending = block if not self._pending.size else np.concatenate([self._pending, block], axis=1)
        end = self._base + self._pending.shape[1]
        # Short of one window the recording ends in silence.
        if end == self.frames and self._pending.shape[1] < WINDOW:
            self._pending = np.pad(self._pending, ((0, 0), (0, WINDOW - self._pending.shape[1])))
        self._shape_until(end)
        self._hear_until(end)
        keep = min(self._edges[self._column], self._starts[min(self._window, len(self._starts) - 1)], end)
        self._pending, self._base = self._pending[:, keep - self._base :], keep

    def energy_db(self, slices: int = 64) -> list[float]:
        """Return the level of so many equal slices in dBFS, -120 at least: a picture of the arrangement in a line."""
        parts = np.array_split(np.square(self.rms, dtype=np.float64), min(slices, len(self.rms)))
        return [round(max(-120.0, 10 * float(np.log10(part.mean() + 1e-30))), 1) for part in parts]

    def _shape_until(self, end: int) -> None:
        last = int(np.searchsorted(self._edges, end, side="right")) - 1
        if last <= self._column:
            return
        columns = slice(self._column, last)
        part = self._pending[:, self._edges[self._column] - self._base : self._edges[last] - self._base]
        # A recording with fewer samples than pixels repeats samples.
        starts = np.minimum(self._edges[columns] - self._edges[self._column], part.shape[1] - 1)
        widths = np.maximum(np.diff(self._edges[self._column : last + 1]), 1)
        self.low[columns] = np.minimum.reduceat(part, starts, axis=1).min(axis=0)
        self.high[columns] = np.maximum.reduceat(part, starts, axis=1).max(axis=0)
        energy = np.add.reduceat(np.einsum("cs,cs->s", part, part), starts)
        self.rms[columns] = np.sqrt(energy / (widths * len(part)))
        self._column = last

    def _hear_until(self, end: int) -> None:
        last = int(np.searchsorted(self._starts + WINDOW, max(end, WINDOW if end == self.frames else 0), side="right"))
        mono = self._pending.mean(axis=0) if last > self._window else None
        while self._window < last:
            # In handfuls that stay in the processor's cache.
            until = min(last, self._window + 64)
            places = self._starts[self._window : until] - self._base
            windows = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[places] * _HANN
            spectra = np.fft.rfft(windows, axis=1)
            power = spectra.real**2 + spectra.imag**2
            np.add.at(self.power, np.arange(self._window, until) // WINDOWS_PER_COLUMN, power)
            self._window = until
