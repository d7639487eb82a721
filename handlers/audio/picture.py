"""A picture of a recording: waveform above spectrogram, with beats, sections and marked spans on one time axis.

Drawn by Pillow from :class:`~handlers.audio.columns.Columns`, so an hour-long mix needs no more memory than a short
one. Times in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from handlers.audio.columns import WINDOW, Columns
from handlers.audio.files import Reader
from handlers.audio.letters import spell_out
from handlers.audio.strips import Strip, add_strips

WIDTH, HEIGHT = 1600, 420
LEFT, RIGHT = 14, 14
PLOT_WIDTH = WIDTH - LEFT - RIGHT
"""How many columns a picture has."""
HEADER, WAVE, GAP, SPECTRUM = 40, 158, 8, 180
LOWEST_HZ, HIGHEST_HZ = 32.0, 18_000.0
RANGE_DB = 68.0
CONTRAST = 1.6
"""Over 1 darkens what is quiet: dense music stays a picture and does not become a wall."""
TILT_DB_PER_OCTAVE = 3.0
"""Music falls by about 3 dB an octave; lifted by as much, hats are as visible as the kick."""

BACKGROUND, PANEL = (11, 12, 16), (17, 19, 25)
TEXT, DIM = (226, 228, 234), (124, 130, 146)
SECTION_COLOURS = (
    (240, 120, 72),
    (92, 190, 214),
    (232, 184, 82),
    (150, 138, 236),
    (112, 204, 150),
    (232, 106, 142),
    (118, 152, 238),
    (196, 200, 120),
)
WAVE_COLOUR = (240, 120, 72)
MARK_COLOUR = (250, 246, 236)
# Dark to light with even steps in lightness, so that equal steps in level look equal.
_STOPS = (
    (0.00, (11, 12, 16)),
    (0.18, (30, 17, 52)),
    (0.36, (84, 20, 88)),
    (0.54, (160, 34, 82)),
    (0.70, (222, 74, 48)),
    (0.85, (250, 150, 40)),
    (1.00, (255, 238, 190)),
)
_PLACES = [place for place, _ in _STOPS]
PALETTE = np.stack(
    [np.interp(np.linspace(0, 1, 256), _PLACES, [colour[part] for _, colour in _STOPS]) for part in range(3)], axis=1
).astype(np.uint8)
"""uint8 ``(256, 3)``: colours of the spectrogram from silence to the loudest."""
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900)


class Span(NamedTuple):
    """A named stretch of time; a plain tuple of the same three will do."""

    start_s: float
    end_s: float
    label: str = ""
    short: str = ""
    """What is written of a section where its label has no room; without it as much of the label as there is room for."""


Spans = Sequence[Span | tuple[float, float, str]]


def draw(
    path: Path | str,
    audio: np.ndarray,
    sample_rate: int,
    *,
    beats_s: Iterable[float] = (),
    downbeats_s: Iterable[float] = (),
    sections: Spans = (),
    spans: Spans = (),
    title: str = "",
) -> None:
    """Draw audio in memory as a PNG of 1600 x 420 pixels.

    Parameters
    ----------
    path
        The PNG to write.
    audio
        ``(channels, samples)``, full scale ±1.
    sample_rate
        Hz.
    beats_s, downbeats_s
        Times of thin and of stronger lines; thinned out where they would stand closer than a few pixels.
    sections
        Parts that tint the waveform and are labelled above it.
    spans
        Regions marked by a bracket between waveform and spectrogram, such as where a texture was cut.
    title
        Written at the top left.
    """
    audio = np.atleast_2d(np.asarray(audio, np.float32))
    columns = Columns(audio.shape[1], PLOT_WIDTH)
    # Handed over in pieces: what is still in the cache is cheaper to look at again.
    for start in range(0, audio.shape[1], 1 << 18):
        columns.feed(audio[:, start : start + (1 << 18)])
    _render(columns, sample_rate, beats_s, downbeats_s, sections, spans, title).save(path, compress_level=4)


def draw_file(
    path: Path | str,
    source: Path | str,
    *,
    beats_s: Iterable[float] = (),
    downbeats_s: Iterable[float] = (),
    sections: Spans = (),
    spans: Spans = (),
    title: str = "",
) -> None:
    """Draw an audio file of any length as :func:`draw` does, reading it once in blocks."""
    with Reader(source) as reader:
        columns = Columns(reader.info.frames, PLOT_WIDTH)
        for block in reader.blocks(1 << 18):
            columns.feed(block)
        rate = reader.info.sample_rate
    _render(columns, rate, beats_s, downbeats_s, sections, spans, title).save(path, compress_level=4)


def draw_columns(
    path: Path | str,
    columns: Columns,
    sample_rate: int,
    *,
    beats_s: Iterable[float] = (),
    downbeats_s: Iterable[float] = (),
    sections: Spans = (),
    spans: Spans = (),
    strips: Sequence[Strip] = (),
    title: str = "",
) -> None:
    """Draw what was collected while the audio passed by for another reason, `PLOT_WIDTH` columns wide.

    `strips` stand below it and make the picture taller.
    """
    image = _render(columns, sample_rate, beats_s, downbeats_s, sections, spans, title)
    axis = _Axis(columns.frames / sample_rate)
    add_strips(image, strips, axis.x, LEFT).save(path, compress_level=4)


def _render(
    columns: Columns,
    sample_rate: int,
    beats_s: Iterable[float],
    downbeats_s: Iterable[float],
    sections: Spans,
    spans: Spans,
    title: str,
) -> Image.Image:
    axis = _Axis(columns.frames / sample_rate)
    sections = [Span(*section) for section in sections]
    spans = [Span(*span) for span in spans]
    tints = _tints(sections, axis)
    canvas = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    canvas[:] = BACKGROUND
    wave_top, spectrum_top = HEADER, HEADER + WAVE + GAP
    canvas[wave_top : wave_top + WAVE, LEFT : WIDTH - RIGHT] = _waveform(columns, tints, bool(sections))
    canvas[spectrum_top : spectrum_top + SPECTRUM, LEFT : WIDTH - RIGHT] = _spectrogram(columns.power, sample_rate)
    beats, downbeats = _thin(beats_s, axis, 7), _thin(downbeats_s, axis, 10)
    for times, strength in ((beats, 0.10), (downbeats, 0.26)):
        for x in {round(axis.x(time)) for time in times}:
            for top, height in ((wave_top, WAVE), (spectrum_top, SPECTRUM)):
                line = canvas[top : top + height, x]
                weight = strength if top == wave_top else strength * 0.6
                line[:] = line + (np.array(MARK_COLOUR) - line) * weight
    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    _write_header(pen, columns, axis, title)
    _write_sections(pen, sections, axis)
    _write_spans(pen, spans, axis)
    _write_axes(pen, axis, sample_rate)
    return image


class _Axis:
    """Seconds to pixels."""

    def __init__(self, duration_s: float) -> None:
        self.duration_s = duration_s
        self.pixels_per_s = PLOT_WIDTH / duration_s

    def x(self, time_s: float) -> float:
        return LEFT + min(max(time_s, 0.0), self.duration_s) * self.pixels_per_s - (time_s >= self.duration_s)


def _waveform(columns: Columns, tints: np.ndarray, tinted: bool) -> np.ndarray:
    """Pixels ``(WAVE, columns, 3)``: peaks dim, RMS bright, edges smoothed by how much of a pixel they cover."""
    peak = float(max(columns.high.max(), -columns.low.min()))
    # What is quiet is drawn larger, so that its shape is seen; the header says its peak.
    scale = (WAVE / 2 - 4) / max(peak, 1e-9 if 0 < peak < 0.7 else 1.0)
    rows = np.arange(WAVE, dtype=np.float32)[:, None] - WAVE / 2
    extent = np.minimum(columns.rms, np.maximum(columns.high, -columns.low))
    peaks = _coverage(rows, -columns.high * scale, -columns.low * scale)
    body = _coverage(rows, -extent * scale, extent * scale)
    pixels = np.empty((WAVE, len(columns.rms), 3), np.float32)
    pixels[:] = np.array(PANEL) + (tints - PANEL) * 0.07 if tinted else PANEL
    pixels += (tints * 0.52 + np.array(PANEL) * 0.10 - pixels) * peaks[..., None]
    # Brighter towards the middle: the body reads as a solid.
    glow = (1 - np.abs(rows) / (WAVE / 2)) * 0.30
    bright = tints + (255 - tints) * glow[..., None]
    pixels += (bright - pixels) * body[..., None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _coverage(rows: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """How much of each pixel lies between `top` and `bottom`, 0..1; at least a hairline."""
    bottom = np.maximum(bottom, top + 1)
    return np.clip(np.minimum(rows + 1, bottom) - np.maximum(rows, top), 0, 1)


def _spectrogram(power: np.ndarray, sample_rate: int) -> np.ndarray:
    """Pixels ``(SPECTRUM, columns, 3)`` over logarithmic frequency, low at the bottom."""
    highest = min(HIGHEST_HZ, sample_rate / 2)
    edges = np.geomspace(highest, min(LOWEST_HZ, highest / 2), SPECTRUM + 1) * WINDOW / sample_rate
    centres = np.sqrt(edges[1:] * edges[:-1])
    below = np.clip(centres.astype(int), 0, power.shape[1] - 2)
    share = np.clip(centres - below, 0, 1).astype(np.float32)
    # At low frequencies a row is a part of one bin, and is interpolated; at high ones many bins, and is their mean.
    total = np.zeros((power.shape[0], power.shape[1] + 1), np.float64)
    np.cumsum(power, axis=1, out=total[:, 1:])
    first = np.clip(np.ceil(edges[1:] - 0.5).astype(int), 0, power.shape[1] - 1)
    last = np.clip(np.ceil(edges[:-1] - 0.5).astype(int), first + 1, power.shape[1])
    mean = (total[:, last] - total[:, first]) / (last - first)
    rows = np.where(edges[:-1] - edges[1:] < 1.5, power[:, below] * (1 - share) + power[:, below + 1] * share, mean)
    level = 10 * np.log10(np.maximum(rows, 1e-12)).T
    level += TILT_DB_PER_OCTAVE * np.log2(centres * sample_rate / WINDOW / 1000)[:, None]
    top = max(float(np.percentile(level, 99.7)), -20.0)
    shade = np.clip((level - top + RANGE_DB) / RANGE_DB, 0, 1) ** CONTRAST
    return PALETTE[(shade * 255).astype(np.uint8)]


def _tints(sections: Sequence[Span], axis: _Axis) -> np.ndarray:
    """Colour of each column, float32 ``(columns, 3)``; sections whose labels begin with one word share one colour."""
    tints = np.empty((PLOT_WIDTH, 3), np.float32)
    tints[:] = WAVE_COLOUR
    for section, colour in zip(sections, _colours(sections), strict=True):
        tints[round(axis.x(section.start_s)) - LEFT : round(axis.x(section.end_s)) - LEFT + 1] = colour
    return tints


def _colours(sections: Sequence[Span]) -> list[tuple[int, int, int]]:
    kinds = [section.label.partition(" ")[0] for section in sections]
    order = list(dict.fromkeys(kinds))
    return [SECTION_COLOURS[order.index(kind) % len(SECTION_COLOURS)] for kind in kinds]


def _thin(times_s: Iterable[float], axis: _Axis, apart_px: float) -> list[float]:
    """Every time, or every second, fourth, ... until lines stand `apart_px` apart; none if none would be left."""
    times = sorted(float(time) for time in times_s if 0 <= time <= axis.duration_s)
    while len(times) > 1 and (times[-1] - times[0]) / (len(times) - 1) * axis.pixels_per_s < apart_px:
        times = times[::2]
    return times


def _write_header(pen: ImageDraw.ImageDraw, columns: Columns, axis: _Axis, title: str) -> None:
    peak = float(max(columns.high.max(), -columns.low.min()))
    level = f"peak  {20 * math.log10(peak):.1f} dBFS" if peak > 0 else "silent"
    note = f"{clock(axis.duration_s)}   {level}"
    pen.text((WIDTH - RIGHT, 5), note, DIM, ImageFont.load_default(12), anchor="ra")
    font = ImageFont.load_default(15)
    pen.text((LEFT, 3), fit(title, font, PLOT_WIDTH - 200), TEXT, font)


def _write_sections(pen: ImageDraw.ImageDraw, sections: Sequence[Span], axis: _Axis) -> None:
    font = ImageFont.load_default(11)
    for section, colour in zip(sections, _colours(sections), strict=True):
        left, right = axis.x(section.start_s), axis.x(section.end_s)
        pen.line([(left, HEADER - 3), (max(left, right - 3), HEADER - 3)], colour, 2)
        room = right - left - 6
        label = section.label if font.getlength(section.label) <= room or not section.short else section.short
        if label := fit(label, font, room):
            pen.text((left, HEADER - 17), label, colour, font)


def _write_spans(pen: ImageDraw.ImageDraw, spans: Sequence[Span], axis: _Axis) -> None:
    font = ImageFont.load_default(10)
    for span in spans:
        left, right = axis.x(span.start_s), axis.x(span.end_s)
        bottom = HEADER + WAVE + GAP // 2
        pen.line([(left, bottom - 5), (left, bottom), (right, bottom), (right, bottom - 5)], MARK_COLOUR, 2)
        if label := fit(span.label, font, right - left):
            pen.text((left + 4, bottom - 15), label, MARK_COLOUR, font)


def _write_axes(pen: ImageDraw.ImageDraw, axis: _Axis, sample_rate: int) -> None:
    font = ImageFont.load_default(11)
    bottom = HEADER + WAVE + GAP + SPECTRUM
    step = next((tick for tick in _TICKS_S if tick * axis.pixels_per_s >= 78), 3600)
    for tick in range(int(axis.duration_s / step) + 1):
        x = axis.x(tick * step)
        pen.line([(x, bottom + 2), (x, bottom + 6)], DIM, 1)
        text = clock(tick * step, tenths=step < 1)
        anchor = "la" if tick == 0 else "ra" if x > WIDTH - RIGHT - 20 else "ma"
        pen.text((x, bottom + 9), text, DIM, font, anchor=anchor)
    highest = min(HIGHEST_HZ, sample_rate / 2)
    for frequency, label in ((100, "100 Hz"), (1000, "1 kHz"), (10_000, "10 kHz")):
        if LOWEST_HZ < frequency < highest:
            y = bottom - SPECTRUM * math.log(frequency / LOWEST_HZ) / math.log(highest / LOWEST_HZ)
            pen.line([(LEFT, y), (LEFT + 6, y)], TEXT, 1)
            small = ImageFont.load_default(10)
            pen.text((LEFT + 9, y), label, TEXT, small, anchor="lm", stroke_width=2, stroke_fill=BACKGROUND)


def clock(time_s: float, *, tenths: bool = False) -> str:
    """Seconds as a person reads them: ``3:07``, ``1:02:45``, with tenths ``0:07.5``."""
    whole = math.floor(time_s * 10 + 0.5) / 10 if tenths else math.floor(time_s + 0.5)
    minutes, second = divmod(whole, 60)
    hours, minutes = divmod(int(minutes), 60)
    rest = f"{second:04.1f}" if tenths else f"{int(second):02d}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: float) -> str:
    """The text in letters that the font has, or as much as fits with an ellipsis; nothing where three letters do not."""
    text = " ".join(spell_out(text).split())
    if font.getlength(text) <= room_px:
        return text
    while len(text) > 3 and font.getlength(text + "…") > room_px:
        text = text[:-1]
    return text.rstrip() + "…" if font.getlength(text + "…") <= room_px else ""
