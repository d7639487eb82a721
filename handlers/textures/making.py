"""From a recording to textures: listened to once, then every texture made from the best place that is left for it.

A steady passage is cut and crossfaded. Elsewhere it is frozen: its own spectrum with phases drawn anew over the whole
length of the loop, so that it is noise-like at every moment, has the colour of the place, and meets itself at the seam
by construction. Clouds are grains laid around a circle of the loop's length, which has no seam either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from handlers.audio.loop import SLACK_S, choose_start, cut_loop
from handlers.audio.loudness import measure
from handlers.audio.reader import AudioInfo, Reader
from handlers.audio.seam import measure_seam
from handlers.contract import Invalid
from handlers.textures.features import Collector
from handlers.textures.profiles import Profile
from handlers.textures.regions import SILENT_DBFS, UNSTEADY_DB, Choice, Region
from handlers.textures.wanted import Want

BLOCK = 1 << 18
SHORTEST_S = 0.5
"""A recording shorter than this gives nothing."""
LISTENED = 0.4
GRAIN_S = (0.12, 0.35)
GRAINS_PER_S = 24
STARTS = 8
RISE_DB = 40.0
BURST_ATTACK_S = 0.004


@dataclass(frozen=True)
class Texture:
    """A texture that holds, at the recording's rate."""

    place: int
    audio: np.ndarray
    loop: bool
    facts: dict[str, Any]


@dataclass(frozen=True)
class Dropped:
    """One that does not."""

    place: int
    reason: str


class Refused(Exception):
    """A texture cannot be made; the message says why."""


def mine(
    path: Path,
    wants: Sequence[Want],
    *,
    profile: Profile,
    crossfade_s: float,
    peak_dbtp: float,
    drums: Sequence[Path] = (),
    taken: Sequence[tuple[float, float]] = (),
    listen: Callable[[np.ndarray], None] = lambda block: None,
    pulse: Callable[[float], None] = lambda share: None,
) -> Iterator[Texture | Dropped]:
    with Reader(path) as reader:
        info = reader.info
        collector = Collector(info.sample_rate)
        for block in reader.blocks(BLOCK):
            collector.feed(block)
            listen(block)
            pulse(LISTENED * reader.position / info.frames)
        if info.duration_s < SHORTEST_S:
            raise Invalid(f"{path}: {info.duration_s:.2f} s is too short; {SHORTEST_S:g} s is the least")
        choice = Choice(collector.finish())
        if choice.loud_db < SILENT_DBFS:
            raise Invalid(f"{path}: is silent (under {SILENT_DBFS:g} dBFS throughout); there is nothing to mine")
        for start_s, end_s in taken:
            choice.take(round(start_s * info.sample_rate), round(end_s * info.sample_rate))
        maker = _Maker(reader, info, choice, profile, crossfade_s, peak_dbtp)
        # The longest first: they have the fewest places.
        for number, want in enumerate(wants):
            pulse(LISTENED + (1 - LISTENED) * number / len(wants))
            try:
                yield maker.make(want)
            except Refused as reason:
                yield Dropped(want.place, str(reason))


class _Maker:
    def __init__(
        self, reader: Reader, info: AudioInfo, choice: Choice, profile: Profile, crossfade_s: float, peak_dbtp: float
    ):
        self.reader, self.info, self.choice, self.profile = reader, info, choice, profile
        self.crossfade_s, self.peak_dbtp = crossfade_s, peak_dbtp

    def make(self, want: Want) -> Texture:
        length = round(want.length_s * self.info.sample_rate)
        random = np.random.default_rng([want.place, length])
        match want.kind:
            case "pads":
                audio, how, spans, measures = self.pad(length, random)
            case "swells":
                audio, how, spans, measures = self.swell(want, length, random)
            case "clouds":
                audio, how, spans, measures = self.cloud(length, random)
            case "hiss" | "flickers":
                audio, how, spans, measures = self.hiss(length, random, burst=want.kind == "flickers")
        loop = want.kind in ("pads", "clouds", "hiss") or want.variant == "drone"
        audio = audio - audio.mean(axis=1, keepdims=True)
        level = measure(audio, self.info.sample_rate).true_peak_dbtp
        if not math.isfinite(level):
            raise Refused("is silent")
        audio = audio * np.float32(10 ** ((self.peak_dbtp - level) / 20))
        if loop and how != "cut":
            # It has no seam of its own: it begins where the waveform is quiet and nothing changes.
            reach = min(length // 2, round(0.2 * self.info.sample_rate))
            for turn in np.linspace(0, length, STARTS, endpoint=False).astype(int):
                turned = np.roll(audio, -turn, axis=1)
                turned = np.roll(turned, -choose_start(turned, 2, reach), axis=1)
                if not list(measure_seam(turned, self.info.sample_rate, max(1, length // 8)).faults()):
                    break
            audio = turned
        if loop:
            seam = measure_seam(audio, self.info.sample_rate, max(1, length // 8))
            if faults := list(seam.faults()):
                raise Refused("does not loop: " + ", ".join(faults))
            measures["seam"] = seam.facts()
        rate = self.info.sample_rate
        spans = [(start / rate, end / rate) for start, end in spans]
        return Texture(
            want.place,
            np.ascontiguousarray(audio, np.float32),
            loop,
            {"how": how, "source_spans": spans, "measures": measures},
        )

    def region(self, samples: int) -> Region:
        samples = min(samples, self.info.frames)
        region = self.choice.best(samples)
        if region is None:
            raise Refused("no place is left that is not silent and not used already")
        return region

    def read(self, start: int, end: int) -> np.ndarray:
        self.reader.seek(start)
        audio = self.reader.read(end - start)
        return audio - audio.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)

    def pad(self, length, random):
        rate = self.info.sample_rate
        fade = max(1, min(round(self.crossfade_s * rate), length // 2))
        slack = round(SLACK_S * rate)
        region = self.choice.best(fade + length + slack) if fade + length + slack <= self.info.frames else None
        if region is not None and region.cost_db <= UNSTEADY_DB:
            audio = self.read(region.start, region.end)
            begin = choose_start(audio, fade, slack + 1)
            loop = cut_loop(audio, begin, length, fade)
            if not list(measure_seam(loop, rate, fade).faults()):
                start = region.start + begin
                self.choice.take(start - fade, start + length)
                return loop, "cut", [(start - fade, start + length)], {"steadiness": round(region.steadiness, 3)}
        region = self.region(min(length, round(3 * rate)))
        self.choice.take(region.start, region.end)
        return self.frozen(region, length, random), "freeze", [(region.start, region.end)], {}

    def frozen(self, region, length, random, weight=None):
        """``(channels, length)``: the region's spectrum with new phases, circular."""
        audio = self.read(region.start, region.end)
        rate = self.info.sample_rate
        size = next_fast_len(audio.shape[1], real=True)
        spectrum = np.abs(rfft(audio * np.hanning(audio.shape[1]).astype(np.float32), size, axis=1))
        hertz = rfftfreq(length, 1 / rate)
        made = np.stack([np.interp(hertz, rfftfreq(size, 1 / rate), channel) for channel in spectrum])
        if weight is not None:
            made *= weight(hertz)
        noise = random.standard_normal((2, *made.shape)).astype(np.float32)
        return irfft(made * (noise[0] + 1j * noise[1]), length, axis=1).astype(np.float32)

    def swell(self, want, length, random):
        region = self.region(round(min(want.length_s, 3) * self.info.sample_rate))
        self.choice.take(region.start, region.end)
        warm, airy = self.profile.drones.warm_lowpass_hz, self.profile.drones.airy_highpass_hz
        weight = (
            (lambda hertz: 1 / (1 + (np.maximum(hertz, 1) / airy) ** -4))
            if want.variant == "airy"
            else (lambda hertz: 1 / (1 + (hertz / warm) ** 4))
        )
        audio = self.frozen(region, length, random, weight)
        if want.variant != "drone":
            rise = 10 ** (np.linspace(-RISE_DB, 0, length) / 20)
            release = min(length // 20, round(0.05 * self.info.sample_rate))
            rise[length - release :] *= np.cos(np.linspace(0, np.pi / 2, release)) ** 2
            audio = audio * rise.astype(np.float32)
        return (
            audio,
            "freeze",
            [(region.start, region.end)],
            {"rise_db": _rise_db(audio) if want.variant != "drone" else 0.0},
        )

    def cloud(self, length, random):
        rate = self.info.sample_rate
        region = self.region(round(min(length / rate, 2.0) * rate))
        self.choice.take(region.start, region.end)
        audio = self.read(region.start, region.end)
        shift = self.profile.clouds.pitch_shift_range
        made = np.zeros((audio.shape[0], length), np.float32)
        count = max(8, round(GRAINS_PER_S * length / rate))
        for _ in range(count):
            grain = round(random.uniform(*GRAIN_S) * rate)
            ratio = 2 ** (random.uniform(shift.min, shift.max) / 12)
            taken = min(int(grain * ratio) + 2, audio.shape[1])
            start = random.integers(0, audio.shape[1] - taken + 1)
            at = np.linspace(start, start + taken - 1, grain)
            window = np.hanning(grain).astype(np.float32)
            whole = _resampled(audio, at)
            place = (random.integers(0, length) + np.arange(grain)) % length
            made[:, place] += whole * window
        return made, "grains", [(region.start, region.end)], {"grains": count}

    def hiss(self, length, random, burst):
        rate = self.info.sample_rate
        low, high = self.profile.hiss.bandpass_low_hz, min(self.profile.hiss.bandpass_high_hz, 0.48 * rate)
        if low * 1.1 > high:
            raise Refused(f"at {rate} Hz there is nothing above {low:g} Hz")
        region = self.region(round(min(length / rate, 1.0) * rate))
        self.choice.take(region.start, region.end)
        audio = self.read(region.start, region.end)
        size = next_fast_len(audio.shape[1], real=True)
        power = np.abs(rfft(audio * np.hanning(audio.shape[1]).astype(np.float32), size, axis=1)) ** 2
        hertz = rfftfreq(size, 1 / rate)
        edges = np.geomspace(low, high, 25)
        places = np.searchsorted(hertz, edges)
        bands = np.stack([np.add.reduceat(channel, places[:-1]) / np.maximum(np.diff(places), 1) for channel in power])
        made_hz = rfftfreq(length, 1 / rate)
        centres = np.sqrt(edges[1:] * edges[:-1])
        colour = np.stack(
            [
                np.exp(np.interp(np.log(np.maximum(made_hz, 1)), np.log(centres), 0.5 * np.log(band + 1e-12)))
                for band in bands
            ]
        )
        colour[:, (made_hz < low) | (made_hz > high)] = 0
        noise = random.standard_normal((2, *colour.shape)).astype(np.float32)
        made = irfft(colour * (noise[0] + 1j * noise[1]), length, axis=1).astype(np.float32)
        if burst:
            attack = max(2, round(BURST_ATTACK_S * rate))
            shape = np.exp(-np.arange(length) / (length / 6)) * (1 - np.linspace(0, 1, length) ** 8)
            shape[:attack] *= np.linspace(0, 1, attack)
            made = made * shape.astype(np.float32)
        return made, "freeze", [(region.start, region.end)], {"band_hz": [round(low), round(high)]}


def _resampled(audio: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Audio at fractional places, by straight lines."""
    below = np.minimum(at.astype(int), audio.shape[1] - 2)
    share = (at - below).astype(np.float32)
    return audio[:, below] * (1 - share) + audio[:, below + 1] * share


def _rise_db(audio: np.ndarray) -> float:
    """By how much the last tenth is louder than the first."""
    tenth = max(1, audio.shape[1] // 10)
    first, last = (float(np.mean(part**2)) for part in (audio[:, :tenth], audio[:, -tenth:]))
    return round(10 * math.log10((last + 1e-12) / (first + 1e-12)), 2)
