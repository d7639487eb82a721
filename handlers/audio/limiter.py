"""A look-ahead true-peak limiter: one gain curve for all channels, never above a ceiling, nothing done below it.

The peak between samples is estimated by four-fold oversampling as in ITU-R BS.1770-4, Annex 2. The gain that it asks
for is held over a window (sliding minimum), let go at a fixed rate in dB, and smoothed over the same window, so that it
has arrived when the peak comes. What lies under the ceiling by more than the release reaches passes bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d
from scipy.signal import upfirdn

OVERSAMPLING = 4
TAPS = 12
"""Samples that a value between two of them is computed from, as BS.1770-4 gives."""
HEADROOM = 0.5
"""Peaks between samples are looked for only where samples come within this factor of the ceiling."""
LOOKAHEAD_S = 0.005
"""From where the gain starts to move to the peak it moves for, and the time it takes."""
RELEASE_DB_PER_S = 60.0
"""6 dB come back within a tenth of a second: under what is heard as pumping, over what distorts a bass note."""
MARGIN_DB = 0.04
"""Below the ceiling: what four-fold oversampling misses of a peak, and the gain's own movement adds to it."""
_PHASES = (np.sinc(np.arange(-24, 25) / OVERSAMPLING) * np.hanning(OVERSAMPLING * TAPS + 1)).astype(np.float32)
"""A sinc under a Hann window, the one that libebur128 measures with: what comes out is measured by it."""
_CHUNK = 512


class Limiter:
    """Limits one stream.

    Parameters
    ----------
    sample_rate
        Hz.
    ceiling_dbtp
        Highest true peak that comes out, in dBTP.
    gain_db
        Applied before, linear.
    """

    def __init__(self, sample_rate: int, ceiling_dbtp: float, *, gain_db: float = 0.0) -> None:
        self.deepest_db = 0.0
        """The lowest gain so far: 0 while nothing was limited."""
        self._amplitude = 10 ** (gain_db / 20)
        self._ceiling_db = ceiling_dbtp - MARGIN_DB
        self._half = max(2, round(LOOKAHEAD_S * sample_rate / 2))
        self._slope = RELEASE_DB_PER_S / sample_rate
        self._released_db = 0.0

    def run(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the stream limited: ``(channels, samples)`` blocks, as many samples in all as `blocks` has."""
        reach = 2 * self._half + TAPS
        """Samples on either side that the gain of one sample depends on."""
        held, before = None, 0
        for block in blocks:
            block = block * block.dtype.type(self._amplitude)
            held = block if held is None else np.concatenate([held, block], axis=1)
            count = held.shape[1] - before - reach
            if count <= 0:
                continue
            yield self._limit(held, before, count)
            kept = min(before + count, reach)
            held, before = held[:, before + count - kept :], kept
        if held is not None and (count := held.shape[1] - before):
            yield self._limit(np.pad(held, ((0, 0), (0, reach))), before, count)

    def _limit(self, audio: np.ndarray, start: int, count: int) -> np.ndarray:
        """Limit ``audio[:, start : start + count]``, knowing what lies around it."""
        part, half = audio[:, start : start + count], self._half
        peaks = true_peaks(audio, HEADROOM * 10 ** (self._ceiling_db / 20))
        demand = np.minimum(0.0, self._ceiling_db - 20 * np.log10(np.maximum(peaks, 1e-9)))
        if not demand.any() and self._released_db == 0.0:
            return part
        # Smoothing looks back by `half` samples: the curve begins there.
        first = max(0, start - half)
        lowest = minimum_filter1d(demand, 2 * half + 1, mode="nearest")[first:]
        rise = self._slope * np.arange(1, len(lowest) + 1)
        curve = np.minimum(np.minimum(np.minimum.accumulate(lowest - rise), self._released_db) + rise, 0.0)
        if (last := start + count - half - 1 - first) >= 0:
            self._released_db = float(curve[last])
        width = half + 1
        smooth = uniform_filter1d(uniform_filter1d(curve, width, mode="nearest"), width, mode="nearest")
        gain_db = smooth[start - first : start - first + count]
        self.deepest_db = min(self.deepest_db, float(gain_db.min()))
        return part * (10 ** (gain_db / 20)).astype(audio.dtype)


def true_peaks(audio: np.ndarray, above: float = 0.0) -> np.ndarray:
    """The highest absolute value near each sample, over all channels and between samples.

    Parameters
    ----------
    audio
        ``(channels, samples)``.
    above
        Where no sample comes near this value, the samples alone count.

    Returns
    -------
    peaks
        ``(samples,)``: of the samples themselves and of the curve through them, within one sample on either side.
    """
    samples = audio.shape[1]
    peaks = np.abs(audio).max(axis=0)
    loud = np.maximum.reduceat(peaks, np.arange(0, samples, _CHUNK)) > above
    edges = np.flatnonzero(np.diff(loud, prepend=False, append=False)) * _CHUNK
    delay = OVERSAMPLING * TAPS // 2
    for start, stop in edges.reshape(-1, 2):
        stop = min(stop, samples)
        begin, end = max(0, start - TAPS), min(samples, stop + TAPS)
        first = delay + OVERSAMPLING * (start - begin)
        for channel in audio[:, begin:end]:
            raised = upfirdn(_PHASES, channel.astype(np.float32, copy=False), OVERSAMPLING)
            between = np.abs(raised[first : first + OVERSAMPLING * (stop - start)])
            np.maximum(peaks[start:stop], between.reshape(-1, OVERSAMPLING).max(axis=1), out=peaks[start:stop])
    return maximum_filter1d(peaks, 3, mode="nearest")
