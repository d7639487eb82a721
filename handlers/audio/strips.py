"""Strips under a picture: one quantity over time each, on the picture's own time axis. Drawn by Pillow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

HEIGHT, GAP = 56, 10
"""Pixels of one strip, and above it."""
_PANEL, _GRID, _TEXT = (17, 19, 25), (44, 48, 60), (124, 130, 146)
_EDGE = 8
"""Pixels left free above the highest and below the lowest value."""


@dataclass(frozen=True)
class Strip:
    """One quantity over time."""

    label: str
    """At the left, such as `tempo, BPM`."""
    lines: Sequence[Sequence[tuple[float, float]]]
    """Lines of (seconds, value); between two of them nothing is drawn."""
    low: float
    high: float
    """Values at the strip's bottom and top; what lies outside is drawn at the edge."""
    colour: tuple[int, int, int]
    note: str = ""
    """At the right."""
    ticks: Sequence[float] = ()
    """Values that have a faint line and their number."""


def add_strips(image: Image.Image, strips: Sequence[Strip], x: Callable[[float], float], margin: int) -> Image.Image:
    """Return the picture with strips below it.

    Parameters
    ----------
    image
        The picture so far.
    x
        Seconds to pixels.
    margin
        Pixels left free at either side.
    """
    if not strips:
        return image
    taller = Image.new("RGB", (image.width, image.height + len(strips) * (HEIGHT + GAP)), image.getpixel((0, 0)))
    taller.paste(image)
    pen = ImageDraw.Draw(taller)
    font = ImageFont.load_default(11)
    for number, strip in enumerate(strips):
        top = image.height + number * (HEIGHT + GAP)
        pen.rectangle([(margin, top), (image.width - margin - 1, top + HEIGHT)], _PANEL)
        spread = max(strip.high - strip.low, 1e-9)

        def y(value: float, top: float = top, strip: Strip = strip, spread: float = spread) -> float:
            share = min(max((value - strip.low) / spread, 0.0), 1.0)
            return top + HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE)

        for tick in strip.ticks:
            pen.line([(margin, y(tick)), (image.width - margin - 1, y(tick))], _GRID, 1)
            pen.text(
                (image.width - margin - 4, y(tick) - 1), f"{tick:g}", _TEXT, ImageFont.load_default(9), anchor="rs"
            )
        for line in strip.lines:
            points = [(x(time_s), y(value)) for time_s, value in line]
            pen.line(points if len(points) > 1 else points * 2, strip.colour, 2)
        pen.text((margin + 5, top + 3), strip.label, strip.colour, font)
        if strip.note:
            pen.text((image.width - margin - 34, top + 3), strip.note, _TEXT, font, anchor="ra")
    return taller
