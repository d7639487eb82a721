"""From a region of sound to a texture of each kind, before its level is set and it is judged.

float32 ``(channels, samples)``, full scale ±1; spans are samples of the region. `attempt` counts from 0: later attempts
go further from the recording to find what the first was refused for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import fft

from handlers.audio.loop import begin_well
from handlers.textures.freeze import (
    Colour,
    draw_phases,
    even,
    find_floor,
    follow,
    freeze,
    high_pass,
    low_pass,
    ripple,
    shelf,
    tilt,
)
from handlers.textures.grains import flicker, keep_band, strew
from handlers.textures.hiss import SPLIT_HZ, UNDER_SHARE, Band, draw_under, freeze_hiss, share_gain
from handlers.textures.portrait import Portrait
from handlers.textures.profiles import Profile

How = Literal["cut", "freeze", "grains"]
VARIATIONS = ((0.0, 0.0), (0.0, -3.0), (-12.0, 1.5), (7.0, 3.0), (-5.0, -1.5), (12.0, 0.0), (-7.0, 2.0), (5.0, -4.0))
"""Semitones and dB an octave by which later attempts are moved and tilted, where all that is left sounds alike."""
CLOUD_TILTS_DB = (0.0, 4.0, -3.0, 7.0, 2.0, 10.0, -1.5, 5.5)
"""The same for clouds; mostly upwards, where a boom alone would not spread."""
TILTS_DB = (0.0, 3.0, -3.0, 1.5, -1.5, 4.5, -4.5, 6.0, -6.0)
"""So every hiss of one place has another colour."""
AIR_OVER = 0.25
"""Share that the rest of the recording has beside an airy swell's air."""
AIRY_FLOOR, WARM_FLOOR = 0.4, 0.5
"""Gain of what a swell keeps of the rest when it has opened."""
CLOSENESS = 0.8
"""How far textures are turned towards their recording's portrait; what is left tells those of one recording apart."""
RISE_DB = 40.0
END_S = 0.03
FASTEST_S = 0.12
"""A level's movements faster than this belong to the sound and stay."""
LEAST_HISS_HZ = 4200.0
"""Hiss begins here or higher, unless the profile says lower."""
RING_S = 0.06
"""How long tones ring under a flicker's hits."""
RING_END = 1 / 16
"""Share of a flicker over which it ends."""
LEAST_FLICKER_HZ = 4400.0
"""A flicker's hits begin here or higher, whatever the profile says."""
FAINT = 3e-4
"""Share of the level in the band under which flickers are made of frozen hiss."""


@dataclass(frozen=True)
class Made:
    """What was made of a region."""

    audio: np.ndarray
    how: How
    spans: list[tuple[int, int]]
    facts: dict[str, object]


def make_pad(
    region: np.ndarray, length: int, sample_rate: int, rng: np.random.Generator, attempt: int, *, portrait: Portrait
) -> Made:
    """Freeze a pad."""
    shift, tilt_db = VARIATIONS[attempt % len(VARIATIONS)]
    [loop] = freeze(
        region, length, sample_rate, rng, portrait=portrait, closeness=CLOSENESS, shift=shift, tilt_db=tilt_db
    )
    loop = begin_well(even(loop, sample_rate, FASTEST_S), sample_rate)
    return Made(loop, "freeze", _all(region), _varied(shift, tilt_db))


def make_swell(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    attempt: int,
    *,
    variant: str,
    profile: Profile,
    portrait: Portrait,
) -> Made:
    """Freeze a sound that gets louder and opens up; a drone stays dark and is made of what sounds on."""
    shift, tilt_db = VARIATIONS[attempt % len(VARIATIONS)]
    warm_hz, airy_hz = profile.drones.warm_lowpass_hz, min(profile.drones.airy_highpass_hz, 0.3 * sample_rate)
    colours: tuple[Colour, Colour]
    contrast = 1.0
    match variant:
        case "airy":
            floor = find_floor(region, sample_rate, airy_hz, AIR_OVER)
            air, veil = high_pass(airy_hz, floor=floor), low_pass(airy_hz * 1.3)
            opened_air = high_pass(airy_hz, floor=max(floor, AIRY_FLOOR))
            colours = (lambda hertz: air(hertz) * veil(hertz), opened_air)
        case "drone":
            colours, contrast = (low_pass(warm_hz * 0.5), shelf(warm_hz * 2, WARM_FLOOR)), 1.6
        case _:
            colours = (low_pass(warm_hz / 4), shelf(warm_hz, WARM_FLOOR))
    closed, opened = freeze(
        region, length, sample_rate, rng, portrait=portrait, closeness=CLOSENESS,
        colours=colours, shift=shift, tilt_db=tilt_db, contrast=contrast,
    )  # fmt: skip
    share = (np.arange(length, dtype=np.float32) + 0.5) / length
    level = np.sqrt(np.mean(opened**2) / max(float(np.mean(closed**2)), 1e-20))
    out, into = np.cos(share * np.pi / 2), np.sin(share * np.pi / 2)
    sound = even(closed * (min(level, 30.0) * out) + opened * into, sample_rate, FASTEST_S)
    sound *= 10 ** (RISE_DB * (share - 1) / 20)
    end = min(length // 20, round(END_S * sample_rate)) or 1
    sound[:, -end:] *= np.cos(np.linspace(0, np.pi / 2, end, dtype=np.float32))
    sound[:, :end] *= np.linspace(0, 1, end, dtype=np.float32)
    return Made(sound, "freeze", _all(region), _varied(shift, tilt_db))


def make_cloud(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    attempt: int,
    *,
    profile: Profile,
    portrait: Portrait,
) -> Made:
    """Strew a cloud."""
    pitch = profile.clouds.pitch_shift_range
    tilt_db = CLOUD_TILTS_DB[attempt % len(CLOUD_TILTS_DB)]
    cloud, spans = strew(
        region, length, sample_rate, rng,
        lowest=pitch.min, highest=pitch.max, edges_only=attempt >= 2,
    )  # fmt: skip
    # A circle stays one when its spectrum is weighed as a whole.
    spectra = fft.rfft(cloud, axis=1)
    spectra *= portrait.turn(spectra, sample_rate / length, CLOSENESS)
    spectra *= ripple(rng)(np.arange(spectra.shape[1]) * sample_rate / length).astype(np.float32)
    if tilt_db:
        spectra *= tilt(tilt_db)(np.arange(spectra.shape[1]) * sample_rate / length).astype(np.float32)
    cloud = fft.irfft(spectra, n=length, axis=1)
    cloud = begin_well(even(cloud, sample_rate, 2 * FASTEST_S), sample_rate)
    return Made(cloud, "grains", spans, {"semitones": [pitch.min, pitch.max], **_varied(0.0, tilt_db)})


def make_hiss(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    attempt: int,
    *,
    number: int,
    band: Band,
    portrait: Portrait,
) -> Made:
    """Freeze the highs as noise."""
    hiss, octaves = freeze_hiss(
        region, length, sample_rate, rng, band=band, portrait=portrait,
        tilt_db=TILTS_DB[(number - 1 + 3 * attempt) % len(TILTS_DB)], distance=attempt,
        under_share=UNDER_SHARE * 0.85**attempt,
    )  # fmt: skip
    hiss = begin_well(even(hiss, sample_rate, FASTEST_S / 2), sample_rate)
    return Made(hiss, "freeze", _all(region), {"octaves_up": octaves} if octaves else {})


def make_flicker(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    attempt: int,
    *,
    band: Band,
    portrait: Portrait,
) -> Made:
    """Set hits of the highs into a rhythm, the recording's tones ringing under them; where there are none, hiss."""
    how: How = "grains"
    material, octaves = keep_band(region, sample_rate, band.low_hz, band.high_hz), 0
    if attempt >= 3 or float(np.mean(material**2)) <= FAINT**2 * float(np.mean(region**2)):
        how = "freeze"
        material, octaves = freeze_hiss(
            region, region.shape[1], sample_rate, rng, band=band, portrait=portrait, under_share=0.0
        )
    hits, spans = flicker(material, length, sample_rate, rng)
    bin_hz = sample_rate / length
    over = fft.rfft(hits, axis=1)
    gains, low = portrait.turn(over, bin_hz, CLOSENESS), round(band.low_hz / bin_hz)
    gains[:low] = gains[low]
    # A band that begins at 4 kHz has half its energy below, in a dark recording.
    edge = high_pass(max(band.low_hz, LEAST_FLICKER_HZ), 10)
    over *= gains * edge(np.arange(len(gains)) * bin_hz).astype(np.float32)
    hits = fft.irfft(over, n=length, axis=1)
    under = draw_under(region, length, sample_rate, portrait, band.low_hz)
    under *= draw_phases(under.shape[1], rng)
    ringing = fft.irfft(under, n=length, axis=1) * follow(hits, sample_rate, RING_S)
    gain = share_gain(
        fft.rfft(ringing, axis=1), fft.rfft(hits, axis=1), round(SPLIT_HZ / bin_hz), UNDER_SHARE * 0.85**attempt
    )
    end = max(2, round(RING_END * length))
    sound = hits + gain * ringing
    sound[:, -end:] *= np.linspace(1, 0, end, dtype=np.float32)
    return Made(sound, how, spans if how == "grains" else _all(region), {"octaves_up": octaves} if octaves else {})


def hiss_band(profile: Profile, sample_rate: int) -> Band | None:
    """Return the band of hiss as far as the rate has it; `None` where it holds nothing over 4 kHz."""
    low_hz, high_hz = profile.hiss.bandpass_low_hz, min(profile.hiss.bandpass_high_hz, 0.47 * sample_rate)
    if high_hz < low_hz * 1.2:
        low_hz = min(low_hz, LEAST_HISS_HZ)
    return Band(low_hz, high_hz) if high_hz >= low_hz * 1.1 else None


def _varied(shift: float, tilt_db: float) -> dict[str, object]:
    return {**({"shift_semitones": shift} if shift else {}), **({"tilt_db_per_octave": tilt_db} if tilt_db else {})}


def _all(region: np.ndarray) -> list[tuple[int, int]]:
    return [(0, region.shape[1])]
