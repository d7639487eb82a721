"""Beats, downbeats and sections of the pieces, moved to where the pieces lie in the mix.

Cuts and crossfades move no beat within its piece, so what each piece's grid says stays true; in a crossfade the
leaving piece counts until the middle, the entering one from there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from handlers.contract import Invalid
from handlers.mix.timeline import Clip, Timeline

SCHEMA = "drophammer.grid/1"
TEMPO_TOLERANCE_BPM = 0.01


def merge_grids(timeline: Timeline) -> dict[str, Any] | None:
    """Build the mix's grid; `None` unless every piece brings one.

    Returns
    -------
    grid
        `tempo` (beats per minute, `None` if the pieces differ), `beats`, `downbeats`, `onsets` in seconds of the mix,
        and `sections` as `start_s`, `end_s`, `label`. What not every piece knows is an empty list.

    Raises
    ------
    Invalid
        When a piece's grid cannot be read.
    """
    if not all("grid" in clip.source.file.sidecars for clip in timeline.clips):
        return None
    parts = [
        _Part(clip.start / timeline.sample_rate, *reign, _read(clip))
        for clip, reign in zip(timeline.clips, timeline.reigns(), strict=True)
    ]
    merged: dict[str, Any] = {"schema": SCHEMA, "tempo": shared_tempo([part.grid.get("tempo") for part in parts])}
    for name in ("beats", "downbeats", "onsets"):
        known = all(_are_times(part.grid.get(name)) for part in parts)
        merged[name] = [time_s for part in parts for time_s in part.times(name)] if known else []
    merged["sections"] = [section for part in parts for section in part.sections()]
    return merged


def shared_tempo(tempi_bpm: list[Any]) -> float | None:
    """The tempo that all pieces have, in beats per minute; `None` where they differ or one has none."""
    if not all(isinstance(tempo, int | float) for tempo in tempi_bpm):
        return None
    return tempi_bpm[0] if max(tempi_bpm) - min(tempi_bpm) <= TEMPO_TOLERANCE_BPM else None


def _read(clip: Clip) -> dict[str, Any]:
    path = clip.source.file.sidecars["grid"]
    try:
        grid = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{clip.source.file.label}: its grid {path} cannot be read ({error}); analyse it again") from error
    if not isinstance(grid, dict):
        raise Invalid(f"{clip.source.file.label}: its grid {path} holds a {type(grid).__name__}, not an object")
    return grid


def _are_times(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(time, int | float) for time in value)


@dataclass(frozen=True)
class _Part:
    """One piece's grid and where it counts in the mix, in seconds."""

    start_s: float
    first_s: float
    last_s: float
    grid: dict[str, Any]

    def times(self, name: str) -> list[float]:
        moved = (self.start_s + time_s for time_s in self.grid[name])
        return [round(time_s, 6) for time_s in moved if self.first_s <= time_s < self.last_s]

    def sections(self) -> list[dict[str, Any]]:
        moved = []
        for section in self.grid.get("sections") or ():
            if not isinstance(section, dict) or not _are_times([section.get("start_s"), section.get("end_s")]):
                return []
            begin_s = max(self.start_s + section["start_s"], self.first_s)
            end_s = min(self.start_s + section["end_s"], self.last_s)
            if end_s > begin_s:
                label = str(section.get("label", ""))
                moved.append({"start_s": round(begin_s, 6), "end_s": round(end_s, 6), "label": label})
        return moved
