"""Cutting a loop: the place where it begins, and the crossfade that makes its end lead back there.

What is a circle already needs no cut, only the place to begin at.

Arrays are float32 of shape ``(channels, samples)``, full scale ±1.
"""

from __future__ import annotations

import numpy as np

from handlers.audio.crossfade import gains
from handlers.audio.timbre import analyse

SLACK_S = 0.05
"""How far the start may move to find a quiet moment of the waveform."""
BESIDE_S = 0.25
"""How much on either side of a place is compared for timbre and level."""
MOST_OPPOSED = -0.5
"""Correlation under which no more gain is added to two signals that cancel."""


def choose_start(audio: np.ndarray, first: int, count: int) -> int:
    """The sample of ``first .. first + count - 1`` at which a cut is heard least.

    A loop's last sample is followed by its first as in the recording, so what the ear and a meter see there is the
    recording's own step: sought is one that is small, in value and in slope, beside the recording's median, and near 0.
    """
    steps = np.abs(np.diff(audio, axis=1))
    bends = np.abs(np.diff(audio, n=2, axis=1))
    places = np.arange(max(2, first), max(2, first) + max(1, count))
    places = places[places < audio.shape[1] - 1]
    step = steps[:, places - 1] / _median(steps)
    bend = np.maximum(bends[:, places - 2], bends[:, places - 1]) / _median(bends)
    size = np.abs(audio[:, places]) / np.maximum(np.sqrt(np.mean(audio**2, axis=1, keepdims=True)), 1e-9)
    cost = np.maximum(step / 2, bend / 3).max(axis=0) + 0.2 * size.max(axis=0)
    return int(places[np.argmin(cost)])


def cut_loop(audio: np.ndarray, start: int, length: int, fade: int) -> np.ndarray:
    """Cut ``length`` samples from `start` and fade their end into the `fade` samples before `start`.

    The loop's last sample is then the one before its first in the recording. Equal power keeps the level of unlike
    signals and lifts like ones by up to 3 dB; the gains are evened by the correlation of the two.

    Raises
    ------
    ValueError
        When the recording does not hold what is needed.
    """
    if not fade <= start <= audio.shape[1] - length or not 0 < fade <= length:
        raise ValueError(
            f"a loop of {length} from {start} with a fade of {fade} does not lie in {audio.shape[1]} samples"
        )
    loop = audio[:, start : start + length].copy()
    leaving, entering = loop[:, length - fade :], audio[:, start - fade : start]
    out, into = gains(fade, "equal_power")
    energy = float(np.sqrt(np.sum(leaving**2, dtype=np.float64) * np.sum(entering**2, dtype=np.float64)))
    alike = max(MOST_OPPOSED, float(np.sum(leaving * entering, dtype=np.float64)) / energy) if energy > 0 else 0.0
    even = 1 / np.sqrt(1 + 2 * alike * out * into)
    loop[:, length - fade :] = (leaving * out + entering * into) * even
    return loop - loop.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)


def begin_well(circle: np.ndarray, sample_rate: int) -> np.ndarray:
    """Turn a loop without a seam, ``(channels, samples)``, to the place where beginning it is heard least.

    Timbre and level are to be the same before and after, as far as they are anywhere in it, and the waveform small.
    """
    length = circle.shape[1]
    bands = analyse(circle, sample_rate, loop=True).bands()
    if len(bands) < 8:
        return circle
    hop = length / len(bands)
    width = max(1, min(len(bands) // 4, round(BESIDE_S * sample_rate / hop)))
    around = np.concatenate([bands[-width:], bands, bands[:width]]).astype(np.float64)
    sums = np.concatenate([np.zeros((1, bands.shape[1])), np.cumsum(around, axis=0)])
    places = np.arange(width, width + len(bands))
    floor = bands.mean(axis=0).max() * 1e-6 + 1e-20
    before = (sums[places] - sums[places - width]) / width + floor
    after = (sums[places + width] - sums[places]) / width + floor
    timbre = np.abs(10 * np.log10(after / before)).mean(axis=1)
    level = np.abs(10 * np.log10(after.sum(axis=1) / before.sum(axis=1)))
    step = np.maximum(timbre / max(float(np.median(timbre)), 0.25), level / max(float(np.median(level)), 0.25))
    # A frame is centred one hop after its start.
    first = int((np.argmin(step) + 0.5) * hop)
    count = max(4, int(hop))
    nearby = circle.take(np.arange(first - 2, first + count + 2), axis=1, mode="wrap")
    return np.roll(circle, -(first - 2 + choose_start(nearby, 2, count)), axis=1)


def _median(values: np.ndarray) -> np.ndarray:
    """Of each channel, ``(channels, 1)``; never 0, which a channel that is silent would have."""
    return np.maximum(np.median(values, axis=1, keepdims=True), 1e-7)
