"""Everything delivered beside a mix, and the order in which it is: sidecars, parts and renditions, then the result itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from handlers.audio.columns import Columns
from handlers.audio.delivery.chapters import embed_chapters
from handlers.audio.delivery.loop_points import write_loop
from handlers.audio.levels import Curve
from handlers.audio.picture import draw_columns
from handlers.audio.strips import Strip
from handlers.contract import Context
from handlers.mix.aligned import write_aligned
from handlers.mix.bars import Grids
from handlers.mix.exports import add_cues, spans_of, write_exports, write_plan
from handlers.mix.grid import merge_grids, shared_tempo
from handlers.mix.master import Mix, Written
from handlers.mix.outlook import non_commercial
from handlers.mix.params import MixParams
from handlers.mix.plan import Plan
from handlers.mix.project import write_project
from handlers.mix.teaser import write_teaser
from handlers.mix.timeline import Timeline
from handlers.mix.tracklist import describe_tracks, write_tracklists

ITEM = 1
LOUDNESS_COLOUR = (112, 204, 150)
RANGE_LU = 15
"""What the picture shows of the loudness, with room for its label above the loudest 3 s."""


def deliver(
    params: MixParams,
    mix: Mix,
    grids: Grids,
    files: list[Written],
    columns: Columns,
    tags: dict[str, str],
    plan: Plan | None,
) -> None:
    """Write and emit it all; the primary comes last, which makes the item finished."""
    context, timeline, title = mix.context, mix.timeline, tags["title"]
    duration_s = timeline.frames / timeline.sample_rate
    tracks = describe_tracks(timeline)
    grid = merge_grids(timeline, grids)
    _say_licences(tracks, context)
    for path in write_tracklists(context.workdir, title, tracks, duration_s):
        context.emit(ITEM, path, "sidecar", label="tracklist")
    if grid:
        path = context.workdir / "grid.json"
        path.write_text(json.dumps(grid, indent=1), encoding="utf-8")
        context.emit(ITEM, path, "sidecar", label="grid")
    audio = context.published_path(ITEM, files[0].path.suffix)
    exports = write_exports(
        context.workdir,
        timeline,
        tracks,
        grid,
        audio=audio,
        title=title,
        artist=params.tags.artist or "",
    )
    if plan:
        exports["plan"] = context.workdir / "plan.md"
        write_plan(exports["plan"], plan)
    if timeline.loop:
        exports["loop"] = context.workdir / "loop.json"
        exports["loop"].write_text(json.dumps(_loop(timeline, grid), indent=1) + "\n", encoding="utf-8")
    if "reaper" in params.extras:
        exports["reaper"] = context.workdir / "mix.rpp"
        write_project(exports["reaper"], timeline, tracks, grid, folder=audio.parent)
    for label, path in exports.items():
        context.emit(ITEM, path, "sidecar", label=label)
    _draw(context.workdir / "picture.png", timeline, columns, files[0], grid, title)
    context.emit(ITEM, context.workdir / "picture.png", "sidecar", label="picture")
    if "teaser" in params.extras:
        path, cut = write_teaser(files[0].path, timeline, columns, params.formats[0], tags, context)
        context.emit(ITEM, path, "part", label="teaser", **cut)
    if "aligned" in params.extras:
        _emit_aligned(write_aligned(timeline, tracks, grid, context), context)

    spans = spans_of(tracks, duration_s)
    for file in files:
        if file.path.suffix == ".wav":
            add_cues(file.path, spans, timeline.sample_rate)
            if timeline.loop:
                write_loop(file.path, 0, timeline.frames - 1, timeline.sample_rate)
        else:
            embed_chapters(file.path, spans, tags)
    for file in files[1:]:
        context.emit(ITEM, file.path, "rendition", **file.facts)
    context.emit(ITEM, files[0].path, **_facts(timeline, tracks, files[0], columns, plan))


def _say_licences(tracks: list[dict[str, Any]], context: Context) -> None:
    for licence, labels in non_commercial(tracks).items():
        verb = "stands" if len(labels) == 1 else "stand"
        context.warn(
            f"licence: {', '.join(labels)} {verb} under {licence}, which forbids commercial use; so does this mix"
        )


def _emit_aligned(paths: list[Path], context: Context) -> None:
    for number, path in enumerate(paths, 1):
        label = "tempo-map" if path.suffix == ".mid" else f"aligned-{number:03d}"
        folder = f"{context.step}_aligned"
        context.emit(ITEM, path, "part", label=label, published=f"{folder}/{path.name}")


def _loop(timeline: Timeline, grid: dict[str, Any] | None) -> dict[str, Any]:
    rate = timeline.sample_rate
    points = {
        "sample_rate": rate,
        "frames": timeline.frames,
        "loop_start": 0,
        "loop_end": timeline.frames,
        "loop_start_s": 0.0,
        "loop_end_s": round(timeline.frames / rate, 6),
        "note": "loop_end is the first sample that is not played; the wrap-around is mixed into the file's end",
    }
    if grid:
        points |= {"tempo_bpm": grid.get("tempo_bpm"), "beats": len(grid["beats_s"])}
    return points


def _draw(
    path: Path, timeline: Timeline, columns: Columns, file: Written, grid: dict[str, Any] | None, title: str
) -> None:
    """The waveform in a colour for each source, transitions marked, loudness over time below."""
    moves = [(one["start_s"], one["end_s"], one["kind"]) for one in timeline.transitions()]
    reigns = timeline.reigns()
    draw_columns(
        path,
        columns,
        timeline.sample_rate,
        beats_s=grid["beats_s"] if grid else (),
        downbeats_s=grid.get("downbeats_s", ()) if grid else (),
        sections=[(*span, name) for name, span in zip(timeline.titles, reigns, strict=True) if span[1] > span[0]],
        spans=moves,
        strips=_strips(file.measured.curve, file.measured.loudness.integrated_lufs) if file.measured else (),
        title=title,
    )


def _strips(curve: Curve, integrated_lufs: float) -> list[Strip]:
    heard = [
        (time_s, level)
        for time_s, level in zip(curve.times_s, curve.short_term_lufs, strict=True)
        if math.isfinite(level)
    ]
    if not heard:
        return []
    high = max(level for _, level in heard) + 4
    ticks = [round(integrated_lufs, 1)] if math.isfinite(integrated_lufs) else []
    return [Strip("loudness, LUFS over 3 s", [heard], high - RANGE_LU, high, LOUDNESS_COLOUR, ticks=ticks)]


def _facts(
    timeline: Timeline, tracks: list[dict[str, Any]], primary: Written, columns: Columns, plan: Plan | None
) -> dict[str, Any]:
    facts = [clip.source.file.facts for clip in timeline.played]
    shared: dict[str, Any] = {"tempo_bpm": shared_tempo([known.get("tempo_bpm") for known in facts])}
    if len(keys := {known.get("key") for known in facts}) == 1:
        shared["key"] = keys.pop()
    shared["licence"] = ", ".join(dict.fromkeys(track["licence"] for track in tracks if "licence" in track)) or None
    if plan:
        shared["plan"] = {
            "distance": round(plan.distance, 3),
            "random_median": round(plan.random_median, 3),
            "by_tempo": round(plan.by_tempo, 3),
            "energy_peak": round(plan.peak, 4),
        }
    if timeline.loop:
        shared["loop"] = True
    return {
        "duration_s": round(timeline.frames / timeline.sample_rate, 6),
        "frames": timeline.frames,
        "sample_rate": timeline.sample_rate,
        "channels": timeline.channels,
        **primary.facts,
        "tracks": tracks,
        "transitions": timeline.transitions(),
        "energy_db": columns.energy_db(),
        **{name: value for name, value in shared.items() if value is not None},
    }
