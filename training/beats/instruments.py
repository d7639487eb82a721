"""Instruments for songs: struck, plucked, blown and bowed sounds, and those of early samplers; mono float32 at `RATE`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from training.beats.voices import RATE, Rng, Synth

Player = Callable[[int, int, int], np.ndarray]
"""From MIDI number, samples and loudness 1..4 to a note."""
KINDS = ("synth", "fm", "plucked", "organ", "bowed", "brass", "bell", "chip")
FADE_S = 0.02


def draw_player(rng: Rng, role: str) -> Player:
    """Draw an instrument for a role: ``bass``, ``chord``, ``lead``, ``pad`` or ``pluck``."""
    kinds = {
        "bass": ("synth", "synth", "fm", "plucked", "chip"),
        "pad": ("synth", "organ", "bowed", "bowed", "fm"),
        "chord": ("synth", "organ", "plucked", "fm", "brass", "chip", "bell"),
        "lead": ("synth", "brass", "bowed", "chip", "fm", "plucked", "organ"),
        "pluck": ("synth", "plucked", "bell", "chip", "fm"),
    }[role]
    kind = str(rng.choice(kinds))
    if kind == "synth":
        return Synth(rng, role).note
    return lru_cache(maxsize=400)(_MAKERS[kind](rng))


def _shape(count: int, attack_s: float, decay_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Time and envelope of a note of so many samples, which then fades."""
    t = np.arange(count + round(FADE_S * RATE), dtype=np.float32) / RATE
    envelope = np.minimum(1, t / max(attack_s, 1e-4)) * np.exp(-t / decay_s)
    envelope[count:] *= np.linspace(1, 0, len(t) - count, dtype=np.float32)
    return t, envelope


def _hz(midi: int) -> float:
    return float(440 * 2 ** ((midi - 69) / 12))


def _fm(rng: Rng) -> Player:
    ratio = float(rng.choice((0.5, 1, 1, 2, 2, 3, 3.5, 7, 1.41)))
    index, fall, decay = rng.uniform(0.5, 5), rng.uniform(0.05, 0.6), rng.uniform(0.15, 1.2)

    def note(midi: int, samples: int, louder: int) -> np.ndarray:
        t, envelope = _shape(samples, 0.002, decay)
        turn = 2 * np.pi * _hz(midi) * t
        return np.sin(turn + index * louder / 4 * np.exp(-t / fall) * np.sin(ratio * turn)) * envelope * louder / 4

    return note


def _partials(rng: Rng, *, low_s: float, spread: float, attack_s: float, stretch: float = 0.0) -> Player:
    """Partials that ring for `low_s`, the higher the shorter."""
    levels = rng.uniform(0.3, 1, 14) / np.arange(1, 15) ** rng.uniform(0.6, 1.8)
    ratios = np.arange(1, 15) * (1 + stretch * rng.uniform(-1, 1, 14))

    def note(midi: int, samples: int, louder: int) -> np.ndarray:
        hz = _hz(midi)
        t, envelope = _shape(samples, attack_s, 30.0)
        sound = np.zeros(len(t), np.float32)
        for ratio, level in zip(ratios, levels, strict=True):
            if hz * ratio < 9500:
                sound += np.float32(level) * np.sin(2 * np.pi * hz * ratio * t) * np.exp(-t * (ratio**spread) / low_s)
        return sound * envelope * louder / 6

    return note


def _held(rng: Rng, *, attack_s: tuple[float, float], vibrato: float, brighten: bool) -> Player:
    """A tone that lasts as long as it is held."""
    levels = rng.uniform(0.2, 1, 16) / np.arange(1, 17) ** rng.uniform(0.5, 1.6)
    attack, speed = rng.uniform(*attack_s), rng.uniform(4.5, 6.5)
    turn = np.arange(2048) / 2048 * 2 * np.pi
    dull = levels / np.arange(1, 17) ** 1.5

    def table(hz: float, weights: np.ndarray) -> np.ndarray:
        top = max(1, min(16, int(9500 / hz)))
        return (weights[:top, None] * np.sin(np.arange(1, top + 1)[:, None] * turn)).sum(axis=0).astype(np.float32)

    def note(midi: int, samples: int, louder: int) -> np.ndarray:
        hz = _hz(midi)
        t, envelope = _shape(samples, attack, 8.0)
        place = hz * t - hz * vibrato / (2 * np.pi * speed) * np.cos(2 * np.pi * speed * t)
        place = (place * 2048).astype(np.int64) & 2047
        sound = table(hz, levels)[place]
        if brighten:
            open_ = np.minimum(1, t / (2 * attack)) * louder / 4
            sound = open_ * sound + (1 - open_) * table(hz, dull)[place]
        return sound * envelope * louder / 6

    return note


def _chip(rng: Rng) -> Player:
    """A pulse or a coarse triangle of a sound chip, sometimes a chord by quick arpeggio."""
    width, coarse = float(rng.choice((0.125, 0.25, 0.5))), rng.random() < 0.3
    chord = (0, int(rng.choice((3, 4))), 7) if rng.random() < 0.3 else (0,)
    decay, tick = rng.uniform(0.1, 2.0), RATE // 50

    def note(midi: int, samples: int, louder: int) -> np.ndarray:
        t, envelope = _shape(samples, 0.001, decay)
        steps = np.array([_hz(midi + above) for above in chord])[np.arange(len(t)) // tick % len(chord)]
        phase = np.cumsum(steps / RATE) % 1
        sound = np.round((4 * np.abs(phase - 0.5) - 1) * 8) / 8 if coarse else np.where(phase < width, 0.6, -0.6)
        return sound.astype(np.float32) * envelope * louder / 4

    return note


_MAKERS: dict[str, Callable[[Rng], Player]] = {
    "fm": _fm,
    "plucked": lambda rng: _partials(rng, low_s=rng.uniform(0.2, 1.6), spread=rng.uniform(0.4, 1.1), attack_s=0.001),
    "bell": lambda rng: _partials(rng, low_s=rng.uniform(0.4, 2), spread=0.5, attack_s=0.001, stretch=0.12),
    "organ": lambda rng: _held(rng, attack_s=(0.003, 0.02), vibrato=0.0, brighten=False),
    "bowed": lambda rng: _held(rng, attack_s=(0.04, 0.2), vibrato=0.004, brighten=False),
    "brass": lambda rng: _held(rng, attack_s=(0.01, 0.06), vibrato=0.002, brighten=True),
    "chip": _chip,
}
