"""What can be wrong with generated audio, as numbers: gaps, DC, flat tops, drift.

Audio is float32 ``(channels, samples)``, full scale ±1. Limits are not set here.
"""

from __future__ import annotations

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

BANDS_HZ = (40.0, 160.0, 640.0, 2560.0, 10_240.0)
FRAME = 4096
FULL_PERCENTILE = 90.0
"""How loud a band is when it plays, whatever share of the time that is."""
HEARD_DB = 30.0
"""A band this far under the loudest is not heard to change."""
DRIFT_LEAST_S = 6.0
"""Thirds shorter than two seconds say nothing of a trend."""


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


def measure_drift(audio: np.ndarray, sample_rate: int) -> float | None:
    """Return by how many LU the whole gets louder or softer between its first and last third.

    Arrangements rise and fall by parts that enter and leave; a volume that drifts takes every band with it. So the
    level that each band of two octaves has when it plays (the 90th percentile of 4,096 samples) is compared, and
    what *all* bands share is the drift: the smallest change, if all go one way, else 0. Within a band, dB are LU.

    Returns
    -------
    drift_lu
        0 or more; `None` for audio under 6 s, or silent in a third.
    """
    if audio.shape[1] < DRIFT_LEAST_S * sample_rate:
        return None
    frames = audio.shape[1] // FRAME
    hertz = np.fft.rfftfreq(FRAME, 1 / sample_rate)
    edges = np.searchsorted(hertz, [edge for edge in BANDS_HZ if edge < sample_rate / 2])
    window = np.hanning(FRAME).astype(np.float32)
    bands = np.zeros((frames, len(edges) - 1))
    # In handfuls that stay in the processor's cache.
    for start in range(0, frames, 64):
        block = audio[:, start * FRAME : min(frames, start + 64) * FRAME]
        for channel in block:
            spectra = np.fft.rfft(channel.reshape(-1, FRAME) * window, axis=1)
            power = spectra.real**2 + spectra.imag**2
            bands[start : start + len(power)] += np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    third = frames // 3
    first, last = (np.percentile(part, FULL_PERCENTILE, axis=0) for part in (bands[:third], bands[-third:]))
    loudest = np.maximum(first, last)
    heard = loudest > loudest.max() * 10 ** (-HEARD_DB / 10)
    if not loudest.max() > 0:
        return None
    floor = loudest.max() * 1e-9
    change = 10 * np.log10((last[heard] + floor) / (first[heard] + floor))
    return float(np.abs(change).min()) if (change > 0).all() or (change < 0).all() else 0.0


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
