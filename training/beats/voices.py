"""Sounds for made-up music: drums and notes of random timbre, mono float32 at `RATE`, peaks about 1."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.signal import lfilter

RATE = 22_050
Rng = np.random.Generator


def _time(seconds: float) -> np.ndarray:
    return np.arange(max(8, round(seconds * RATE))) / RATE


def _noise(rng: Rng, count: int, low: float, high: float) -> np.ndarray:
    """Noise between two frequencies, soft edges."""
    noise = rng.standard_normal(count)
    if high < RATE / 2:
        pole = np.exp(-2 * np.pi * high / RATE)
        noise = lfilter([1 - pole], [1, -pole], noise)
    pole = np.exp(-2 * np.pi * low / RATE)
    noise = lfilter([1, -1], [1, -pole], noise)
    return noise / (np.abs(noise).max() + 1e-9)


def kick(rng: Rng) -> np.ndarray:
    """A sine that falls, with or without a click; sometimes a dull thud."""
    t = _time(rng.uniform(0.12, 0.45))
    low, drop, fall = rng.uniform(38, 70), rng.uniform(20, 300), rng.uniform(0.008, 0.05)
    tone = np.sin(2 * np.pi * (low * t + drop * fall * (1 - np.exp(-t / fall))) + rng.choice((0, np.pi / 2)))
    sound = tone * np.exp(-t / rng.uniform(0.05, 0.2))
    attack = rng.choice((0.0, 0.0, 0.002, 0.005))
    if attack:
        sound *= np.minimum(1, t / attack)
    click = rng.choice((0.0, rng.uniform(0.05, 0.6)))
    sound[: round(0.01 * RATE)] += (
        click * _noise(rng, round(0.01 * RATE), 500, 9000)[: len(sound)] * np.linspace(1, 0, round(0.01 * RATE))
    )
    return np.tanh(sound * rng.uniform(0.8, 4))


def snare(rng: Rng) -> np.ndarray:
    """Noise and a tone, a clap, a rim, or a gated crash."""
    kind = rng.choice(("snare", "snare", "clap", "rim", "noise"))
    t = _time(rng.uniform(0.1, 0.35))
    decay = rng.uniform(0.025, 0.12)
    noise = _noise(rng, len(t), rng.uniform(300, 2000), rng.uniform(4000, 11000))
    if kind == "clap":
        bursts = sum(np.where(t >= d, np.exp(-(t - d).clip(0) / 0.006), 0) for d in (0, 0.009, 0.018))
        return noise * (0.6 * bursts + np.exp(-t / decay)) / 2
    tone = np.sin(2 * np.pi * rng.uniform(140, 330) * t + 2 * (1 - np.exp(-t / 0.01)))
    if kind == "rim":
        return (np.sin(2 * np.pi * rng.uniform(400, 1800) * t) + 0.3 * noise) * np.exp(-t / 0.012)
    share = 0.0 if kind == "noise" else rng.uniform(0.2, 0.7)
    return (share * tone * np.exp(-t / 0.06) + (1 - share) * noise * np.exp(-t / decay)).astype(np.float64)


def hat(rng: Rng, opened: bool = False) -> np.ndarray:
    """High noise or clusters of squares, short or long."""
    t = _time(rng.uniform(0.15, 0.4) if opened else rng.uniform(0.02, 0.09))
    sound = _noise(rng, len(t), rng.uniform(2500, 7000), 12_000)
    if rng.random() < 0.4:
        ring = sum(np.sign(np.sin(2 * np.pi * hz * t)) for hz in rng.uniform(2000, 9000, 4))
        sound = 0.5 * sound + 0.2 * np.diff(ring, prepend=0)
    return sound * np.exp(-t / (rng.uniform(0.06, 0.15) if opened else rng.uniform(0.008, 0.03)))


def tom(rng: Rng) -> np.ndarray:
    """A tuned drum, a conga, a metal hit."""
    t = _time(rng.uniform(0.1, 0.35))
    hz = rng.uniform(80, 700)
    sound = sum(np.sin(2 * np.pi * hz * ratio * t) / n for n, ratio in enumerate((1, rng.uniform(1.3, 2.8), 3.7), 1))
    return sound / 2 * np.exp(-t / rng.uniform(0.03, 0.12))


def crash(rng: Rng) -> np.ndarray:
    """A cymbal that rings for a second or two."""
    t = _time(rng.uniform(0.8, 2.0))
    return _noise(rng, len(t), rng.uniform(1500, 4000), 12_000) * np.exp(-t / rng.uniform(0.3, 0.7))


class Synth:
    """One instrument of a piece: a random timbre that plays notes.

    Parameters
    ----------
    rng
        Draws the timbre.
    role
        ``bass``, ``chord``, ``lead``, ``pad`` or ``pluck``.
    """

    def __init__(self, rng: Rng, role: str) -> None:
        harmonics = np.arange(1, 60)
        kind = rng.choice(("saw", "square", "pulse", "sine", "soft", "odd"))
        width = rng.uniform(0.08, 0.45)
        shape = {
            "saw": 1 / harmonics,
            "square": (harmonics % 2) / harmonics,
            "pulse": np.abs(np.sin(np.pi * harmonics * width)) / harmonics,
            "sine": (harmonics == 1) * 1.0,
            "soft": 1 / harmonics**2.2,
            "odd": rng.random(len(harmonics)) / harmonics,
        }[kind]
        self._shape = shape / np.sqrt((shape**2).sum())
        self._phase = (
            rng.uniform(0, 2 * np.pi, len(harmonics)) if rng.random() < 0.5 else np.full(len(harmonics), -np.pi / 2)
        )
        self._cut = float(np.exp(rng.uniform(np.log(300), np.log(8000)))) if role != "lead" else rng.uniform(1500, 9000)
        self.attack_s = {"bass": 0.003, "chord": 0.005, "lead": 0.004, "pad": 0.12, "pluck": 0.001}[role] * float(
            np.exp(rng.normal(0, 0.7))
        )
        self.decay_s = {"bass": 0.3, "chord": 0.25, "lead": 0.4, "pad": 9.0, "pluck": 0.12}[role] * float(
            np.exp(rng.normal(0, 0.5))
        )
        self.release_s = {"pad": 0.25}.get(role, 0.02)
        self._vibrato = rng.choice((0.0, 0.0, 0.004)) if role == "lead" else 0.0
        self._detune = float(rng.choice((0.0, 0.004))) if role in ("pad", "chord", "lead") else 0.0
        self.note = lru_cache(maxsize=600)(self._note)

    def _note(self, midi: int, samples: int, louder: int = 4) -> np.ndarray:
        hz = 440 * 2 ** ((midi - 69) / 12)
        top = max(1, min(len(self._shape), int(9500 / hz)))
        cut = self._cut * louder / 4
        number = np.arange(1, top + 1)
        weight = self._shape[:top] / np.sqrt(1 + (number * hz / max(cut, hz)) ** 4)
        angle = 2 * np.pi * np.arange(2048) / 2048
        table = (
            (weight[:, None] * np.cos(number[:, None] * angle + self._phase[:top, None])).sum(axis=0).astype(np.float32)
        )
        release = round(self.release_s * RATE)
        t = np.arange(samples + release, dtype=np.float32) / RATE
        turns = hz * t
        if self._vibrato:
            turns = turns + hz * self._vibrato / (2 * np.pi * 5.5) * (1 - np.cos(2 * np.pi * 5.5 * t))
        sound = table[(turns * 2048).astype(np.int64) & 2047]
        if self._detune:
            sound = 0.5 * (sound + table[(turns * (1 + self._detune) * 2048).astype(np.int64) & 2047])
        envelope = np.minimum(1, t / self.attack_s) * np.exp(-t / self.decay_s)
        envelope[samples:] *= np.linspace(1, 0, release)
        return (sound * envelope * louder / 4).astype(np.float32)
