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

VERSION = 1
TEMPO_TOLERANCE_BPM = 0.01
NAMES = {"beats_s": "beats", "downbeats_s": "downbeats", "onsets_s": "onsets"}
"""Lists of times in a grid, and what an analysis calls them, whose own names carry no unit."""


def merge_grids(timeline: Timeline) -> dict[str, Any] | None:
    """Build the mix's grid; `None` unless every piece brings one with beats.

    Returns
    -------
    grid
        `version`, `duration_s`, `tempo_bpm` (`None` if the pieces differ), `beats_s` in seconds of the mix,
        `downbeats_s` and `onsets_s` where every piece knows them, and `sections` as `start_s`, `end_s`, `label`.

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
    merged: dict[str, Any] = {
        "version": VERSION,
        "duration_s": timeline.frames / timeline.sample_rate,
        "tempo_bpm": shared_tempo([part.grid.get("tempo_bpm", part.grid.get("tempo")) for part in parts]),
    }
    for name in NAMES:
        times_s = [part.times(name) for part in parts]
        if all(moved is not None for moved in times_s):
            merged[name] = [time_s for moved in times_s for time_s in moved or ()]
    if "beats_s" not in merged:
        return None
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
        label = clip.source.file.label
        raise Invalid(f"{label}: its grid {path} cannot be read ({error}); analyse it again") from error
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

    def times(self, name: str) -> list[float] | None:
        """Times of the mix that fall where this piece counts; `None` if its grid does not have them."""
        listed_s = self.grid.get(name, self.grid.get(NAMES[name]))
        if not _are_times(listed_s):
            return None
        moved = (self.start_s + time_s for time_s in listed_s)
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
