"""What the search for steady regions knows of a recording, frame by frame, in one streaming pass.

A frame is a Hann window of about 93 ms; frames overlap by half. Memory is 64 bytes a frame, not the samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BANDS = 16
LOWEST_HZ, HIGHEST_HZ = 60.0, 16_000.0
WINDOW_S = 0.093
FIRST_BIN = 2


@dataclass(frozen=True)
class Features:
    """Levels over time.

    Attributes
    ----------
    bands
        Power in `BANDS` logarithmic bands, float32 ``(frames, BANDS)``, mean of the channels; together the mean square.
    window, hop
        Samples of a frame, and from one to the next: frame t covers ``t * hop .. t * hop + window``.
    """

    bands: np.ndarray
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
        edges = np.round(np.geomspace(LOWEST_HZ, highest, BANDS + 1)[:-1] * self._window / sample_rate).astype(int)
        # The lowest band takes all below it but DC, whose leakage ends with bin 1; the highest all above.
        edges[0] = FIRST_BIN
        self._edges = np.maximum(edges, np.arange(FIRST_BIN, FIRST_BIN + BANDS))
        self._pending = np.zeros((0, 0), np.float32)
        self._bands: list[np.ndarray] = []
        self._length = 0

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``, full scale ±1."""
        self._length += block.shape[1]
        self._pending = np.concatenate([self._pending, block], axis=1) if self._pending.size else block
        count = (self._pending.shape[1] - self._window) // self._hop + 1
        if count <= 0:
            return
        total = np.zeros((count, BANDS), np.float32)
        for channel in self._pending:
            frames = np.lib.stride_tricks.sliding_window_view(channel, self._window)[:: self._hop][:count]
            # In handfuls that stay in the processor's cache.
            for start in range(0, count, 64):
                spectra = np.fft.rfft(frames[start : start + 64] * self._taper, axis=1)
                power = spectra.real**2 + spectra.imag**2
                total[start : start + 64] += np.add.reduceat(power, self._edges, axis=1)
        self._bands.append(total / len(self._pending))
        self._pending = self._pending[:, count * self._hop :]

    def finish(self) -> Features:
        """What was collected; no frame at all for less than one window."""
        bands = np.concatenate(self._bands) if self._bands else np.zeros((0, BANDS), np.float32)
        return Features(bands, self._window, self._hop, self._rate, self._length)
