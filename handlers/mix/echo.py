"""Echoing out: a piece stops on a beat, and that beat dies away in echoes over the piece that follows."""

from __future__ import annotations

import numpy as np

from handlers.audio.crossfade import gains
from handlers.audio.crossover import lows, reach

JOIN_S = 0.006
"""Length of the crossfade from one echo to the next."""
ENTER_S = 0.002
"""The entering piece is faded in so fast: no click where it begins inside a wave, no attack lost."""
DECAY_DB = 40.0
"""By how much the last echo is below the piece."""


def span_before(period: int, sample_rate: int) -> int:
    """Samples of the leaving piece before the place where it stops that :func:`echo_out` needs."""
    return period + reach(sample_rate)


def span_after(sample_rate: int) -> int:
    """Samples of it after that place."""
    return round(JOIN_S * sample_rate) + reach(sample_rate)


def echo_out(leaving: np.ndarray, entering: np.ndarray, period: int, sample_rate: int) -> np.ndarray:
    """Play the overlap.

    Parameters
    ----------
    leaving
        ``(channels, samples)``: from :func:`span_before` where it stops to :func:`span_after` it.
    entering
        ``(channels, frames)`` of the overlap.
    period
        Samples from echo to echo: a beat.
    sample_rate
        Hz.

    Returns
    -------
    audio
        ``(channels, frames)``. Echoes have no bass: that is the entering piece's alone.
    """
    join, before, frames = round(JOIN_S * sample_rate), reach(sample_rate), entering.shape[1]
    mixed = entering.copy()
    attack = min(round(ENTER_S * sample_rate), frames)
    mixed[:, :attack] *= gains(attack)[1]
    down, up = gains(join)
    stop = before + period
    own = leaving[:, stop : stop + join]
    # The last beat and a little more, faded in and out so that one echo goes over into the next.
    beat = (leaving - lows(leaving, sample_rate))[:, before : stop + join]
    beat[:, :join] *= up
    beat[:, -join:] *= down
    _add(mixed, own * down, 0)
    gain = 10 ** (-DECAY_DB / 20 * period / frames)
    for number, start in enumerate(range(0, frames, period), 1):
        _add(mixed, beat * np.float32(gain**number), start)
    return mixed


def _add(mixed: np.ndarray, sound: np.ndarray, start: int) -> None:
    """Add a sound at a place; an echo that would pass the end is faded out there."""
    room = mixed.shape[1] - start
    if sound.shape[1] > room:
        sound = sound[:, :room] * np.linspace(1, 0, room, dtype=np.float32)
    mixed[:, start : start + sound.shape[1]] += sound
