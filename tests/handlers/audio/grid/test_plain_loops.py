"""Plain loops: a kick on every beat and little else, which a tracker of whole pieces must not find less clear."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.track import find_grid

RATE = 44_100
LEAD_S = 0.3
TOLERANCE_S = 0.005
_time = np.arange(9000) / RATE
_rng = np.random.default_rng(5)
SOUNDS = {
    "kick": 0.5 * np.sin(2 * np.pi * (50 * _time + 12 * (1 - np.exp(-30 * _time)))) * np.exp(-12 * _time),
    "snare": 0.2 * _rng.standard_normal(9000) * np.exp(-25 * _time),
    "hat": 0.1 * np.diff(_rng.standard_normal(9001)) * np.exp(-90 * _time),
}


def loop(tempo_bpm: float, parts: tuple[str, ...], bars: int = 24) -> np.ndarray:
    """Kicks on beats, snares on two and four, hats half-way between; silence of `LEAD_S` before."""
    beat = 60 / tempo_bpm
    audio = np.zeros(round((bars * 4 * beat + LEAD_S) * RATE) + 9000, np.float32)
    for number in range(bars * 4):
        for part in parts:
            if part == "snare" and number % 2 == 0:
                continue
            place = round((LEAD_S + (number + 0.5 * (part == "hat")) * beat) * RATE)
            audio[place : place + 9000] += SOUNDS[part].astype(np.float32)
    return audio[None]


@pytest.mark.parametrize(
    "parts", [("kick",), ("kick", "hat"), ("kick", "snare"), ("kick", "snare", "hat")], ids="+".join
)
@pytest.mark.parametrize("tempo_bpm", [90.0, 126.0, 140.0])
def test_beats_lie_on_the_kicks(tempo_bpm: float, parts: tuple[str, ...]) -> None:
    grid = find_grid(loop(tempo_bpm, parts), RATE)
    assert grid.tempo_bpm == pytest.approx(tempo_bpm, abs=0.01)
    away = (grid.beats_s - LEAD_S) * tempo_bpm / 60
    assert np.abs((away + 0.5) % 1 - 0.5).max() * 60 / tempo_bpm < TOLERANCE_S


def test_at_drum_and_bass_tempo_the_kicks_are_still_beats_or_every_other() -> None:
    grid = find_grid(loop(174.0, ("kick", "snare", "hat")), RATE)
    assert min(abs(grid.tempo_bpm - tempo) for tempo in (87.0, 174.0)) < 0.01
    away = (grid.beats_s - LEAD_S) * 174 / 60
    assert np.abs((away + 0.5) % 1 - 0.5).max() * 60 / 174 < TOLERANCE_S
