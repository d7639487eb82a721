"""Freezing: a moment of sound made to stand for as long as wanted, as a loop without a seam.

The moment's spectrum is taken at once at the length wanted, and every bin's phase is drawn by lot. What comes back is
periodic in that length, so a loop meets itself wherever it is cut; no window is repeated, so nothing buzzes; hits are
spread over all of it. All channels turn by the same phases, which keeps the stereo picture. It is Paul Nasca's
"Paulstretch" carried to its end, with one window for all.

Audio is float32 ``(channels, samples)``, full scale ±1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from handlers.textures.portrait import Portrait

Colour = Callable[[np.ndarray], np.ndarray]
"""From frequencies in Hz to gains."""
LOWEST_HZ = 25.0
"""Below nothing is heard, but room for peaks is lost."""
MOST_GAIN_DB = 12.0
"""By which a level is evened at most."""
RIPPLE_DB = 1.2
STEP_S = 0.01


def low_pass(hz: float, order: int = 2) -> Colour:
    """Return a Butterworth's magnitude."""
    return lambda hertz: 1 / np.sqrt(1 + (hertz / hz) ** (2 * order))


def high_pass(hz: float, order: int = 4, floor: float = 0.0) -> Colour:
    """Return a Butterworth's magnitude, never under `floor`."""
    return lambda hertz: np.maximum(1 / np.sqrt(1 + (hz / np.maximum(hertz, hz / 100)) ** (2 * order)), floor)


def find_floor(moment: np.ndarray, sample_rate: int, hz: float, share: float) -> float:
    """Return the gain by which what lies below a frequency comes to that share of what lies above it, 0.004 to 1.

    A high-pass that ends there leaves the recording under its own air, where it is still heard to be itself.
    """
    power = np.abs(fft.rfft(moment[0] * np.hanning(moment.shape[1]).astype(np.float32))) ** 2
    split = round(hz * moment.shape[1] / sample_rate)
    low = power[round(LOWEST_HZ * 4 * moment.shape[1] / sample_rate) : split].sum(dtype=np.float64)
    return float(np.clip(np.sqrt(share * power[split:].sum(dtype=np.float64) / max(low, 1e-20)), 0.004, 1.0))


def shelf(hz: float, floor: float) -> Colour:
    """Return a low-pass that ends at a gain."""
    slope = low_pass(hz, 1)
    return lambda hertz: floor + (1 - floor) * slope(hertz)


def ripple(rng: np.random.Generator) -> Colour:
    """Return slow waves over the octaves, drawn by lot: two textures of one colour are then not one sound twice."""
    turns, phases = rng.uniform(1.2, 4.5, 2), rng.uniform(0, 2 * np.pi, 2)

    def waves(hertz: np.ndarray) -> np.ndarray:
        octaves = np.log2(np.maximum(hertz, 20.0))
        return 10 ** (
            RIPPLE_DB / 20 * sum(np.cos(turn * octaves + phase) for turn, phase in zip(turns, phases, strict=True))
        )

    return waves


def tilt(db_per_octave: float) -> Colour:
    """Return a straight slope around 1 kHz, within 24 dB."""
    return lambda hertz: 10 ** (np.clip(db_per_octave * np.log2(np.maximum(hertz, 1) / 1000), -24, 24) / 20)


def freeze(
    moment: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    portrait: Portrait,
    closeness: float,
    colours: tuple[Colour | None, ...] = (None,),
    shift: float = 0.0,
    tilt_db: float = 0.0,
    contrast: float = 1.0,
) -> list[np.ndarray]:
    """Let a moment stand, in one or more colours that share their phases.

    Parameters
    ----------
    moment
        What is frozen; beyond `length` it is not used.
    length
        Samples wanted.
    portrait, closeness
        Of the recording, and how far the moment is turned towards it, 0..1.
    colours
        Gains by frequency, of each version.
    shift
        Semitones up.
    tilt_db
        What is added to every octave above the one below.
    contrast
        Over 1, peaks of the spectrum stand out more.
    """
    spectra = spectra_of(moment, length, 2 ** (shift / 12))
    hertz = np.arange(spectra.shape[1], dtype=np.float32) * np.float32(sample_rate / length)
    if contrast != 1.0:
        size = np.sqrt(np.mean(np.abs(spectra) ** 2, axis=0))
        spectra *= (size / max(float(size.max()), 1e-20)) ** np.float32(contrast - 1)
    spectra[:, hertz < LOWEST_HZ] = 0
    spectra *= portrait.turn(spectra, sample_rate / length, closeness)
    spectra *= ripple(rng)(hertz).astype(np.float32)
    if tilt_db:
        spectra *= tilt(tilt_db)(hertz).astype(np.float32)
    spectra *= draw_phases(spectra.shape[1], rng)
    return [
        fft.irfft(spectra if colour is None else spectra * colour(hertz).astype(np.float32), n=length, axis=1)
        for colour in colours
    ]


def even(audio: np.ndarray, sample_rate: int, smooth_s: float) -> np.ndarray:
    """Hold the level of a loop still, around its seam too.

    Parameters
    ----------
    smooth_s
        What is faster than this stays as it is.
    """
    length = audio.shape[1]
    count = max(8, round(length / (STEP_S * sample_rate)))
    edges = np.linspace(0, length, count + 1).astype(np.int64)
    centres = (edges[1:] + edges[:-1]) / 2
    power = np.add.reduceat(np.einsum("cs,cs->s", audio, audio), edges[:-1]).astype(np.float64) / np.diff(edges)
    most, gains = 10 ** (MOST_GAIN_DB / 20), np.ones(count)
    for _ in range(3):
        smooth = gaussian_filter1d(power * gains**2, smooth_s / STEP_S / 2, mode="wrap")
        gains = np.clip(gains * np.sqrt(smooth.mean() / np.maximum(smooth, 1e-20)), 1 / most, most)
    return audio * np.interp(np.arange(length), centres, gains, period=length).astype(np.float32)


def follow(audio: np.ndarray, sample_rate: int, ring_s: float) -> np.ndarray:
    """Return the level of a sound, 0..1 ``(samples,)``: at once up, and down by a factor e in `ring_s`."""
    step = max(1, round(0.001 * sample_rate))
    count = -(-audio.shape[1] // step)
    padded = np.pad(audio, ((0, 0), (0, count * step - audio.shape[1])))
    level = np.sqrt((padded**2).mean(axis=0).reshape(count, step).mean(axis=1))
    fall, held = float(np.exp(-step / sample_rate / ring_s)), 0.0
    for number, now in enumerate(level):
        held = level[number] = max(float(now), held * fall)
    level /= max(float(level.max()), 1e-20)
    return np.interp(np.arange(audio.shape[1]), (np.arange(count) + 0.5) * step, level).astype(np.float32)


def spectra_of(moment: np.ndarray, length: int, ratio: float) -> np.ndarray:
    """Return the spectra ``(channels, length // 2 + 1)`` of the moment raised by `ratio`; the highest bin is empty."""
    moment = moment[:, : min(length, round(length * ratio))]
    taper = np.hanning(moment.shape[1] + 2)[1:-1].astype(np.float32)
    mean = moment.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    bins = length // 2 + 1
    spectra = fft.rfft((moment - mean) * taper, n=max(2, round(length * ratio)), axis=1)[:, : bins - 1]
    return np.pad(spectra, ((0, 0), (0, bins - spectra.shape[1])))


def draw_phases(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` complex numbers of size 1, their angles drawn by lot."""
    turns = rng.random(count, np.float32) * np.float32(2 * np.pi)
    return np.cos(turns) + np.complex64(1j) * np.sin(turns)
