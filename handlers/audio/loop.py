"""Cutting a loop: the place where it begins, and the crossfade that makes its end lead back there.

Arrays are float32 of shape ``(channels, samples)``, full scale ±1.
"""

from __future__ import annotations

import numpy as np

from handlers.audio.crossfade import gains

SLACK_S = 0.05
"""How far the start may move to find a quiet moment of the waveform."""
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


def _median(values: np.ndarray) -> np.ndarray:
    """Of each channel, ``(channels, 1)``; never 0, which a channel that is silent would have."""
    return np.maximum(np.median(values, axis=1, keepdims=True), 1e-7)
