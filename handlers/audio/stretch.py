"""Time-stretching without a change of pitch, by Signalsmith Stretch (python-stretch, MIT).

Chosen by measurement: onsets move by under a millisecond and both channels stay coherent, at a hundredth of real time.
Audio is float32 ``(channels, samples)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from python_stretch import Signalsmith

from handlers.audio.crossfade import gains

MARGIN_S = 0.12
"""Heard before and after each stretched part, so that no part begins or ends in the stretcher's own fade."""
JOIN_S = 0.012
"""Length of the crossfade between two parts: under a period of 80 Hz, over the width of a click."""


def stretch(audio: np.ndarray, sample_rate: int, frames: int) -> np.ndarray:
    """Stretch or squeeze audio to a length.

    Parameters
    ----------
    audio
        ``(channels, samples)``.
    sample_rate
        Hz.
    frames
        Samples that come out, exactly. The same number as went in returns `audio` itself.
    """
    if frames == audio.shape[1]:
        return audio
    stretcher = Signalsmith.Stretch()
    stretcher.preset(audio.shape[0], sample_rate)
    stretcher.setTimeFactor(audio.shape[1] / frames)
    made = stretcher.process(np.ascontiguousarray(audio, np.float32))
    # The stretcher rounds the quotient down: a sample may be missing at the very end.
    return made[:, :frames] if made.shape[1] >= frames else np.pad(made, ((0, 0), (0, frames - made.shape[1])))


def warp(audio: np.ndarray, sample_rate: int, source: Sequence[float], target: Sequence[float]) -> np.ndarray:
    """Move points of a recording to other places in time; between two points it is stretched evenly.

    Parameters
    ----------
    audio
        ``(channels, samples)``; what lies around the points is used where it is there.
    sample_rate
        Hz.
    source
        Where the points are, in samples of `audio`, increasing: beats as they are.
    target
        Where they go, in samples, increasing, as many: beats as they ought to be. The first is where the result begins.

    Returns
    -------
    warped
        ``(channels, round(target[-1] - target[0]))``.
    """
    if len(source) != len(target) or len(source) < 2:
        raise ValueError(f"warp needs two points or more, as many here as there: {len(source)} and {len(target)}")
    margin, join = round(MARGIN_S * sample_rate), round(JOIN_S * sample_rate)
    places = [round(point - target[0]) for point in target]
    result = np.zeros((audio.shape[0], places[-1]), np.float32)
    leaving, entering = gains(2 * join, "equal_power")
    # Neighbours are two versions of the same sound, nearly in phase: amplitudes, not powers, have to add up to one.
    total = leaving + entering
    leaving, entering = leaving / total, entering / total
    for (first, last), (begin, end) in zip(pairwise(source), pairwise(places), strict=True):
        factor = (end - begin) / (last - first)
        part = stretch_span(
            audio, sample_rate, first - margin / factor, last + margin / factor, end - begin + 2 * margin
        )
        part = part[:, margin - join : part.shape[1] - margin + join].copy()
        if begin == 0:
            part = part[:, join:]
        else:
            part[:, : 2 * join] *= entering
        if end == places[-1]:
            part = part[:, : part.shape[1] - join]
        else:
            part[:, -2 * join :] *= leaving
        start = max(0, begin - join)
        result[:, start : start + part.shape[1]] += part
    return result


def stretch_span(audio: np.ndarray, sample_rate: int, first: float, last: float, frames: int) -> np.ndarray:
    """Stretch what lies between two positions, in samples and fractions of them, to `frames`; silence where none is."""
    start, stop = round(first), round(last)
    span = audio[:, max(0, start) : max(0, min(stop, audio.shape[1]))]
    missing = (max(0, -start), max(0, stop - max(audio.shape[1], start)))
    if any(missing):
        span = np.pad(span, ((0, 0), missing))
    return stretch(span, sample_rate, frames)
