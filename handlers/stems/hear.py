"""What is heard in a stem whose tempo and key nobody knows: a model was told in words, and plays what it likes."""

from __future__ import annotations

from typing import Any

import numpy as np

from handlers.audio.grid.key import find_key
from handlers.audio.grid.pitches import Pitches
from handlers.audio.grid.tempo import measure_tempo

BLOCK = 1 << 18
SURE = 0.5
"""A tempo or key less sure than this is not said."""


def hear(audio: np.ndarray, sample_rate: int) -> dict[str, Any]:
    """Measure tempo and key of ``(channels, samples)``; `None` where there is no beat, or no key stands out."""
    tempo = measure_tempo(audio, sample_rate)
    pitches = Pitches(sample_rate)
    for start in range(0, audio.shape[1], BLOCK):
        pitches.feed(audio[:, start : start + BLOCK])
    key = find_key(pitches.finish())
    return {
        "tempo_measured_bpm": round(tempo.bpm, 3) if tempo.bpm and tempo.confidence >= SURE else None,
        "key_measured": key.name if key and key.confidence >= SURE else None,
    }
