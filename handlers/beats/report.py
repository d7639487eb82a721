"""From what was found to what is said: the result's rounded numbers, and the strips of its picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from handlers.audio.grid.labels import Section as FoundSection
from handlers.audio.grid.model import BANDS, Grid
from handlers.audio.strips import Strip
from handlers.beats.result import (
    VERSION,
    Alternative,
    Character,
    Key,
    Loudness,
    LoudnessCurve,
    Result,
    Section,
    Segment,
)

if TYPE_CHECKING:
    from handlers.beats.analyze import Analysis

TEMPO_COLOUR, LEVEL_COLOUR = (232, 184, 82), (92, 190, 214)
HEADROOM = 0.5
"""Room above the tempo curve for its title."""
LOWEST_LUFS, HIGHEST_LUFS = -40.0, 0.0


def report(found: Analysis, source: str) -> Result:
    """Put an analysis into words and numbers; `source` is what a person calls the recording."""
    grid = found.grid
    loudness = found.loudness.facts()
    return Result(
        version=VERSION,
        source=source,
        duration_s=round(found.info.duration_s, 6),
        sample_rate=found.info.sample_rate,
        channels=found.info.channels,
        tempo=None if grid.tempo_bpm is None else round(grid.tempo_bpm, 3),
        tempo_confidence=round(grid.tempo_confidence, 3),
        tempo_alternatives=[
            Alternative(tempo_bpm=round(tempo_bpm, 3), confidence=round(score, 3))
            for tempo_bpm, score in grid.alternatives
        ],
        has_beat=grid.has_beat,
        beat_confidence=round(grid.confidence, 3),
        steady=grid.steady,
        segments=[
            Segment(
                start_s=_time(one.start_s),
                end_s=_time(one.end_s),
                tempo_bpm=round(one.tempo_bpm, 3),
                first_beat_s=_time(one.first_beat_s),
            )
            for one in grid.segments
        ],
        meter=grid.meter,
        meter_confidence=round(grid.meter_confidence, 3),
        beats=_times(grid.beats_s),
        downbeats=_times(grid.downbeats_s),
        bars=[int(bar) for bar in grid.bars],
        beats_in_bar=beats_in_bar(grid),
        onsets=_times(grid.onsets.times_s),
        onset_strengths=[round(float(strength), 3) for strength in grid.onsets.strength],
        onset_bands=[BANDS[band] for band in grid.onsets.band],
        sections=[_section(one, grid) for one in found.sections],
        key=None
        if found.key is None
        else Key(
            name=found.key.name,
            camelot=found.key.camelot,
            confidence=round(found.key.confidence, 3),
            runner_up=found.key.runner_up,
            tuning_cents=round(found.key.tuning_cents, 1),
        ),
        mood=found.mood,
        character=Character(
            onsets_per_s=round(found.measures.onsets_per_s, 3),
            brightness=round(found.measures.brightness, 3),
            low_share=round(found.measures.low_share, 3),
            presence_db=round(found.measures.presence_db, 2),
            flatness=round(found.measures.flatness, 3),
            range_lu=round(found.measures.range_lu, 2),
        ),
        loudness=Loudness(
            **loudness,
            curve=LoudnessCurve(
                times_s=[round(time_s, 3) for time_s in found.curve.times_s],
                short_term_lufs=_levels(found.curve.short_term_lufs),
                momentary_lufs=_levels(found.curve.momentary_lufs),
            ),
        ),
    )


def beats_in_bar(grid: Grid) -> list[int]:
    """The place of each beat in its bar, from 1; upbeats before the first downbeat end a bar as long as the first."""
    if not len(grid.downbeats):
        return list(range(1, len(grid.beats_s) + 1))
    length = int(grid.downbeats[1] - grid.downbeats[0]) if len(grid.downbeats) > 1 else int(grid.downbeats[0]) or 1
    numbers = np.arange(len(grid.beats_s))
    begun = grid.downbeats[np.maximum(grid.bars - 1, 0)]
    return [int(place) + 1 for place in np.where(grid.bars > 0, numbers - begun, (numbers - begun) % length)]


def picture_strips(found: Analysis) -> list[Strip]:
    """The tempo curve with how sure it is, and loudness over time."""
    grid, curve = found.grid, found.curve
    strips = []
    if grid.tempo_bpm is not None:
        tempi = [one.tempo_bpm for one in grid.segments]
        low, high = min(*tempi, grid.tempo_bpm * 0.95), max(*tempi, grid.tempo_bpm * 1.05)
        high += HEADROOM * (high - low)
        key = f", key {found.key.confidence:.0%}" if found.key else ""
        strips.append(
            Strip(
                "tempo, BPM",
                [[(one.start_s, one.tempo_bpm), (one.end_s, one.tempo_bpm)] for one in grid.segments],
                low,
                high,
                TEMPO_COLOUR,
                note=f"sure of: beat {grid.confidence:.0%}, tempo {grid.tempo_confidence:.0%}, "
                f"meter {grid.meter_confidence:.0%}{key}",
                ticks=[round(grid.tempo_bpm, 2)] if grid.steady else [round(min(tempi), 1), round(max(tempi), 1)],
            )
        )
    heard = [
        (time_s, level)
        for time_s, level in zip(curve.times_s, curve.short_term_lufs, strict=True)
        if math.isfinite(level)
    ]
    if heard:
        integrated = found.loudness.integrated_lufs
        strips.append(
            Strip(
                "loudness, LUFS over 3 s",
                [heard],
                LOWEST_LUFS,
                HIGHEST_LUFS,
                LEVEL_COLOUR,
                note=f"integrated {integrated:.1f} LUFS" if math.isfinite(integrated) else "",
                ticks=[-30, -20, -10],
            )
        )
    return strips


def _section(one: FoundSection, grid: Grid) -> Section:
    bar = int(np.argmin(np.abs(grid.downbeats_s - one.start_s))) + 1 if len(grid.downbeats) else None
    return Section(
        start_s=_time(one.start_s),
        end_s=_time(one.end_s),
        first_bar=bar,
        bars=one.bars if bar else None,
        label=one.label,
        letter=one.letter,
        energy=round(one.energy, 3),
        brightness=round(one.brightness, 3),
    )


def _time(time_s: float) -> float:
    """To 10 microseconds: half a sample at 44.1 kHz."""
    return round(float(time_s), 5)


def _times(times_s: np.ndarray) -> list[float]:
    return [_time(time_s) for time_s in times_s]


def _levels(levels_lufs: list[float]) -> list[float | None]:
    return [round(level, 1) if math.isfinite(level) else None for level in levels_lufs]
