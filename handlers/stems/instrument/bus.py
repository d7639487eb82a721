"""What buses run through: filters, drive, side-chain, echo, room. Float32 ``(2, samples)``, block after block.

What remembers the blocks before is a class with a `run`; what does not is a function.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import fft, signal

WARM_UP = 4096
"""Samples in which a filter at 170 Hz forgets whatever came before: 93 ms, a hundred of its time constants."""


def join(knots: Sequence[float], values: Sequence[float], start: int, stop: int) -> np.ndarray:
    """Return the straight lines through `values` at the samples `knots`, from `start` to `stop`: float32."""
    return np.interp(np.arange(start, stop), knots, values).astype(np.float32)


def ramp(values: np.ndarray, every: int, start: int, stop: int) -> np.ndarray:
    """Return the straight lines through `values`, which lie `every` samples apart from 0 on, from `start` to `stop`."""
    first = start // every
    values = np.asarray(values, np.float32)[first : -(-stop // every) + 1]
    place = np.arange(every, dtype=np.float32) / np.float32(every)
    lines = values[:-1, None] + np.diff(values)[:, None] * place
    return lines.ravel()[start - first * every : stop - first * every]


@lru_cache(maxsize=64)
def butter(order: int, hz: float | tuple[float, float], kind: str, sample_rate: int) -> np.ndarray:
    """Return a Butterworth filter's second-order sections; designing one costs more than running it over a hit."""
    return signal.butter(order, hz, kind, fs=sample_rate, output="sos")


class Filter:
    """Second-order sections over the last axis; the state is carried in double precision."""

    def __init__(self, sections: np.ndarray, channels: int) -> None:
        self.sections = sections
        self._state = np.zeros((len(sections), channels, 2))

    def run(self, audio: np.ndarray) -> np.ndarray:
        """Filter the next ``(channels, samples)``."""
        output, self._state = signal.sosfilt(self.sections, audio.astype(np.float64), zi=self._state)
        return output.astype(np.float32)


class Clean:
    """Takes off what lies below hearing, and makes the low end mono: the sides begin at `side_above_hz`."""

    def __init__(self, sample_rate: int, *, side_above_hz: float = 140.0, above_hz: float = 27.0) -> None:
        self._mid = Filter(butter(2, above_hz, "highpass", sample_rate), 1)
        self._side = Filter(butter(2, side_above_hz, "highpass", sample_rate), 1)

    def run(self, audio: np.ndarray) -> np.ndarray:
        """Clean the next ``(2, samples)``."""
        mid = self._mid.run((audio[:1] + audio[1:]) * np.float32(0.5))
        side = self._side.run((audio[:1] - audio[1:]) * np.float32(0.5))
        return np.concatenate([mid + side, mid - side])


class Thin:
    """Takes the low end away where it is told to: the filter sweep of a build."""

    def __init__(self, sample_rate: int) -> None:
        self._low = Filter(butter(1, 170.0, "lowpass", sample_rate), 2)

    def run(self, audio: np.ndarray, low_end: np.ndarray) -> np.ndarray:
        """Leave of the lows of ``(2, samples)`` the share `low_end`, ``(samples,)``, 0..1."""
        if low_end.min() > 0.999:
            self._low.run(audio[:, -WARM_UP:])
            return audio
        return audio - self._low.run(audio) * (1 - low_end)


def drive(audio: np.ndarray, amount: float) -> np.ndarray:
    """Saturate in place: `amount` 0..1; quiet sound keeps its level, loud sound is rounded off near 1."""
    gain = np.float32(1.0 + 1.5 * amount)
    audio *= gain
    np.tanh(audio, out=audio)
    audio /= gain ** np.float32(0.6)
    return audio


def sidechain(
    kicks: Sequence[tuple[int, float]], start: int, stop: int, depth: float, release: int, attack: int = 128
) -> np.ndarray:
    """Return the gain from sample `start` to `stop` that ducks under each kick.

    Parameters
    ----------
    kicks
        Sample and velocity of each, in order.
    start, stop
        Samples.
    depth
        0..1: how far down a kick of velocity 1 takes it.
    release, attack
        Samples in which it comes back, and in which it goes down before the kick.
    """
    gain = np.ones(stop - start, np.float32)
    dip = _dip(release)
    first = bisect_left(kicks, (start - release, 0.0))
    for at, velocity in kicks[first : bisect_left(kicks, (stop + attack, 0.0))]:
        duck = 1 - np.float32(depth * velocity) * dip
        ramp = np.linspace(1, duck[0], attack, endpoint=False, dtype=np.float32)
        curve = np.concatenate([ramp, duck])
        begin, end = max(start, at - attack), min(stop, at + release)
        if begin < end:
            part = gain[begin - start : end - start]
            np.minimum(part, curve[begin - at + attack : end - at + attack], out=part)
    return gain


@lru_cache(maxsize=8)
def _dip(release: int) -> np.ndarray:
    return (1 - np.linspace(0, 1, release, dtype=np.float32) ** np.float32(0.8)) ** np.float32(1.5)


class Echo:
    """Ping-pong echoes: tap `n` comes `n` delays later, on the other side each time."""

    def __init__(self, delay: int, feedback: float, taps: int = 5) -> None:
        self.delay, self.gains = delay, [np.float32(feedback**tap) for tap in range(1, taps + 1)]
        self._past = np.zeros((2, taps * delay), np.float32)

    def run(self, audio: np.ndarray) -> np.ndarray:
        """Return the echoes alone that fall into the time of `audio`, ``(2, samples)``."""
        heard = np.concatenate([self._past, audio], axis=1)
        samples, past = audio.shape[1], self._past.shape[1]
        wet = np.zeros_like(audio)
        for tap, gain in enumerate(self.gains, 1):
            begin = past - tap * self.delay
            taken = heard[:, begin : begin + samples]
            wet += gain * (taken[::-1] if tap % 2 else taken)
        self._past = heard[:, samples:]
        return wet


def room_response(decay_s: float, brightness: float, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Draw a room: ``(2, samples)``, decaying by 60 dB in `decay_s`, highs faster than lows, both ears independent.

    Unit energy in each channel, so that `room` means the same in every room.
    """
    samples = round(min(1.15 * decay_s, decay_s + 0.5) * sample_rate)
    time = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    response = np.zeros((2, samples), np.float32)
    for low_hz, high_hz, share in ((180, 700, 1.0), (700, 3000, 0.72), (3000, 9000, 0.25 + 0.4 * brightness)):
        # What a band has decayed to by 70 dB is not computed.
        heard = min(samples, round(1.2 * decay_s * share * sample_rate))
        noise = rng.standard_normal((2, heard), dtype=np.float32)
        band = Filter(butter(1, (low_hz, high_hz), "bandpass", sample_rate), 2).run(noise)
        response[:, :heard] += band * np.exp(np.float32(-3 * np.log(10) / (decay_s * share)) * time[:heard])
    response *= np.minimum(1, time / np.float32(0.012))
    response *= np.minimum(1, (time[-1] - time) / np.float32(0.05))
    predelay = np.zeros((2, round(0.014 * sample_rate)), np.float32)
    response = np.concatenate([predelay, response], axis=1)
    return response / np.sqrt(np.sum(response**2, axis=1, keepdims=True))


class Room:
    """Convolves each channel with its own response, in blocks of one size.

    References
    ----------
    Uniformly partitioned overlap-save: Wefers, Partitioned convolution algorithms for real-time auralization, 2015.
    """

    def __init__(self, response: np.ndarray, block: int) -> None:
        partitions = -(-response.shape[1] // block)
        padded = np.zeros((2, partitions * block), np.float32)
        padded[:, : response.shape[1]] = response
        self.block = block
        self._response = fft.rfft(padded.reshape(2, partitions, block).transpose(1, 0, 2), 2 * block)
        self._heard = np.zeros_like(self._response)
        """Spectra of the last blocks; the newest is at `_newest`."""
        self._newest = 0
        self._past = np.zeros((2, block), np.float32)

    def run(self, audio: np.ndarray) -> np.ndarray:
        """Return the room's answer in the time of `audio`, ``(2, block)``."""
        partitions = len(self._heard)
        self._newest = (self._newest - 1) % partitions
        self._heard[self._newest] = fft.rfft(np.concatenate([self._past, audio], axis=1))
        self._past = audio.copy()
        answer = np.zeros_like(self._heard[0])
        for age, response in enumerate(self._response):
            answer += response * self._heard[(self._newest + age) % partitions]
        return fft.irfft(answer, 2 * self.block)[:, self.block :]
