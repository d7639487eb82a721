"""Buses: drive, side-chain, delay, room, and the master with its limiter. Pure functions on ``(2, samples)``, float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage, signal

BLOCK = 32
"""Samples between two values of the limiter's gain, 0.7 ms."""
_PIECE = 1 << 18
_REACH = 12
"""Samples to each side that a value between two samples is computed from."""


def join(knots: Sequence[float], values: Sequence[float], samples: int) -> np.ndarray:
    """Return the straight lines through `values` at the samples `knots`: float32, ``(samples,)``."""
    # In blocks: interpolation works in double precision, which over ten minutes would be 200 MB at a time.
    curve = np.empty(samples, np.float32)
    for start in range(0, samples, _PIECE):
        stop = min(samples, start + _PIECE)
        curve[start:stop] = np.interp(np.arange(start, stop), knots, values)
    return curve


def filtered(sections: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """Run second-order sections over the last axis; float32, with the state carried in double precision."""
    output = np.empty_like(audio)
    state = np.zeros((len(sections), *audio.shape[:-1], 2))
    for start in range(0, audio.shape[-1], _PIECE):
        piece = audio[..., start : start + _PIECE].astype(np.float64)
        output[..., start : start + _PIECE], state = signal.sosfilt(sections, piece, zi=state)
    return output


def drive(audio: np.ndarray, amount: float) -> np.ndarray:
    """Saturate in place: `amount` 0..1; quiet sound keeps its level, loud sound is rounded off near 1."""
    gain = np.float32(1.0 + 1.5 * amount)
    audio *= gain
    np.tanh(audio, out=audio)
    audio /= gain ** np.float32(0.6)
    return audio


def sidechain(starts: list[int], velocities: list[float], samples: int, depth: float, release: int) -> np.ndarray:
    """Return the gain, ``(samples,)``, that ducks under each kick by `depth` (0..1) and comes back in `release` samples."""
    gain = np.ones(samples, np.float32)
    shape = np.linspace(0, 1, release, dtype=np.float32)
    dip = (1 - shape**0.8) ** 1.5
    attack = 128
    for start, velocity in zip(starts, velocities, strict=True):
        duck = 1 - np.float32(depth * velocity) * dip
        stop = min(samples, start + release)
        if start < stop:
            gain[start:stop] = np.minimum(gain[start:stop], duck[: stop - start])
            before = max(0, start - attack)
            ramp = np.linspace(1, duck[0], start - before, dtype=np.float32)
            gain[before:start] = np.minimum(gain[before:start], ramp)
    return gain


def thin(audio: np.ndarray, low_end: np.ndarray, sample_rate: int) -> np.ndarray:
    """Take the low end away, in place, where `low_end`, ``(samples,)``, is under 1: the filter sweep of a build."""
    if low_end.min() > 0.999:
        return audio
    low = filtered(signal.butter(1, 170, fs=sample_rate, output="sos"), audio)
    low *= 1 - low_end
    audio -= low
    return audio


def echo(audio: np.ndarray, delay: int, feedback: float, taps: int = 5) -> np.ndarray:
    """Return the ping-pong echoes of `audio` alone: tap `n` comes `n` delays later, on the other side each time."""
    wet = np.zeros_like(audio)
    for tap in range(1, taps + 1):
        if tap * delay >= audio.shape[1]:
            break
        for side in range(2):
            source = audio[(side + tap) % 2, : -tap * delay]
            wet[side, tap * delay :] += np.float32(feedback**tap) * source
    return wet


def room_response(decay_s: float, brightness: float, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Draw a room: ``(2, samples)``, decaying by 60 dB in `decay_s`, highs faster than lows, both ears independent.

    Unit energy in each channel, so that `room` means the same in every room.
    """
    samples = round(min(1.15 * decay_s, decay_s + 0.5) * sample_rate)
    time = np.arange(samples) / sample_rate
    response = np.zeros((2, samples))
    for low_hz, high_hz, share in ((180, 700, 1.0), (700, 3000, 0.72), (3000, 9000, 0.25 + 0.4 * brightness)):
        band = signal.butter(1, (low_hz, high_hz), "bandpass", fs=sample_rate, output="sos")
        noise = signal.sosfilt(band, rng.standard_normal((2, samples)))
        response += noise * 10 ** (-3 * time / (decay_s * share))
    response *= np.minimum(1, time / 0.012)
    response *= np.minimum(1, (time[-1] - time) / 0.05)
    predelay = np.zeros((2, round(0.014 * sample_rate)))
    response = np.concatenate([predelay, response], axis=1)
    return (response / np.sqrt(np.sum(response**2, axis=1, keepdims=True))).astype(np.float32)


def reverberate(
    audio: np.ndarray, response: np.ndarray, pulse: Callable[[float], None], block: int = 1 << 20
) -> np.ndarray:
    """Convolve each channel with its own response, cut to the length of `audio`.

    Done in blocks, so that a long stem needs no more memory for it than a short one; `pulse` is called after each with
    the share done.
    """
    samples, tail = audio.shape[1], response.shape[1] - 1
    wet = np.zeros_like(audio)
    for start in range(0, samples, block):
        stop = min(samples, start + block + tail)
        wet[:, start:stop] += signal.oaconvolve(audio[:, start : start + block], response, axes=1)[:, : stop - start]
        pulse(min(1.0, (start + block) / samples))
    return wet


def clean(audio: np.ndarray, sample_rate: int, *, side_above_hz: float = 140.0, above_hz: float = 27.0) -> np.ndarray:
    """Take off what lies below hearing, and make the low end mono: the sides begin at `side_above_hz`."""
    mid = (audio[0] + audio[1]) * np.float32(0.5)
    side = (audio[0] - audio[1]) * np.float32(0.5)
    mid = filtered(_highpass(above_hz, sample_rate), mid)
    side = filtered(_highpass(side_above_hz, sample_rate), side)
    return np.stack([mid + side, mid - side])


def limiter_gain(
    audio: np.ndarray,
    ceiling: float,
    *,
    hold_s: float,
    sample_rate: int,
    pulse: Callable[[float], None] = lambda done: None,
) -> np.ndarray:
    """Return the gain, ``(samples,)``, that keeps the true peak of `audio` under `ceiling` (linear).

    Looks ahead, so that it turns down before the peak and never clips; the same gain for both channels, so that the
    image stands still. Between samples it sees what a four-times oversampling meter sees. `pulse` is called often with
    the share done.
    """
    samples = audio.shape[1]
    blocks = -(-samples // BLOCK)
    peaks = np.zeros(blocks, np.float32)
    for start in range(0, samples, _PIECE):
        found = _true_peaks(audio, start, min(samples, start + _PIECE), 0.7 * ceiling)
        found = np.pad(found, (0, -len(found) % BLOCK)).reshape(-1, BLOCK).max(axis=1)
        peaks[start // BLOCK : start // BLOCK + len(found)] = found
        pulse(start / samples)
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9)).astype(np.float32)
    # Half of what is needed comes slowly, as a hand on the fader; the rest quickly.
    hold = max(3, round(hold_s * sample_rate / BLOCK)) | 1
    slow = _smooth(np.sqrt(needed), hold)
    fast = _smooth(np.minimum(1.0, needed / slow), 7)
    return join((np.arange(blocks) + 0.5) * BLOCK, slow * fast, samples)


def _smooth(gain: np.ndarray, window: int) -> np.ndarray:
    """Lowest gain in reach, then smoothed over the same reach: never above what was asked for, and no corners."""
    lowest = ndimage.minimum_filter1d(gain, 2 * (window // 2) + 3, mode="nearest")
    return ndimage.uniform_filter1d(lowest, window, mode="nearest")


def _true_peaks(audio: np.ndarray, start: int, stop: int, floor: float) -> np.ndarray:
    """Return the peak at each sample ``start .. stop`` over both channels, and after it where it could pass `floor`."""
    before, after = min(start, _REACH), min(audio.shape[1] - stop, _REACH)
    around = np.pad(audio[:, start - before : stop + after], ((0, 0), (_REACH - before, _REACH - after)))
    level = np.abs(around).max(axis=0)
    peaks = level[_REACH:-_REACH].copy()
    candidates = np.flatnonzero(ndimage.maximum_filter1d(level, 3)[_REACH:-_REACH] > floor)
    if candidates.size:
        window = candidates[:, None] + np.arange(1, 2 * _REACH + 1)
        for channel in around:
            peaks[candidates] = np.maximum(peaks[candidates], np.abs(channel[window] @ _phases(_REACH)).max(axis=1))
    return peaks


def _phases(reach: int) -> np.ndarray:
    """Windowed-sinc taps for the quarter points between a sample and the next, ``(2 * reach, 3)``."""
    places = np.arange(-reach + 1, reach + 1)[:, None] - np.array([0.25, 0.5, 0.75])
    return (np.sinc(places) * np.cos(np.pi * places / (2 * reach + 1)) ** 2).astype(np.float32)


def _highpass(hz: float, sample_rate: int) -> np.ndarray:
    return signal.butter(2, hz, "highpass", fs=sample_rate, output="sos")
