"""Music of blocks whose key, bars and parts are known: chords, bass and drums, made by a few lines.

float32 of shape ``(1, samples)`` at 22.05 kHz, full scale ±1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAMPLE_RATE = 22_050
BAR_S = 2.0
"""4/4 at 120 BPM."""
BAR = round(BAR_S * SAMPLE_RATE)
MINOR, MAJOR = (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11)
PROGRESSION = (0, 3, 4, 0)
"""Degrees of the chords of four bars."""


def block(
    parts: Sequence[str],
    bars: int = 8,
    *,
    tonic: int = 9,
    scale: Sequence[int] = MINOR,
    tuning_cents: float = 0.0,
    progression: Sequence[int] = PROGRESSION,
) -> np.ndarray:
    """Bars in which `parts` play: `drums`, `hats`, `bass`, `chords`, `riser`."""
    sound = np.zeros(bars * BAR)
    rng = np.random.default_rng(7)
    # The same notes and hits wherever a block stands.
    noise = rng.standard_normal(BAR)
    for bar in range(bars):
        here = sound[bar * BAR : (bar + 1) * BAR]
        degree = progression[bar % len(progression)]
        if "chords" in parts:
            for third in (degree, degree + 2, degree + 4):
                here += 0.05 * _note(48 + tonic + 12 * (third // 7) + scale[third % 7], BAR, 4, tuning_cents)
        if "bass" in parts:
            for eighth in range(8):
                midi = 24 + (tonic + scale[degree % 7]) % 12 + 12
                here[eighth * BAR // 8 :][: BAR // 10] += 0.3 * _note(midi, BAR // 10, 3, tuning_cents)
        for beat in range(4):
            start = beat * BAR // 4
            if "drums" in parts:
                time_s = np.arange(BAR // 8) / SAMPLE_RATE
                kick = np.sin(2 * np.pi * (50 * time_s + 3 * (1 - np.exp(-time_s / 0.03)))) * np.exp(-time_s / 0.1)
                here[start:][: len(kick)] += 0.7 * kick
                if beat % 2:
                    here[start:][: len(kick)] += 0.15 * noise[: len(kick)] * np.exp(-time_s / 0.05)
            if {"drums", "hats"} & set(parts):
                here[start + BAR // 8 :][: BAR // 16] += (
                    0.08 * np.diff(noise[: BAR // 16 + 1]) * np.exp(-np.arange(BAR // 16) / 600)
                )
    if "riser" in parts:
        sound += np.linspace(0.0, 0.2, len(sound)) ** 1.5 * np.diff(rng.standard_normal(len(sound) + 1))
    return sound.astype(np.float32)[None]


def piece(blocks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Blocks one after the other, and every downbeat in seconds."""
    audio = np.concatenate(blocks, axis=1)
    return audio, np.arange(0, audio.shape[1], BAR) / SAMPLE_RATE


def _note(midi: int, samples: int, partials: int, tuning_cents: float) -> np.ndarray:
    hz = 440 * 2 ** ((midi - 69) / 12 + tuning_cents / 1200)
    time_s = np.arange(samples) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * hz * partial * time_s) / partial**1.5 for partial in range(1, partials + 1))
    fade = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / 200)
    return wave * fade
