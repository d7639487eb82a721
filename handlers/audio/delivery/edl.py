"""Edit decision lists after CMX 3600, which video editors read: one audio file cut into events, end to end.

Layout after SMPTE 258M: event, reel, channel, transition, and four time codes: in and out of the source and of the
record. A cut lands on the frame nearest to its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MOST_EVENTS = 999
"""An event's number has three digits."""


class Cut(NamedTuple):
    """Where an event begins."""

    start_s: float
    name: str


def write_edl(
    path: Path | str, cuts: Sequence[Cut], duration_s: float, *, title: str, audio_name: str, frame_rate: int = 25
) -> None:
    """Write a list of events that play a file once through.

    Parameters
    ----------
    path
        The .edl file.
    cuts
        By time, the first at 0; of two that fall on one frame the first is kept.
    duration_s
        Of the file.
    title
        Of the list.
    audio_name
        The file's name, for the people who link it.
    frame_rate
        Frames a second, non-drop.
    """
    places: dict[int, str] = {}
    for cut in cuts:
        places.setdefault(round(cut.start_s * frame_rate), cut.name)
    ends = [*places, max(round(duration_s * frame_rate), max(places) + 1)]
    if len(places) > MOST_EVENTS:
        raise ValueError(f"{len(places)} cuts; an EDL numbers {MOST_EVENTS} events")
    lines = [f"TITLE: {_plain(title)[:70]}", "FCM: NON-DROP FRAME", ""]
    for number, (first, name) in enumerate(places.items(), 1):
        span = f"{_code(first, frame_rate)} {_code(ends[number], frame_rate)}"
        lines.append(f"{number:03d}  AX       AA    C        {span} {span}")
        lines += [f"* FROM CLIP NAME: {_plain(name)}", f"* SOURCE FILE: {_plain(audio_name)}"]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _code(frame: int, frame_rate: int) -> str:
    seconds, frames = divmod(frame, frame_rate)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _plain(text: str) -> str:
    return " ".join(text.split())
