"""Audacity's labels: a text file of start, end and text, tabs between, one label a line, times in seconds.

Read by File > Import > Labels, and by Reaper, Ardour and others. A label that ends where it starts is a point.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from handlers.audio.picture import Span


def write_audacity(path: Path | str, labels: Iterable[Span | tuple[float, float, str]]) -> None:
    """Write labels in order; tabs and line breaks in a label become spaces, since the format has no others."""
    lines = [f"{start_s:.6f}\t{end_s:.6f}\t{' '.join(text.split())}\n" for start_s, end_s, text in labels]
    Path(path).write_text("".join(lines), encoding="utf-8")
