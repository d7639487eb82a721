"""A mix as a project of Reaper: each source, as it is, on a track of its own, with its fades and stretches as items."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from handlers.audio.delivery.reaper import ReaperItem, write_reaper
from handlers.mix.exports import meter_of, place_of, spans_of
from handlers.mix.joints import Joint
from handlers.mix.timeline import Clip, Timeline


def write_project(
    path: Path, timeline: Timeline, tracks: Sequence[dict[str, Any]], grid: dict[str, Any] | None, *, folder: Path
) -> None:
    """Write it, for the folder it will lie in. Echoes and sweeps become fades: Reaper has no such transition without a plug-in."""
    clips = timeline.played
    before = [Joint(), *(clip.joint for clip in clips[:-1])]
    duration_s = timeline.frames / timeline.sample_rate
    write_reaper(
        path,
        [
            _item(clip, joint, timeline.sample_rate, name=track["label"], path=place_of(clip.source.file, folder))
            for clip, joint, track in zip(clips, before, tracks, strict=True)
        ],
        sample_rate=timeline.sample_rate,
        tempi=_tempi(grid),
        meter=(meter_of(grid) if grid else 4, 4),
        markers=[(span.start_s, span.title) for span in spans_of(tracks, duration_s)],
    )


def _item(clip: Clip, before: Joint, rate: int, *, name: str, path: str) -> ReaperItem:
    entering = before.match.entering if before.match else None
    first = entering[0] if entering else clip.body_at - clip.fade_in
    marks = []
    if entering:
        marks += [(time, source) for time, source in zip(before.match.target, entering, strict=True)]
    if clip.joint.match:
        begin = clip.frames - clip.fade_out
        leaving = clip.joint.match.leaving
        marks += [(begin + time, source) for time, source in zip(clip.joint.match.target, leaving, strict=True)]
    return ReaperItem(
        name=name,
        path=path,
        start_s=max(0, clip.start) / rate,
        length_s=clip.frames / rate,
        offset_s=first / rate,
        fade_in_s=clip.fade_in / rate,
        fade_out_s=clip.fade_out / rate,
        gain=10 ** (clip.gain_db / 20),
        stretch=[(at / rate, (source - first) / rate) for at, source in marks],
    )


def _tempi(grid: dict[str, Any] | None) -> list[tuple[float, float]]:
    """A tempo at each beat where it changes by more than a thousandth."""
    if not grid or len(grid["beats_s"]) < 2:
        return [(0.0, 120.0)]
    found: list[tuple[float, float]] = []
    for one, other in pairwise(grid["beats_s"]):
        tempo_bpm = 60 / max(other - one, 1e-3)
        if not found or abs(tempo_bpm / found[-1][1] - 1) > 0.001:
            found.append((one if found else 0.0, tempo_bpm))
    return found
