"""Effects on a whole made-up piece: echo, room, saturation, tone."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, lfilter

from training.beats.voices import RATE, Rng


def finish(rng: Rng, sound: np.ndarray, beat_s: float) -> np.ndarray:
    """Echo, room, saturation and tone, each in some pieces only."""
    if rng.random() < 0.25:
        delay = round(float(rng.choice((0.5, 0.75, 0.75, 1.0, rng.uniform(0.3, 1)))) * beat_s * RATE)
        feedback = rng.uniform(0.2, 0.5)
        for turn in range(1, 4):
            if turn * delay < len(sound):
                sound = sound.copy()
                sound[turn * delay :] += feedback**turn * sound[: len(sound) - turn * delay] * 0.7
    if rng.random() < 0.35:
        length = rng.uniform(0.2, 1.6)
        time = np.arange(round(length * RATE)) / RATE
        room = rng.standard_normal(len(time)) * np.exp(-time * 6.9 / length)
        wet = fftconvolve(sound, room)[: len(sound)]
        sound = sound + rng.uniform(0.1, 0.5) * wet * (np.sqrt(np.mean(sound**2)) / (np.sqrt(np.mean(wet**2)) + 1e-9))
    if rng.random() < 0.4:
        sound = np.tanh(sound * rng.uniform(0.7, 3))
    if rng.random() < 0.25:
        pole = np.exp(-2 * np.pi * rng.uniform(1500, 9000) / RATE)
        sound = lfilter([1 - pole], [1, -pole], sound)
    if rng.random() < 0.15:
        pole = np.exp(-2 * np.pi * rng.uniform(60, 300) / RATE)
        sound = lfilter([1, -1], [1, -pole], sound)
    return sound.astype(np.float32)


def crush(rng: Rng, sound: np.ndarray) -> np.ndarray:
    """As an early sampler has it: held over two or three samples, in steps of 5 to 8 bits."""
    hold, steps = int(rng.choice((2, 2, 3))), 2 ** int(rng.integers(4, 8))
    top = np.abs(sound).max() + 1e-9
    held = np.repeat(sound[::hold], hold)[: len(sound)]
    return (np.round(held / top * steps) / steps * top).astype(np.float32)
