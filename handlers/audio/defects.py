"""What can be wrong with generated audio, as numbers: gaps, DC, flat tops, drift.

Audio is float32 ``(channels, samples)``, full scale ±1. Limits are not set here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handlers.audio.loudness import decibels

GAP_DBFS = -60.0
GAP_WINDOW_S = 0.01
FLAT_RUN = 4
"""So many equal samples at the file's own peak are a flat top; a 20 Hz sine in 24 bits holds its peak for two."""
FLAT_STEP = 1e-6
"""Samples this close count as equal: what a gain in float32 leaves between them."""
FLAT_LEVEL = 0.98
"""Share of the channel's peak from which a run counts: clipping happens at one level, the highest."""

FRAME = 4096
MOMENT = 4
"""Frames of one moment: 370 ms at 44.1 kHz, about EBU R 128's momentary 400."""
LOUD_PERCENTILE = 99.0
"""How loud a third is when all of it plays, whatever share of the time that is."""
BANDS_HZ = (40.0, 160.0, 640.0, 2560.0, 10_240.0)
BAND_PERCENTILE = 90.0
HEARD_DB = 30.0
"""A band this far under the loudest is not heard to change."""
DRIFT_LEAST_S = 8.0
"""In less, a third is hardly a bar, and a bar of rest would pass for a trend."""


@dataclass(frozen=True)
class Drift:
    """By how many LU audio gets louder or softer from its first to its last third; 0 or more."""

    loudest_lu: float
    """Change of the loudest moments (K-weighted): quiet intros and breaks do not count, as long as something loud comes
    in both thirds."""
    shared_lu: float
    """Change that every band of two octaves has at least, all in one direction, else 0: parts that enter or leave
    change some bands, a volume that drifts takes all of them along."""


def measure_gap(audio: np.ndarray, sample_rate: int) -> float:
    """Return the longest stretch in seconds whose level (RMS of 10 ms, all channels) is under -60 dBFS."""
    window = max(1, round(GAP_WINDOW_S * sample_rate))
    energy = _energies(audio, window)
    quiet = np.concatenate([[False], energy < 10 ** (GAP_DBFS / 10), [False]])
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs.max() * window / sample_rate) if len(runs) else 0.0


def measure_dc(audio: np.ndarray) -> float:
    """Return the mean of the worst channel in dB below full scale; minus infinity for none."""
    return decibels(float(np.abs(audio.mean(axis=1, dtype=np.float64)).max()))


def count_flat_tops(audio: np.ndarray) -> int:
    """Return how many runs of equal samples lie at a channel's peak: what clipping leaves.

    It shows only before a resampling, a stretch or a lossy encoder rounds the edges.
    """
    runs = 0
    for channel in audio:
        peak = float(np.abs(channel).max(initial=0.0))
        high = np.flatnonzero(np.abs(channel) >= FLAT_LEVEL * peak)
        if peak == 0.0 or len(high) < FLAT_RUN:
            continue
        values = channel[high]
        goes_on = (np.diff(high) == 1) & (np.abs(np.diff(values)) <= FLAT_STEP * peak)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], goes_on, [False]]).astype(np.int8)))
        runs += int(np.count_nonzero(edges[1::2] - edges[::2] >= FLAT_RUN - 1))
    return runs


def measure_drift(audio: np.ndarray, sample_rate: int) -> Drift | None:
    """Return how the level changes from the first to the last third; `None` under 8 s, or where a third is silent."""
    if audio.shape[1] < DRIFT_LEAST_S * sample_rate:
        return None
    frames = audio.shape[1] // FRAME
    hertz = np.fft.rfftfreq(FRAME, 1 / sample_rate)
    edges = np.searchsorted(hertz, [edge for edge in BANDS_HZ if edge < sample_rate / 2])
    window, weights = np.hanning(FRAME).astype(np.float32), _k_weights(hertz)
    bands, weighted = np.zeros((frames, len(edges) - 1)), np.zeros(frames)
    # In handfuls that stay in the processor's cache.
    for start in range(0, frames, 64):
        part = slice(start, min(frames, start + 64))
        for channel in audio[:, start * FRAME : part.stop * FRAME]:
            spectra = np.fft.rfft(channel.reshape(-1, FRAME) * window, axis=1)
            power = spectra.real**2 + spectra.imag**2
            bands[part] += np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
            weighted[part] += power @ weights
    third = frames // 3
    moments = np.convolve(weighted, np.ones(MOMENT), "valid")
    loudest = [np.percentile(part, LOUD_PERCENTILE) for part in (moments[: third - MOMENT + 1], moments[-third:])]
    if min(loudest) <= 0:
        return None
    first, last = (np.percentile(part, BAND_PERCENTILE, axis=0) for part in (bands[:third], bands[-third:]))
    highest = np.maximum(first, last)
    heard, floor = highest > highest.max() * 10 ** (-HEARD_DB / 10), highest.max() * 1e-9
    change = 10 * np.log10((last[heard] + floor) / (first[heard] + floor))
    one_way = (change > 0).all() or (change < 0).all()
    return Drift(float(abs(10 * np.log10(loudest[1] / loudest[0]))), float(np.abs(change).min()) if one_way else 0.0)


def _k_weights(hertz: np.ndarray) -> np.ndarray:
    """Power response of the K weighting at some frequencies: BS.1770's two filters, given for 48 kHz."""
    rate = 48_000
    shelf = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
    high_pass = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])
    z = np.exp(-2j * np.pi * np.minimum(hertz, rate / 2) / rate)
    response = np.ones(len(hertz), complex)
    for above, below in (shelf, high_pass):
        response *= np.polynomial.polynomial.polyval(z, above) / np.polynomial.polynomial.polyval(z, below)
    return np.abs(response) ** 2


def measure_energy(audio: np.ndarray, slices: int = 64) -> list[float]:
    """Return the level of so many equal slices in dBFS, -120 at least: a picture of the arrangement in a line."""
    width = max(1, -(-audio.shape[1] // slices))
    return [round(max(-120.0, 10 * float(np.log10(value + 1e-30))), 1) for value in _energies(audio, width)]


def _energies(audio: np.ndarray, window: int) -> np.ndarray:
    """Mean square of each whole or begun window, over all channels."""
    starts = np.arange(0, audio.shape[1], window)
    widths = np.minimum(window, audio.shape[1] - starts)
    total = np.zeros(len(starts))
    for channel in audio:
        total += np.add.reduceat(np.square(channel, dtype=np.float32), starts, dtype=np.float64)
    return total / (widths * len(audio))
