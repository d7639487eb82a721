"""Render: a style and a seed to sound. Pure: the same arguments give the same samples, bit for bit.

The score is written here, and played in :mod:`handlers.stems.instrument.desk`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from handlers.stems.instrument.desk import SAMPLE_RATE, Pulse, mix
from handlers.stems.instrument.form import draw_labels, lay_out
from handlers.stems.instrument.lines import LinePattern, Lines, draw_lines
from handlers.stems.instrument.patterns import Drums, draw_drums, ring_out
from handlers.stems.instrument.score import STEPS, Event, Meter, Score, draw_common
from handlers.stems.instrument.variety import Place, draw_unlike
from handlers.stems.styles import Style


@dataclass(frozen=True)
class Rendered:
    """A finished stem."""

    audio: np.ndarray
    """float32, ``(2, samples)``."""
    sample_rate: int
    score: Score
    grid: dict[str, object]
    """The truth about it, as written beside the audio: tempo, key, beats, sections (see :func:`describe_grid`)."""
    layers: dict[str, np.ndarray]
    """What each bus adds to it, by name, where that was asked for; together they are the audio."""


def compose(
    style: Style,
    duration_s: float,
    seed: int,
    *,
    step: str = "stems",
    index: int = 1,
    take: int = 0,
) -> Score:
    """Write the score of one stem; see :func:`render` for the parameters."""
    character = style.character
    parts = character.parts
    common = draw_common(style, seed)
    place = Place(seed, style.name, step, index, take)
    meter = Meter(common.tempo_bpm, round(duration_s * SAMPLE_RATE), SAMPLE_RATE)
    degrees = [note.degree for note in common.motif]
    labels = draw_unlike(place, "labels", lambda rng: draw_labels(character.form, meter.bars, rng), mark=tuple)
    beat = draw_unlike(place, "beat", lambda rng: draw_drums(character, rng), lambda drawn: drawn.mark(parts))
    line = draw_unlike(place, "line", lambda rng: draw_lines(character, degrees, rng), LinePattern.mark)
    sections = lay_out(labels, meter.bars, parts, character.intensity, place.stream("form"))
    drums = Drums(character, meter, beat, place.stream("drums"))
    lines = Lines(character, common, meter, line, place.stream("lines"))
    events: dict[str, list[Event]] = {part: [] for part in character.parts}
    for section in sections:
        for part, played in (drums.play(section) | lines.play(section)).items():
            events[part] += played
    if meter.tail_steps >= 2:
        ring_out(events, meter, character.form, place.stream("tail"))
    ordered = {
        part: tuple(event for event in sorted(played, key=lambda event: event.start) if event.start < meter.frames)
        for part, played in events.items()
    }
    return Score(meter, common, sections, ordered)


def render(
    style: Style,
    duration_s: float,
    seed: int,
    *,
    step: str = "stems",
    index: int = 1,
    take: int = 0,
    layers: bool = False,
    ring_s: float = 0.0,
    pulse: Pulse = lambda done: None,
) -> Rendered:
    """Render one stem.

    Parameters
    ----------
    style
        From :func:`handlers.stems.styles.load_style`.
    duration_s
        Length in seconds; the audio has ``round(duration_s * 44100)`` samples.
    seed
        The job's seed, 0 .. 2**32 - 1: tempo, key and motif come from it.
    step, index, take
        The step's name, the item's number in it from 1, and how often it was played before: everything else comes from
        these and the seed.
    layers
        Keep what the drums, the bass, the harmony and the noise each add to the mix.
    ring_s
        Seconds that are played on after the end, of what rings on; for a loop, which begins under it.
    pulse
        Called several times a second with the share done, 0..1; may raise to stop.
    """
    score = compose(style, duration_s, seed, step=step, index=index, take=take)
    place = Place(seed, style.name, step, index, take)
    mixed = mix(score, style.character, place, pulse, layers=layers, ring=round(ring_s * SAMPLE_RATE))
    return Rendered(mixed.audio, SAMPLE_RATE, score, describe_grid(score, style, seed), mixed.layers)


def describe_grid(score: Score, style: Style, seed: int) -> dict[str, object]:
    """Return the grid as JSON values: version, tempo_bpm, key, beats_s, downbeats_s, sections, motif, hits."""
    meter, common = score.meter, score.common
    duration_s = meter.frames / meter.sample_rate
    beats = [meter.frame(step) for step in range(0, math.ceil(meter.frames / meter.step_frames), 4)]
    beats = [beat for beat in beats if beat < meter.frames]
    bar_s = [meter.frame(bar * STEPS) / meter.sample_rate for bar in range(meter.bars + 1)]
    return {
        "version": 1,
        "style": style.name,
        "seed": seed,
        "tempo_bpm": common.tempo_bpm,
        "key": str(common.key),
        "scale": common.scale,
        "time_signature": "4/4",
        "duration_s": duration_s,
        "beats_s": [beat / meter.sample_rate for beat in beats],
        "downbeats_s": [beat / meter.sample_rate for beat in beats[::4]],
        "sections": [
            {
                "start_s": bar_s[section.start_bar],
                "end_s": duration_s if section is score.sections[-1] else bar_s[section.end_bar],
                "label": section.label,
                "parts": list(section.parts),
            }
            for section in score.sections
        ],
        "motif": [{"step": note.step, "length": note.length, "degree": note.degree} for note in common.motif],
        "kicks_s": [event.start / meter.sample_rate for event in score.events.get("kick", ())],
    }
