"""A look-ahead true-peak limiter: one gain curve for all channels, never above a ceiling, nothing done below it.

The peak between samples is estimated by four-fold oversampling as in ITU-R BS.1770-4, Annex 2. The gain that it asks
for is held over a window (sliding minimum), let go at a fixed rate in dB, and smoothed over the same window, so that it
has arrived when the peak comes. What lies under the ceiling by more than the release reaches passes bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

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
_SINC = np.sinc(np.arange(-24, 25) / OVERSAMPLING) * np.hanning(OVERSAMPLING * TAPS + 1)
"""A sinc under a Hann window, the one that libebur128 measures with: what comes out is measured by it."""
_BETWEEN = np.stack([_SINC[step::OVERSAMPLING][::-1] for step in range(1, OVERSAMPLING)], axis=1).astype(np.float32)
"""``(TAPS, 3)``: weights of the samples around a gap for the three places in it."""
_BLOCK = 1 << 15


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
        over = np.flatnonzero(peaks > 10 ** (self._ceiling_db / 20))
        if not len(over) and self._released_db == 0.0:
            return part
        demand = np.zeros(len(peaks))
        demand[over] = self._ceiling_db - 20 * np.log10(peaks[over])
        # Smoothing looks back by `half` samples: the curve begins there.
        first = max(0, start - half)
        lowest = _minimum(demand, half)[first:]
        rise = self._slope * np.arange(1, len(lowest) + 1)
        curve = np.minimum(np.minimum(np.minimum.accumulate(lowest - rise), self._released_db) + rise, 0.0)
        if (last := start + count - half - 1 - first) >= 0:
            self._released_db = float(curve[last])
        gain_db = _mean(_mean(curve, half), half)[start - first : start - first + count]
        self.deepest_db = min(self.deepest_db, float(gain_db.min()))
        return part * np.exp((gain_db * (np.log(10) / 20)).astype(audio.dtype))


def true_peaks(audio: np.ndarray, above: float = 0.0) -> np.ndarray:
    """The highest absolute value near each sample, over all channels and between samples.

    Parameters
    ----------
    audio
        ``(channels, samples)``.
    above
        What lies between two samples is looked for only where one of them is greater.

    Returns
    -------
    peaks
        ``(samples,)`` float32: of the samples themselves and of the curve through them up to the next on either side.
    """
    peaks = np.zeros(audio.shape[1], np.float32)
    for channel in audio.astype(np.float32, copy=False):
        size = np.abs(channel)
        np.maximum(peaks, size, out=peaks)
        loud = size > above
        if not loud.any():
            continue
        # The gaps on either side of each loud sample; the window of gap `i` begins at `i` in the padded channel.
        gaps = np.flatnonzero(loud[:-1] | loud[1:])
        padded = np.zeros(len(channel) + TAPS - 2, np.float32)
        padded[TAPS // 2 - 1 : 1 - TAPS // 2] = channel
        windows = np.ndarray((len(channel) - 1, TAPS), np.float32, padded, strides=padded.strides * 2)
        for begin in range(0, len(gaps), _BLOCK):
            some = gaps[begin : begin + _BLOCK]
            between = np.abs(windows[some] @ _BETWEEN)
            highest = np.maximum(np.maximum(between[:, 0], between[:, 1]), between[:, 2])
            peaks[some] = np.maximum(peaks[some], highest)
            peaks[some + 1] = np.maximum(peaks[some + 1], highest)
    return peaks


def _minimum(values: np.ndarray, half: int) -> np.ndarray:
    """The lowest within `half` on either side; van Herk's way, three passes whatever the width."""
    width, samples = 2 * half + 1, len(values)
    padded = np.pad(values, (half, half + -(samples + 2 * half) % width), mode="edge").reshape(-1, width)
    from_left = np.minimum.accumulate(padded, axis=1).ravel()
    from_right = np.minimum.accumulate(padded[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.minimum(from_right[:samples], from_left[2 * half : 2 * half + samples])


def _mean(values: np.ndarray, half: int) -> np.ndarray:
    """The mean of `half + 1` neighbours."""
    before = (half + 1) // 2
    sums = np.cumsum(np.pad(values, (before + 1, half - before), mode="edge"))
    return (sums[half + 1 :] - sums[: -half - 1]) / (half + 1)
