"""Words for how a recording sounds, each from measurements and a threshold: :data:`WORDS` is all there is to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.features import Features
from handlers.audio.grid.sections import Bars


@dataclass(frozen=True)
class Measures:
    """What the words are made of."""

    tempo_bpm: float | None
    steady: bool
    onsets_per_s: float
    brightness: float
    """0..1: centre of gravity of the spectrum, 100 Hz to 10 kHz by octaves, loud moments counted more."""
    low_share: float
    """0..1: share of the power below 130 Hz."""
    presence_db: float
    """Power from 2 to 6 kHz against all."""
    flatness: float
    """0..1: how noise-like it is above 2 kHz (geometric over arithmetic mean of the bands)."""
    range_lu: float
    """Loudness range (EBU Tech 3342)."""


@dataclass(frozen=True)
class Word:
    """One word and when it is said."""

    word: str
    rule: str
    """For people, as in the documentation."""
    holds: Callable[[Measures], bool]


WORDS = (
    Word("dark", "brightness under 0.35", lambda m: m.brightness < 0.35),
    Word("bright", "brightness over 0.55", lambda m: m.brightness > 0.55),
    Word("heavy", "a beat, and 0.6 of the power below 130 Hz", lambda m: bool(m.tempo_bpm) and m.low_share >= 0.6),
    Word("thin", "less than 0.1 of the power below 130 Hz", lambda m: m.low_share < 0.1),
    Word(
        "driving",
        "one steady tempo of 110 BPM or more, 4 onsets a second or more",
        lambda m: m.steady and (m.tempo_bpm or 0) >= 110 and m.onsets_per_s >= 4,
    ),
    Word("dense", "8 onsets a second or more", lambda m: m.onsets_per_s >= 8),
    Word("sparse", "less than 2 onsets a second", lambda m: m.onsets_per_s < 2),
    Word(
        "calm",
        "less than 2 onsets a second, and no beat or one under 100 BPM",
        lambda m: m.onsets_per_s < 2 and (m.tempo_bpm or 0) < 100,
    ),
    Word(
        "harsh",
        "2 to 6 kHz within 16 dB of all, noise-like above 2 kHz (flatness 0.5 or more)",
        lambda m: m.presence_db >= -16 and m.flatness >= 0.5,
    ),
    Word("dynamic", "a loudness range of 10 LU or more", lambda m: m.range_lu >= 10),
    Word("even", "a loudness range under 3 LU", lambda m: m.range_lu < 3),
)
"""Thresholds lie between this project's own styles that the words describe: ambient and techno, dub and noise."""


def measure_character(
    features: Features, bars: Bars, *, tempo_bpm: float | None, steady: bool, onsets_per_s: float, range_lu: float
) -> Measures:
    """Gather the measurements of a recording."""
    mean = features.power.mean(axis=0, dtype=np.float64)
    centres = features.centres_hz
    total = float(mean.sum()) + 1e-20
    high = features.power[:, centres >= 2000].astype(np.float64) + 1e-12
    flatness = float(np.median(np.exp(np.log(high).mean(axis=1)) / high.mean(axis=1))) if high.size else 0.0
    presence = float(mean[(centres >= 2000) & (centres < 6000)].sum())
    return Measures(
        tempo_bpm=tempo_bpm,
        steady=steady,
        onsets_per_s=onsets_per_s,
        brightness=float(np.average(bars.brightness, weights=10 ** (bars.level_db / 10))),
        low_share=float(mean[centres < 130].sum()) / total,
        presence_db=10 * float(np.log10(presence / total + 1e-12)),
        flatness=flatness,
        range_lu=range_lu,
    )


def describe_mood(measures: Measures) -> list[str]:
    """Return the words that hold, in the table's order."""
    return [word.word for word in WORDS if word.holds(measures)]
