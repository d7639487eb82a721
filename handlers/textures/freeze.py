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
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

Colour = Callable[[np.ndarray], np.ndarray]
"""From frequencies in Hz to gains."""
LOWEST_HZ = 25.0
"""Below nothing is heard, but room for peaks is lost."""
MOST_GAIN_DB = 12.0
"""By which a level is evened at most."""
STEP_S = 0.01
SMOOTH_HZ = 250.0
"""Over which the colour of hiss is smoothed: no tone is left in it."""
OUTSIDE_DB = -13.0
"""Level of hiss outside of its band: soft slopes, and a twentieth of its energy."""
GHOST = 0.12
"""Share of the recording's own tones under its hiss, by energy: one hears where it comes from."""
FAINT_DB = -75.0
"""A band this far under the whole holds nothing of the recording but its rounding."""
MOST_OCTAVES = 4


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


def tilt(db_per_octave: float) -> Colour:
    """Return a straight slope around 1 kHz, within 24 dB."""
    return lambda hertz: 10 ** (np.clip(db_per_octave * np.log2(np.maximum(hertz, 1) / 1000), -24, 24) / 20)


def freeze(
    moment: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
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
    colours
        Gains by frequency, of each version.
    shift
        Semitones up.
    tilt_db
        What is added to every octave above the one below.
    contrast
        Over 1, peaks of the spectrum stand out more.
    """
    spectra = _spectra(moment, length, 2 ** (shift / 12))
    hertz = np.arange(spectra.shape[1], dtype=np.float32) * np.float32(sample_rate / length)
    if contrast != 1.0:
        size = np.sqrt(np.mean(np.abs(spectra) ** 2, axis=0))
        spectra *= (size / max(float(size.max()), 1e-20)) ** np.float32(contrast - 1)
    if tilt_db:
        spectra *= tilt(tilt_db)(hertz).astype(np.float32)
    spectra *= _phases(spectra.shape[1], rng)
    spectra[:, hertz < LOWEST_HZ] = 0
    return [
        fft.irfft(spectra if colour is None else spectra * colour(hertz).astype(np.float32), n=length, axis=1)
        for colour in colours
    ]


def freeze_hiss(
    moment: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    low_hz: float,
    high_hz: float,
    tilt_db: float = 0.0,
    closeness: float = 1.0,
    ghost_share: float = GHOST,
) -> tuple[np.ndarray, int]:
    """Let the highs of a moment stand as noise, with its colour but without its tones.

    Parameters
    ----------
    low_hz, high_hz
        The band; outside of it the level is `OUTSIDE_DB`.
    tilt_db
        Added from the band's lower to its upper end, so that hisses of one place differ.
    closeness
        To the moment's own colour: 1 as it is, 0 flat.
    ghost_share
        Of the moment's own tones under the hiss, by energy.

    Returns
    -------
    hiss, octaves
        The loop, and by how many octaves the moment was raised, because it held nothing up there.
    """
    for octaves in range(MOST_OCTAVES + 1):
        spectra = _spectra(moment, length, 2.0**octaves)
        hertz = np.arange(spectra.shape[1], dtype=np.float32) * np.float32(sample_rate / length)
        power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
        inside = (hertz >= low_hz) & (hertz <= high_hz)
        mean = float(power[inside].mean())
        if mean > max(float(power[hertz > LOWEST_HZ].mean()) * 10 ** (FAINT_DB / 10), 1e-18):
            break
    width = max(3, round(SMOOTH_HZ * length / sample_rate))
    own_db = uniform_filter1d(10 * np.log10(power + mean * 1e-8 + 1e-30), width, mode="nearest")
    middle_db = float(own_db[inside].mean())
    # Tones stick out of their surroundings: no bin is left further from them than noise would be.
    spectra += np.complex64(1e-12)
    size, around = np.sqrt(power) + np.float32(1e-12), 10 ** (own_db / 20)
    spectra *= np.clip(size, around / 2, around * 2) / size
    place = np.clip((hertz - low_hz) / (high_hz - low_hz), 0, 1)
    shape_db = np.clip(
        closeness * (own_db - middle_db), np.where(inside, -12, -3), np.where(inside, 10, 3)
    ) + tilt_db * (place - 0.5)
    band = high_pass(low_hz)(hertz) * low_pass(high_hz, 6)(hertz)
    band_db = np.maximum(20 * np.log10(band + 1e-9), OUTSIDE_DB)
    gain = 10 ** ((shape_db + band_db - own_db) / 20)
    gain[hertz < LOWEST_HZ * 4] = 0
    phases = _phases(len(hertz), rng)
    spectra *= gain.astype(np.float32)
    ghost = _spectra(moment, length, 1.0)
    ghost[:, (hertz < LOWEST_HZ * 2) | (hertz > low_hz)] = 0
    energy = float(np.mean(np.abs(ghost) ** 2))
    spectra += ghost * np.float32(np.sqrt(ghost_share * float(np.mean(np.abs(spectra) ** 2)) / max(energy, 1e-30)))
    spectra *= phases
    return fft.irfft(spectra, n=length, axis=1), octaves


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


def _spectra(moment: np.ndarray, length: int, ratio: float) -> np.ndarray:
    """Spectra ``(channels, length // 2 + 1)`` of the moment raised by `ratio`; the highest bin is empty."""
    moment = moment[:, : min(length, round(length * ratio))]
    taper = np.hanning(moment.shape[1] + 2)[1:-1].astype(np.float32)
    mean = moment.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    bins = length // 2 + 1
    spectra = fft.rfft((moment - mean) * taper, n=max(2, round(length * ratio)), axis=1)[:, : bins - 1]
    return np.pad(spectra, ((0, 0), (0, bins - spectra.shape[1])))


def _phases(count: int, rng: np.random.Generator) -> np.ndarray:
    turns = rng.random(count, np.float32) * np.float32(2 * np.pi)
    return np.cos(turns) + np.complex64(1j) * np.sin(turns)
