"""Oscillators that cost little: filtered wavetables, chords as spectra, noise in bands. Pure functions of arrays.

All sound here is float32; one dimension is one channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from handlers.stems.instrument.bus import ramp

SIZE = 2048
"""Samples of one cycle."""
CUTOFFS = np.geomspace(0.7, 160.0, 40)
"""Cutoffs of the tables, in multiples of the fundamental."""


@dataclass(frozen=True)
class Bank:
    """One cycle of a wave, seen through a resonant low-pass at every cutoff: ``(cutoffs, SIZE + 1)``, peak near 1."""

    tables: np.ndarray


@lru_cache(maxsize=64)
def filtered_wave(shape: str, resonance: float, harmonics: int) -> Bank:
    """Build the tables of a saw, square or pulse, up to `harmonics`, so that no table aliases below its Nyquist.

    The filter is a cascade of two two-pole low-passes, the first with the given Q, evaluated on the harmonics: the
    static response of a 24 dB/octave resonant filter without its cost for each sample.
    """
    number = np.arange(1, harmonics + 1)
    amplitudes = {
        "saw": 1.0 / number,
        "square": (number % 2) / number,
        "pulse": np.abs(np.sin(np.pi * number * 0.22)) / number,
    }[shape]
    ratio = number[None, :] / CUTOFFS[:, None]
    first = 1.0 / (1.0 - ratio**2 + 1j * ratio / resonance)
    second = 1.0 / (1.0 - ratio**2 + 1j * ratio / 0.7)
    spectrum = np.zeros((len(CUTOFFS), SIZE // 2 + 1), np.complex128)
    spectrum[:, 1 : harmonics + 1] = -0.5j * SIZE * amplitudes * first * second * (2 / np.pi)
    tables = np.fft.irfft(spectrum, SIZE)
    return Bank(np.concatenate([tables, tables[:, :1]], axis=1).astype(np.float32))


def play(bank: Bank, phase: np.ndarray, cutoff: np.ndarray) -> np.ndarray:
    """Read a bank.

    Parameters
    ----------
    bank
        From :func:`filtered_wave`.
    phase
        Cycles, any number; shape ``(samples,)``.
    cutoff
        In multiples of the fundamental, clipped to the bank's range; the same shape.
    """
    row = np.log(cutoff * np.float32(1 / CUTOFFS[0])) * np.float32(
        (len(CUTOFFS) - 1) / math.log(CUTOFFS[-1] / CUTOFFS[0])
    )
    row = np.clip(row, 0, np.float32(len(CUTOFFS) - 1.001))
    column = (phase - np.floor(phase)).astype(np.float32, copy=False) * np.float32(SIZE)
    low, left = row.astype(np.intp), np.minimum(column.astype(np.intp), SIZE - 1)
    row -= low
    column -= left
    flat, index = bank.tables.ravel(), low * (SIZE + 1) + left
    lower, upper = (_between(flat.take(index + at), flat.take(index + at + 1), column) for at in (0, SIZE + 1))
    return _between(lower, upper, row)


def _between(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The line from `one` to `other`; `other` is written over."""
    other -= one
    other *= share
    other += one
    return other


def chord_table(
    frequencies: list[float],
    rng: np.random.Generator,
    *,
    size: int,
    sample_rate: int,
    slope: float,
    cents: float,
    top_hz: float,
) -> np.ndarray:
    """Return an endless, seamless loop of a chord, by inverse FFT of spread harmonics with random phases.

    Parameters
    ----------
    frequencies
        Fundamentals in Hz.
    rng
        Draws the phases, others for each channel.
    size
        Samples of the loop, a power of two.
    sample_rate
        Hz.
    slope
        Harmonic `n` has amplitude ``n ** -slope``.
    cents
        Width of each harmonic's band: how many players there seem to be.
    top_hz
        Harmonics fade out towards it, and above it there are none.

    Returns
    -------
    loop
        ``(2, size)``, each channel at an rms of 1.

    References
    ----------
    Paul Nasca, PADsynth algorithm, 2005.
    """
    spread = 2 ** (cents / 1200) - 1
    used = min(size // 2, int(top_hz * (1 + 4 * spread) * size / sample_rate) + 8)
    spectrum = np.zeros(used, np.float32)
    for fundamental in frequencies:
        for number in range(1, int(top_hz / fundamental) + 1):
            centre = fundamental * number * size / sample_rate
            width = max(1.0, centre * spread)
            first, last = max(1, int(centre - 3 * width)), min(used, int(centre + 3 * width) + 1)
            distance = (np.arange(first, last, dtype=np.float32) - np.float32(centre)) / np.float32(width)
            level = number**-slope / width**0.5 * (1 - (fundamental * number / top_hz) ** 4)
            spectrum[first:last] += np.float32(level) * np.exp(-distance * distance)
    phases = rng.random((2, used), dtype=np.float32) * np.float32(2 * np.pi)
    bins = np.zeros((2, size // 2 + 1), np.complex64)
    bins.real[:, :used] = spectrum * np.cos(phases)
    bins.imag[:, :used] = spectrum * np.sin(phases)
    loop = fft.irfft(bins, size)
    return loop / np.sqrt(np.mean(loop**2, axis=1, keepdims=True))


def read_loop(loop: np.ndarray, offset: int, samples: int) -> np.ndarray:
    """Return `samples` of an endless loop, ``(channels, size)``, from `offset` on."""
    size = loop.shape[1]
    offset %= size
    if offset + samples <= size:
        return loop[:, offset : offset + samples]
    rounds = -(-(offset + samples) // size)
    return np.concatenate(
        [loop[:, offset:], *[loop] * (rounds - 2), loop[:, : offset + samples - (rounds - 1) * size]], axis=1
    )


@dataclass(frozen=True)
class NoiseBands:
    """Endless stereo noise cut into bands: ``(bands, 2, samples)``, each at an rms of 1; centres in Hz."""

    loops: np.ndarray
    centres_hz: np.ndarray

    def swept(self, knots_hz: np.ndarray, every: int, samples: int, width_octaves: float, offset: int) -> np.ndarray:
        """Return ``(2, samples)`` of noise whose centre runs through `knots_hz`, read from the loops at `offset`.

        The knots lie `every` samples apart, from the first sample to the last or beyond.
        """
        octaves = np.log2(knots_hz)
        output = np.zeros((2, samples), np.float32)
        for loop, centre in zip(self.loops, np.log2(self.centres_hz), strict=True):
            weight = np.exp(-(((octaves - centre) / width_octaves) ** 2))
            if weight.max() > 0.02:
                output += ramp(weight, every, 0, samples) * read_loop(loop, offset, samples)
        return output


def noise_bands(rng: np.random.Generator, sample_rate: int, size: int = 1 << 17) -> NoiseBands:
    """Cut white noise into ten bands, one octave each, with raised-cosine edges, by FFT."""
    centres = 31.25 * 2.0 ** np.arange(0, 10)
    bins = np.log2(np.maximum(fft.rfftfreq(size, 1 / sample_rate), 1.0))
    spectrum = fft.rfft(rng.standard_normal((2, size), dtype=np.float32))
    distance = np.clip(np.abs(bins - np.log2(centres)[:, None]), 0, 1)
    masks = (0.5 + 0.5 * np.cos(np.pi * distance)).astype(np.float32)
    loops = fft.irfft(spectrum[None] * masks[:, None], size)
    loops /= np.sqrt(np.mean(loops**2, axis=(1, 2), keepdims=True))
    return NoiseBands(loops.astype(np.float32), centres)
