"""Projects of Reaper (.rpp, plain text): each piece of audio on a track of its own, at its place, with its fades.

Reaper documents the format by writing it; what stands here is what version 6 and 7 write for such a project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_KINDS = {".mp3": "MP3", ".flac": "FLAC", ".ogg": "VORBIS", ".opus": "VORBIS"}


@dataclass(frozen=True)
class ReaperItem:
    """One piece on its track. Times in seconds."""

    name: str
    path: str
    """Of the source, absolute or from the project's folder."""
    start_s: float
    length_s: float
    offset_s: float
    """Where in the source it begins."""
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    gain: float = 1.0
    """Linear."""
    stretch: Sequence[tuple[float, float]] = ()
    """Time in the item, time in the source from its beginning: between them it is stretched."""


def write_reaper(
    path: Path | str,
    items: Sequence[ReaperItem],
    *,
    sample_rate: int,
    tempi: Sequence[tuple[float, float]] = ((0.0, 120.0),),
    meter: tuple[int, int] = (4, 4),
    markers: Sequence[tuple[float, str]] = (),
) -> None:
    """Write a project.

    Parameters
    ----------
    path
        The .rpp file.
    items
        One track each.
    sample_rate
        Of the project, in Hz.
    tempi
        Seconds and BPM (quarters): from then on; the first at 0.
    meter
        Of all bars.
    markers
        Seconds and name.
    """
    lines = [
        '<REAPER_PROJECT 0.1 "6.0"',
        f"  SAMPLERATE {sample_rate} 1 0",
        f"  TEMPO {tempi[0][1]:.10g} {meter[0]} {meter[1]}",
    ]
    for number, (start_s, name) in enumerate(markers, 1):
        lines.append(f"  MARKER {number} {start_s:.9f} {_quoted(name)} 0")
    lines += ["  <TEMPOENVEX", "    ACT 1 -1", "    VIS 1 0 1"]
    # 65536 times the unit and the beats of a bar; shape 1 is a step.
    signature = 65536 * meter[1] + meter[0]
    for number, (start_s, tempo_bpm) in enumerate(tempi):
        lines.append(f"    PT {start_s:.12f} {tempo_bpm:.10f} 1" + (f" {signature}" if number == 0 else ""))
    lines.append("  >")
    for item in items:
        lines += ["  <TRACK", f"    NAME {_quoted(item.name)}", "    <ITEM"]
        lines += [f"      POSITION {item.start_s:.9f}", f"      LENGTH {item.length_s:.9f}", "      LOOP 0"]
        # Shape 1 keeps the power of two unlike pieces.
        lines += [f"      FADEIN 1 {item.fade_in_s:.9f} 0", f"      FADEOUT 1 {item.fade_out_s:.9f} 0"]
        lines += [
            f"      NAME {_quoted(item.name)}",
            f"      VOLPAN {item.gain:.9f} 0 1 -1",
            f"      SOFFS {item.offset_s:.9f}",
        ]
        lines += ["      PLAYRATE 1 1 0 -1 0 0.0025"]
        if item.stretch:
            points = " + ".join(f"{at:.9f} {source:.9f}" for at, source in item.stretch)
            lines.append(f"      SM {points}")
        lines += [
            f"      <SOURCE {_KINDS.get(Path(item.path).suffix.lower(), 'WAVE')}",
            f"        FILE {_quoted(item.path)}",
        ]
        lines += ["      >", "    >", "  >"]
    Path(path).write_text("\n".join([*lines, ">"]) + "\n", encoding="utf-8")


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    for quote in "\"'`":
        if quote not in text:
            return f"{quote}{text}{quote}"
    return "`" + text.replace("`", "'") + "`"
