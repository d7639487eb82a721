"""Beats, downbeats and sections of the pieces, moved to where the pieces lie in the mix.

Cuts and crossfades move no beat within its piece, and where beats are matched it is known to where; in an overlap the
leaving piece counts until the middle, the entering one from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.mix.bars import NAMES, Grids, are_times, times_of
from handlers.mix.joints import Joint
from handlers.mix.timeline import Clip, Timeline

VERSION = 1
TEMPO_TOLERANCE_BPM = 0.01


def merge_grids(timeline: Timeline, grids: Grids) -> dict[str, Any] | None:
    """Build the mix's grid; `None` unless the beats of every piece are known.

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
    known = [grids.known(clip.source.file) for clip in timeline.clips]
    if None in known:
        return None
    joints = [Joint(), *(clip.joint for clip in timeline.clips)]
    parts = [
        _Part(clip, before, timeline.sample_rate, *reign, grid)
        for clip, before, reign, grid in zip(timeline.clips, joints, timeline.reigns(), known, strict=False)
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


@dataclass(frozen=True)
class _Part:
    """One piece's grid and where it counts in the mix, in seconds."""

    clip: Clip
    before: Joint
    sample_rate: int
    first_s: float
    last_s: float
    grid: dict[str, Any]

    def moved(self, times_s: list[float]) -> list[float]:
        """Times of the piece as times of the mix; infinite where it is not heard."""
        moved = self.clip.in_mix(self.before, np.asarray(times_s, np.float64) * self.sample_rate)
        return (moved / self.sample_rate).tolist()

    def times(self, name: str) -> list[float] | None:
        """Times of the mix that fall where this piece counts; `None` if its grid does not have them."""
        listed_s = times_of(self.grid, name)
        if listed_s is None:
            return None
        return [round(time_s, 6) for time_s in self.moved(listed_s) if self.first_s <= time_s < self.last_s]

    def sections(self) -> list[dict[str, Any]]:
        moved = []
        for section in self.grid.get("sections") or ():
            if not isinstance(section, dict) or not are_times([section.get("start_s"), section.get("end_s")]):
                return []
            begin_s, end_s = self.moved([section["start_s"], section["end_s"]])
            begin_s, end_s = max(begin_s, self.first_s), min(end_s, self.last_s)
            if end_s > begin_s:
                label = str(section.get("label", ""))
                moved.append({"start_s": round(begin_s, 6), "end_s": round(end_s, 6), "label": label})
        return moved
