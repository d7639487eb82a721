"""One-shots: kick, snare, hats, metal, impact. Each function draws one variation of a sound from a random stream.

Returns float32 of shape ``(2, samples)``, peak at most 1, ends faded to zero. Driven sounds are made at twice the
sample rate, so that what the drive adds above hearing does not fold back into it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import signal

from handlers.stems.instrument.bus import butter
from handlers.stems.styles import Character

OVERSAMPLING = 2


def kick(character: Character, tone_hz: float, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """A sine that falls from a click to `tone_hz`, driven until it barks; `weight` makes it longer and lower."""
    rate = sample_rate * OVERSAMPLING
    time = _time(0.34 + 0.22 * character.weight, rate)
    start = 210 + 140 * character.brightness
    slow, fast = rng.uniform(0.030, 0.034), rng.uniform(0.0055, 0.0065)
    sweep = tone_hz + (start - tone_hz) * np.exp(-time / slow) * 0.55 + 1900 * np.exp(-time / fast) * 0.8
    body = _cycles(sweep, rate) * np.exp(-time / (0.10 + 0.10 * character.weight))
    click = _noise(rng, len(time)) * np.exp(-time / 0.0018) * (0.15 + 0.35 * character.brightness)
    gain = 1.3 + 7 * character.drive * rng.uniform(0.95, 1.05)
    # A little offset inside the drive gives even harmonics; its constant part is taken off again.
    driven = np.tanh(gain * (body + click) + 0.25 * character.drive) - math.tanh(0.25 * character.drive)
    grit = _band(np.tanh(3 * gain * body), 300, 2600, rate) * character.drive * np.exp(-time / 0.07)
    # Drive holds a decaying tone up until it stops at once; the decay that is heard comes after it.
    hold_s = 0.05 + 0.06 * character.weight
    decay = np.exp(-np.maximum(0, time - hold_s) / (0.05 + 0.06 * character.weight))
    return _finish(_decimate((0.85 * driven + 0.45 * grit) * decay), sample_rate, attack_s=0.0008)


def rumble(kick_sound: np.ndarray, length_s: float, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """A kick's own dark room: its sound through a low, mono burst of noise. It fills the space between beats."""
    time = _time(length_s, sample_rate)
    room = _band(_noise(rng, len(time)), 38, 130, sample_rate) * np.exp(-time / (0.45 * length_s))
    wet = signal.fftconvolve(kick_sound[0], room)[: len(time)]
    wet *= np.minimum(1.0, time / (0.35 * length_s)) ** 1.5
    return _finish(np.tanh(2.0 * wet / (np.abs(wet).max() + 1e-9)), sample_rate)


def snare(character: Character, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """A driven snare (`crack`), the same in a gated room (`gated`), or a clap of several hands (`clap`)."""
    time = _time(0.42, sample_rate)
    noise = _noise(rng, 2, len(time))
    top = 5200 + 4200 * character.brightness
    if character.snare == "clap":
        burst = sum(np.where(time >= at, np.exp(-(time - at) / 0.007), 0) for at in (0.0, 0.0105, 0.0215))
        tail = np.where(time >= 0.029, np.exp(-(time - 0.029) / 0.085), 0)
        return _finish(_band(noise, 750, top, sample_rate) * (burst + 0.8 * tail), sample_rate)
    tone = rng.uniform(178, 192)
    body = np.sin(2 * np.pi * (tone * time + 1.1 * (1 - np.exp(-time / 0.012)))) * np.exp(-time / 0.055)
    body += 0.5 * np.sin(2 * np.pi * 1.78 * tone * time) * np.exp(-time / 0.04)
    wires = _band(noise, 1100, top, sample_rate) * np.exp(-time / 0.075)
    sound = np.tanh((1.2 + 4 * character.drive) * (0.9 * body + 0.8 * wires))
    if character.snare == "gated":
        # The room of 1981: loud, dense, and cut off before it has decayed.
        gate = 1 / (1 + np.exp((time - rng.uniform(0.20, 0.22)) / 0.008))
        room = _band(_noise(rng, 2, len(time)), 350, 5200, sample_rate) * gate * np.minimum(1, time / 0.012)
        sound = sound + 0.42 * room * np.exp(-time / 0.35)
    return _finish(sound, sample_rate)


def tom(character: Character, kind: str, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """A falling sine with a stick of noise, `high`, `mid` or `low`, in a short gated room."""
    time = _time(0.45, sample_rate)
    tone = {"high": 168.0, "mid": 122.0, "low": 86.0}[kind] * rng.uniform(0.98, 1.02)
    sweep = tone * (1 + 0.9 * np.exp(-time / 0.035))
    body = _cycles(sweep, sample_rate) * np.exp(-time / 0.13)
    stick = _band(_noise(rng, len(time)), 900, 3000 + 4000 * character.brightness, sample_rate)
    sound = np.tanh((1.2 + 4 * character.drive) * (body + 0.35 * stick * np.exp(-time / 0.012)))
    gate = 1 / (1 + np.exp((time - 0.24) / 0.01))
    room = _band(_noise(rng, 2, len(time)), 250, 3000, sample_rate) * gate * np.exp(-time / 0.3)
    return _finish(sound + 0.16 * np.minimum(1, time / 0.01) * room, sample_rate)


def hat(character: Character, kind: str, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Six detuned squares, ring-modulated and mixed with noise, above 6 kHz; `open` rings on, `closed` does not."""
    rate = sample_rate * OVERSAMPLING
    time = _time(0.34 if kind == "open" else 0.09, rate)
    ratios = np.array([2.0, 3.0, 4.16, 5.43, 6.79, 8.21]) * rng.uniform(0.97, 1.03, 6)
    squares = np.sign(np.sin(2 * np.pi * 263 * ratios[:, None] * time + rng.uniform(0, 6, (6, 1))))
    ring = squares[:3].sum(axis=0) * squares[3:].sum(axis=0) / 6
    noise = _noise(rng, 2, len(time))
    decay = rng.uniform(0.10, 0.13) if kind == "open" else rng.uniform(0.014, 0.024)
    sound = (0.55 * ring + 0.8 * noise) * np.exp(-time / decay)
    sound = _band(sound, 5500 + 2000 * character.brightness, 11_000 + 7000 * character.brightness, rate)
    return _finish(_decimate(sound), sample_rate)


def metal(character: Character, kind: str, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Struck metal: bending modes of a bar (`anvil`), a tube (`pipe`) or a sheet (`plate`), rung, modulated, driven.

    At the plain sample rate: what folds back is one more partial among many that fit nothing.
    """
    base, ratios, decay_s = {
        # Ratios of a free bar and a tube after Fletcher & Rossing, The Physics of Musical Instruments, ch. 2 and 3.
        "anvil": (rng.uniform(480, 620), np.array([1.0, 2.756, 5.404, 8.933, 13.34]), 0.11),
        "pipe": (rng.uniform(190, 260), np.array([1.0, 2.756, 3.9, 5.404, 7.6, 8.933]), 0.30),
        "plate": (rng.uniform(120, 170), np.sort(rng.uniform(1, 16, 14)), 0.42),
    }[kind]
    time = _time(min(1.4, 5 * decay_s), sample_rate)
    sound = np.zeros((2, len(time)), np.float32)
    for number, ratio in enumerate(ratios):
        frequency = base * ratio * rng.uniform(0.985, 1.015)
        # The modes sit elsewhere in each ear: struck metal is wide.
        apart, phase = rng.uniform(0.0005, 0.003), rng.uniform(0, 6)
        if frequency < 0.4 * sample_rate:
            fade_s = decay_s / (1 + 0.35 * number)
            heard = time[: round(7 * fade_s * sample_rate)]
            ears = np.array([[1.0], [1.0 + apart]]) * (2 * np.pi * frequency)
            envelope = np.exp(heard * np.float32(-1 / fade_s)) / np.float32(1 + 0.25 * number)
            sound[:, : len(heard)] += np.sin(ears.astype(np.float32) * heard + np.float32(phase)) * envelope
    bend = np.float32(2.5) * np.exp(-time / np.float32(0.05)) * sound[0]
    carrier = np.sin(np.float32(2 * np.pi * base * rng.uniform(1.3, 3.7)) * time + bend)
    sound *= np.float32(0.55) + np.float32(0.45) * carrier
    attack = round(0.05 * sample_rate)
    clank = _band(_noise(rng, 2, attack), 1800, 9000, sample_rate) * np.exp(-time[:attack] / 0.006)
    sound *= np.float32(0.5 + 1.5 * character.drive)
    sound[:, :attack] += (0.9 * clank).astype(np.float32)
    sound = np.tanh(sound)
    return _finish(_band(sound, 160, 12_000, sample_rate), sample_rate)


def boom(character: Character, tone_hz: float, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """An impact: a tone that falls to `tone_hz`, and a crash of noise over it."""
    time = _time(2.6, sample_rate)
    sweep = tone_hz * (1 + 2.2 * np.exp(-time / 0.09))
    low = np.tanh(2.2 * _cycles(sweep, sample_rate) * np.exp(-time / 0.6))
    crash = _band(_noise(rng, 2, len(time)), 250, 6000 + 6000 * character.brightness, sample_rate)
    crash *= 0.55 * np.exp(-time / 0.45) + 0.45 * np.exp(-time / 0.05)
    return _finish(0.8 * low + 0.6 * crash, sample_rate, attack_s=0.002)


def _time(length_s: float, sample_rate: int) -> np.ndarray:
    return (np.arange(round(length_s * sample_rate)) / sample_rate).astype(np.float32)


def _noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _cycles(hz: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the sine whose frequency runs through `hz`; its phase is summed in double precision."""
    return np.sin((2 * np.pi / sample_rate * np.cumsum(hz, dtype=np.float64) % (2 * np.pi)).astype(np.float32))


def _band(audio: np.ndarray, low_hz: float, high_hz: float, sample_rate: int) -> np.ndarray:
    sections = butter(2, (low_hz, min(high_hz, 0.49 * sample_rate)), "bandpass", sample_rate)
    return signal.sosfilt(sections, audio.astype(np.float64)).astype(np.float32)


def _decimate(audio: np.ndarray) -> np.ndarray:
    return signal.resample_poly(audio, 1, OVERSAMPLING, axis=-1)


def _finish(audio: np.ndarray, sample_rate: int, attack_s: float = 0.0003) -> np.ndarray:
    """Make it stereo, take clicks off both ends, and bring its peak to 1."""
    audio = np.array(np.broadcast_to(np.atleast_2d(audio), (2, audio.shape[-1])))
    attack, release = max(2, round(attack_s * sample_rate)), max(2, round(0.01 * sample_rate))
    audio[:, :attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    audio[:, -release:] *= np.linspace(1, 0, release, dtype=np.float32)
    return audio / (np.abs(audio).max() + np.float32(1e-9))
