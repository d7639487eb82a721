"""Hiss: the highs of a moment as noise without tones, and softly under it the recording that it comes from.

The noise has the recording's colour above its band's lower end, and is a little stronger where the recording's pitch
classes lie: bands a semitone wide up there are too wide to be heard as tones. Below lies the moment itself, frozen, a
caricature of its recording, as loud as hiss can bear.

Audio is float32 ``(channels, samples)``, full scale ±1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

from handlers.textures.features import CANCELS
from handlers.textures.freeze import LOWEST_HZ, draw_phases, high_pass, low_pass, ripple, spectra_of
from handlers.textures.portrait import Portrait

SMOOTH_HZ = 250.0
"""Over which the colour of hiss is smoothed: no tone is left in it."""
OVER_DB = -11.0
"""Level of the noise above its band: a soft slope keeps it flat."""
STEPS = ((1.0, -26.0), (1.0, -22.0), (0.8, -20.0), (0.6, -17.0), (0.4, -14.0), (0.2, -12.0))
"""Share of its colour, and level below its band, from which on noise is tried for flatness: less noise below leaves
room for the tones."""
UNDER_SHARE = 0.23
"""Share of the recording's own tones under its hiss, by energy: a quarter may lie below 4 kHz."""
SPLIT_HZ = 4000.0
FLAT_ALL, FLAT_BAND, FLAT_TO_HZ = 0.135, 0.18, 16_000.0
"""Flatness that is aimed at, a little over what is asked for."""
FLAT_HZ = 50.0
"""In steps of which it is looked at."""
NOISE_FLATNESS = 0.56
"""Of white noise: the mean of the logarithm of an exponential distribution."""
PITCHED, MOST_PITCHED_DB = 3.0, 6.0
"""How far pitch classes stand out in the noise, beside the recording."""
OWN = 0.5
"""How much of the noise's colour is the moment's, the rest the recording's."""
FAINT_DB = -75.0
"""A band this far under the whole holds nothing of the recording but its rounding."""
MOST_OCTAVES = 4


@dataclass(frozen=True)
class Band:
    """Where hiss lies, in Hz."""

    low_hz: float
    high_hz: float


def freeze_hiss(
    moment: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    band: Band,
    portrait: Portrait,
    tilt_db: float = 0.0,
    distance: int = 0,
    under_share: float = UNDER_SHARE,
) -> tuple[np.ndarray, int]:
    """Let the highs of a moment stand as noise, with its colour but without its tones.

    Parameters
    ----------
    band
        Above it the level is `OVER_DB`; below there are the moment's own tones.
    portrait
        Of the recording.
    tilt_db
        Added from the band's lower to its upper end, so that hisses of one place differ.
    distance
        From the recording's colour, 0 to ``len(STEPS) - 1``: the further, the flatter.
    under_share
        Of the moment's own tones, by energy.

    Returns
    -------
    hiss, octaves
        The loop, and by how many octaves the moment was raised, because it held nothing up there.
    """
    spectra, octaves = _raise(moment, length, sample_rate, band)
    bin_hz = sample_rate / length
    hertz = np.arange(spectra.shape[1], dtype=np.float32) * np.float32(bin_hz)
    inside = (hertz >= band.low_hz) & (hertz <= band.high_hz)
    spectra += np.complex64(1e-12)
    power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
    mean = float(power[inside].mean())
    width = max(3, round(SMOOTH_HZ / bin_hz))
    own_db = uniform_filter1d(10 * np.log10(power + mean * 1e-8 + 1e-30), width, mode="nearest")
    # Tones stick out of their surroundings: no bin is left further from them than noise would be. What was raised by
    # octaves was tones only.
    size, around, most = np.sqrt(power) + np.float32(1e-12), 10 ** (own_db / 20), 1 if octaves or distance > 1 else 2
    spectra *= np.clip(size, around / most, around * most) / size
    if distance > 1:
        # What the channels cancel together leaves holes in one loudspeaker: they go apart.
        for channel in spectra[1:]:
            channel *= draw_phases(len(hertz), rng)
    shape_db = own_db - float(own_db[inside].mean())
    if not octaves:
        whole_db = 20 * np.log10(portrait.spread(portrait.broad_db(), len(hertz), bin_hz))
        shape_db = OWN * shape_db + (1 - OWN) * (whole_db - float(whole_db[inside].mean()))
    place = np.clip((hertz - band.low_hz) / (band.high_hz - band.low_hz), 0, 1)
    shape_db = np.clip(shape_db, np.where(inside, -12, -3), np.where(inside, 10, 3)) + tilt_db * (place - 0.5)
    edge_db = 20 * np.log10(high_pass(band.low_hz)(hertz) * low_pass(band.high_hz, 6)(hertz) + 1e-9)
    heard = _hear(spectra)
    for share, under_db in STEPS[min(distance, len(STEPS) - 1) :]:
        noise_db = share * shape_db
        noise_db += np.maximum(edge_db, np.where(hertz < band.low_hz, under_db, OVER_DB))
        noise_db += (share if octaves else 1.0) * _pitch(heard * 10 ** ((noise_db - own_db) / 20), hertz, portrait)
        if _is_flat(heard * 10 ** ((noise_db - own_db) / 20), bin_hz):
            break
    gain = 10 ** ((noise_db - own_db) / 20)
    gain[hertz < LOWEST_HZ * 4] = 0
    waves = ripple(rng)(hertz).astype(np.float32)
    spectra *= gain.astype(np.float32) * waves
    # Phases of its own: noise and tones of the same bins would add up.
    under = draw_under(moment, length, sample_rate, portrait, band.low_hz) * (waves * draw_phases(len(hertz), rng))
    spectra += under * share_gain(under, spectra, round(SPLIT_HZ / bin_hz), under_share)
    return fft.irfft(spectra * draw_phases(len(hertz), rng), n=length, axis=1), octaves


def _pitch(noise: np.ndarray, hertz: np.ndarray, portrait: Portrait) -> np.ndarray:
    """Return gains in dB by which the noise's pitch classes stand out as those of the recording do.

    A band of noise is no octave: some classes lie in it twice, and high ones are wider.
    """
    split = round(SPLIT_HZ / float(hertz[1]))
    nearest = np.round(12 * np.log2(hertz[split:] / 440)).astype(int) % 12
    # Octaves count the same, as they do to the ear.
    own = np.bincount(nearest, noise[split:] / hertz[split:], 12)
    own_db = 20 * np.log10(own / max(float(own.max()), 1e-20) + 1e-3)
    gains_db = np.clip(PITCHED * portrait.classes_db - (own_db - own_db.mean()), -MOST_PITCHED_DB, MOST_PITCHED_DB)
    places = 12 * np.log2(np.maximum(hertz, 20.0) / 440) % 12
    return np.interp(places, np.arange(13), np.append(gains_db, gains_db[0]))


def _is_flat(noise: np.ndarray, bin_hz: float) -> bool:
    """Whether noise of those sizes is flat enough to be hiss, with tones under it."""
    width = max(1, round(FLAT_HZ / bin_hz))
    power = (noise[: len(noise) // width * width] ** 2).reshape(-1, width).mean(axis=1) + 1e-30
    hertz = np.arange(len(power)) * width * bin_hz
    band = power[(hertz >= SPLIT_HZ) & (hertz <= FLAT_TO_HZ)]
    of_all, of_band = (NOISE_FLATNESS * np.exp(np.log(part).mean()) / part.mean() for part in (power, band))
    return of_all * (1 - UNDER_SHARE) >= FLAT_ALL and of_band >= FLAT_BAND


def draw_under(moment: np.ndarray, length: int, sample_rate: int, portrait: Portrait, top_hz: float) -> np.ndarray:
    """Return spectra ``(channels, length // 2 + 1)`` of the moment below a frequency, a caricature of its recording."""
    under, bin_hz = spectra_of(moment, length, 1.0), sample_rate / length
    hertz = np.arange(under.shape[1], dtype=np.float32) * np.float32(bin_hz)
    under[:, hertz < LOWEST_HZ * 1.5] = 0
    under *= portrait.caricature(under, bin_hz)
    under *= low_pass(0.85 * top_hz, 8)(hertz).astype(np.float32)
    return under


def _hear(spectra: np.ndarray) -> np.ndarray:
    """Sizes ``(bins,)`` of what one loudspeaker would play: the channels' mean; where they cancel, the first."""
    middle = spectra.mean(axis=0)
    if np.vdot(middle, middle).real < CANCELS * np.vdot(spectra[0], spectra[0]).real:
        middle = spectra[0]
    return np.abs(middle)


def share_gain(under: np.ndarray, over: np.ndarray, split: int, share: float) -> np.float32:
    """Return the gain of `under` that brings all below bin `split` to a share of the whole, heard from any side.

    Both are spectra ``(channels, bins)``. Tones are mostly alike in both channels where noise is not, so the channels'
    mean may hold more of them than each.
    """
    sides = [(under, over)]
    middle = over.mean(axis=0, keepdims=True)
    if len(over) * _energy(middle) > CANCELS * _energy(over):
        sides.append((under.mean(axis=0, keepdims=True), middle))
    rooms = [share / (1 - share) * _energy(high[:, split:]) - _energy(high[:, :split]) for _, high in sides]
    gains = [max(room, 0.0) / max(_energy(low), 1e-30) for room, (low, _) in zip(rooms, sides, strict=True)]
    return np.float32(np.sqrt(min(gains)))


def _energy(spectra: np.ndarray) -> float:
    return float(np.sum(spectra.real**2 + spectra.imag**2, dtype=np.float64))


def _raise(moment: np.ndarray, length: int, sample_rate: int, band: Band) -> tuple[np.ndarray, int]:
    """Spectra of the moment, by as many octaves up as it takes to fill the band."""
    for octaves in range(MOST_OCTAVES + 1):
        spectra = spectra_of(moment, length, 2.0**octaves)
        power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
        hertz = np.arange(spectra.shape[1], dtype=np.float32) * np.float32(sample_rate / length)
        mean = float(power[(hertz >= band.low_hz) & (hertz <= band.high_hz)].mean())
        if mean > max(float(power[hertz > LOWEST_HZ].mean()) * 10 ** (FAINT_DB / 10), 1e-18):
            break
    return spectra, octaves
