"""Small pictures that cost a few milliseconds: a sound at a glance, and a recording with what was taken from it.

The full picture, with axes and beats, is :mod:`handlers.audio.picture`. Times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from handlers.audio.picture import BACKGROUND, DIM, PALETTE, SECTION_COLOURS, TEXT, clock, fit

WIDTH, WAVE, SPECTRUM, BETWEEN = 640, 72, 84, 4
WINDOW = 1024
WINDOWS = 160
"""Spectra of a small picture: each is four pixels wide."""
LOWEST_HZ, RANGE_DB, TILT_DB_PER_OCTAVE = 40.0, 66.0, 3.0
DARK, BRIGHT = 120, 205
"""Places of peaks and body in the palette."""

LONG_WIDTH, LONG_WAVE, LANE, MARGIN, HEADER = 1600, 150, 14, 70, 22


class Envelope:
    """Lowest and highest sample of every column, collected from blocks fed in order.

    Parameters
    ----------
    frames
        Length of the recording in samples.
    columns
        Width in pixels.

    Attributes
    ----------
    low, high
        float32 ``(columns,)``, full scale ±1, over all channels.
    """

    def __init__(self, frames: int, columns: int = LONG_WIDTH - MARGIN) -> None:
        self.frames, self._fed = frames, 0
        self._step = max(1, -(-frames // columns))
        self.low = np.zeros(-(-frames // self._step), np.float32)
        self.high = np.zeros_like(self.low)

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``."""
        if not block.shape[1]:
            return
        first, last = self._fed // self._step, (self._fed + block.shape[1] - 1) // self._step
        starts = np.maximum(np.arange(first, last + 1) * self._step - self._fed, 0)
        columns = slice(first, last + 1)
        for channel in block:
            self.low[columns] = np.minimum(self.low[columns], np.minimum.reduceat(channel, starts))
            self.high[columns] = np.maximum(self.high[columns], np.maximum.reduceat(channel, starts))
        self._fed += block.shape[1]


def draw_thumbnail(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    """Draw waveform above spectrogram as a PNG of 640 x 160 pixels.

    Parameters
    ----------
    path
        The PNG to write.
    audio
        ``(channels, samples)``, full scale ±1.
    sample_rate
        Hz.
    """
    canvas = np.zeros((WAVE + BETWEEN + SPECTRUM, WIDTH), np.uint8)
    canvas[:WAVE] = _wave(audio)
    canvas[WAVE + BETWEEN :] = _spectrogram(audio, sample_rate)
    image = Image.fromarray(canvas, "L")
    image.putpalette(PALETTE.ravel().tolist())
    image.save(path, compress_level=2)


def draw_overview(
    path: Path,
    envelope: Envelope,
    sample_rate: int,
    lanes: Mapping[str, Sequence[tuple[float, float]]],
    title: str = "",
) -> None:
    """Draw a recording's waveform, and below it one lane for each kind with what was taken: a PNG 1600 pixels wide.

    Parameters
    ----------
    envelope
        Of the recording.
    sample_rate
        Hz.
    lanes
        ``(start_s, end_s)`` of every region, by the name of its kind.
    """
    height = HEADER + LONG_WAVE + LANE * max(1, len(lanes)) + 8
    image = Image.new("P", (LONG_WIDTH, height), 0)
    palette = [BACKGROUND, TEXT, DIM, (120, 60, 40), *SECTION_COLOURS]
    image.putpalette([part for colour in palette for part in colour])
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    duration_s = envelope.frames / sample_rate
    width = LONG_WIDTH - MARGIN
    peak = max(float(envelope.high.max(initial=0)), -float(envelope.low.min(initial=0)), 1e-9)
    middle, scale = HEADER + LONG_WAVE / 2, (LONG_WAVE / 2 - 3) / peak
    columns = np.minimum(np.arange(width) * len(envelope.high) // width, len(envelope.high) - 1)
    canvas = np.array(image)
    rows = np.arange(HEADER, HEADER + LONG_WAVE)[:, None]
    tops, bottoms = middle - envelope.high[columns] * scale, middle - envelope.low[columns] * scale
    canvas[HEADER : HEADER + LONG_WAVE, MARGIN:][(rows >= tops - 0.5) & (rows <= bottoms + 0.5)] = 3
    for place, regions in enumerate(lanes.values()):
        colour = 4 + place % len(SECTION_COLOURS)
        top = HEADER + LONG_WAVE + 4 + LANE * place
        for start_s, end_s in regions:
            left = MARGIN + int(start_s / duration_s * width)
            right = max(left + 2, MARGIN + int(np.ceil(end_s / duration_s * width)))
            canvas[top : top + LANE - 4, left:right] = colour
            # In the waveform what is taken stands out from what is not.
            part = canvas[HEADER : HEADER + LONG_WAVE, left:right]
            part[part == 3] = colour
    drawn = Image.fromarray(canvas, "P")
    drawn.putpalette(image.getpalette())
    pen = ImageDraw.Draw(drawn)
    for place, name in enumerate(lanes):
        pen.text((4, HEADER + LONG_WAVE + 2 + LANE * place), name, 4 + place % len(SECTION_COLOURS), font)
    pen.text((MARGIN, 4), fit(title, font, width - 60), 1, font)
    pen.text((LONG_WIDTH - 6, 4), clock(duration_s), 2, font, anchor="ra")
    drawn.save(path, compress_level=2)


def _wave(audio: np.ndarray) -> np.ndarray:
    """Palette places ``(WAVE, WIDTH)``: peaks dim, level bright."""
    envelope = Envelope(audio.shape[1], WIDTH)
    envelope.feed(audio)
    columns = np.minimum(np.arange(WIDTH) * len(envelope.high) // WIDTH, len(envelope.high) - 1)
    high, low = envelope.high[columns], envelope.low[columns]
    peak = max(float(high.max()), -float(low.min()), 1e-9)
    rows = (np.arange(WAVE, dtype=np.float32)[:, None] - WAVE / 2) / (WAVE / 2 - 2) * peak
    reach = 1.5 * peak / WAVE
    wave = np.where((rows >= -high - reach) & (rows <= -low + reach), DARK, 0)
    body = 0.5 * np.minimum(high, -low)
    return np.where((np.abs(rows) <= body) & (wave > 0), BRIGHT, wave).astype(np.uint8)


def _spectrogram(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Palette places ``(SPECTRUM, WIDTH)``, low frequencies at the bottom."""
    mono = audio.mean(axis=0, dtype=np.float32)
    if len(mono) < WINDOW:
        mono = np.pad(mono, (0, WINDOW - len(mono)))
    starts = np.linspace(0, len(mono) - WINDOW, WINDOWS).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[starts]
    spectra = np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)
    power = spectra.real**2 + spectra.imag**2
    hertz = np.geomspace(min(18_000.0, 0.49 * sample_rate), LOWEST_HZ, SPECTRUM)
    bins = np.clip(np.round(hertz * WINDOW / sample_rate).astype(int), 1, WINDOW // 2)
    level = 10 * np.log10(power[:, bins].T + 1e-12) + TILT_DB_PER_OCTAVE * np.log2(hertz / 1000)[:, None]
    top = max(float(np.percentile(level, 99.5)), -40.0)
    shade = np.clip((level - top + RANGE_DB) / RANGE_DB, 0, 1) ** 1.6 * 255
    return np.repeat(shade.astype(np.uint8), WIDTH // WINDOWS, axis=1)
