"""Music by this project's instrument: its scores say where every beat is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from handlers.stems.instrument.render import render
from handlers.stems.styles import list_styles, load_style
from training.beats.music import Piece

STYLES = Path(__file__).resolve().parents[2] / "config" / "styles"


def render_stems(seeds: range, duration_s: tuple[float, ...] = (20, 40, 60)) -> Iterator[Piece]:
    """Render a stem in every style for every seed; half of them at a tempo their style would not have."""
    for seed in seeds:
        for number, name in enumerate(list_styles(STYLES)):
            rng = np.random.default_rng([40_419, seed, number])
            style = load_style(STYLES, name)
            if rng.random() < 0.5:
                tempo = float(rng.uniform(72, 178))
                style = replace(style, tempo=(tempo, tempo))
            stem = render(style, float(rng.choice(duration_s)), seed)
            silence = round(float(rng.uniform(0, 0.7)) * stem.sample_rate)
            audio = np.pad(stem.audio, ((0, 0), (silence, 0)))
            beats = np.array(stem.grid["beats_s"]) + silence / stem.sample_rate
            downbeats = np.flatnonzero(np.isin(stem.grid["beats_s"], stem.grid["downbeats_s"]))
            if not has_pulse(stem.score):
                beats, downbeats = np.zeros(0), np.zeros(0, int)
            yield Piece(audio, stem.sample_rate, beats, downbeats, "4/4", f"{name}-{seed}", f"instrument/{name}")


PULSED = ("kick", "snare", "hats", "metal", "bass", "lead", "arp", "toms", "stab")


def has_pulse(score) -> bool:
    """Whether anything is hit or plucked often enough to tell a beat."""
    hits = sum(len(score.events.get(part, ())) for part in PULSED)
    return hits >= score.meter.bars * 2
