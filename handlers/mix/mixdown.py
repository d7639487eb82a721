"""The run of a `mix` step: plan, listen once for the level, write every format in one pass, check, deliver.

The mix is rendered twice rather than stored in between: decoding costs less than a measurement, and a three-hour
mix needs no scratch space. Memory does not grow with the length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from handlers.audio.columns import Columns
from handlers.audio.delivery.encode import encoding_of
from handlers.audio.files import probe
from handlers.audio.formats import Encoding, check_length, check_rate
from handlers.audio.limiter import Limiter
from handlers.audio.loudness import Loudness, Meter, integrated
from handlers.audio.picture import PLOT_WIDTH, draw_columns
from handlers.contract import Context, Invalid
from handlers.mix.bars import Bars, Grids, find_bars
from handlers.mix.blend import Depth, blend
from handlers.mix.encode import check, encode
from handlers.mix.grid import merge_grids, shared_tempo
from handlers.mix.level import Level, level_towards, level_under
from handlers.mix.outlook import tracklist
from handlers.mix.params import MixParams, Transition
from handlers.mix.timeline import Source, Timeline, plan

ITEM = 1
PEAK_TOLERANCE_DB = 0.05
"""A lossy file's peaks wander; this much over the ceiling is not worth a warning."""


@dataclass(frozen=True)
class Mix:
    """One mix, to be played any number of times."""

    timeline: Timeline
    depth: Depth
    context: Context

    def play(self, phase: str) -> Iterator[np.ndarray]:
        """Yield its blocks, telling how far it is and asking whether anyone still wants it."""
        rate, frames, done = self.timeline.sample_rate, self.timeline.frames, 0
        for block in blend(self.timeline, depth=self.depth):
            self.context.check_cancelled()
            yield block
            done += block.shape[1]
            self.context.progress(phase, done / rate, frames / rate, "s")


def run(params: MixParams, context: Context) -> None:
    """Make the mix of `params` from `context.inputs`: item 1, its renditions and sidecars."""
    if ITEM in context.completed:
        return
    sources = _look_at_sources(params, context)
    grids = Grids(context.check_cancelled)
    timeline = plan(
        sources,
        _transitions(params, len(sources)),
        [partial(_bars, source, grids) for source in sources],
        sample_rate=params.sample_rate,
    )
    for choice in params.formats:
        check_rate(f"mix.{choice.name}", timeline.sample_rate)
        check_length(f"mix.{choice.name}", encoding_of(choice), timeline.frames, timeline.channels)
    for sentence in timeline.remarks:
        context.warn(sentence)
    _log_conversions(timeline, context)
    wide = any(source.info.subtype in ("PCM_32", "DOUBLE") for source in sources)
    mix = Mix(timeline, "float64" if wide else "float32", context)
    cuts = all(clip.joint.kind == "cut" for clip in timeline.clips)

    level = _choose_level(params, mix, cuts)
    if level.warning:
        context.warn(level.warning)
    untouched = cuts and level == Level() and not timeline.converted
    shared = _shared_subtype(sources) if untouched else None
    files = [(context.workdir / f"mix.{choice.name}", encoding_of(choice, shared)) for choice in params.formats]
    columns = Columns(timeline.frames, PLOT_WIDTH)
    title = params.title or context.job_name
    limiter = Limiter(timeline.sample_rate, params.ceiling, gain_db=level.gain_db)
    played = mix.play("encoding")
    if level.limited:
        played = limiter.run(played)
    elif level.gain_db:
        played = (block * block.dtype.type(10 ** (level.gain_db / 20)) for block in played)
    encode(played, timeline, files, columns, {"title": title, "software": "Drophammer"})
    measured = check(files, timeline, context)
    if params.loudness is not None and measured.true_peak_dbtp > params.ceiling + PEAK_TOLERANCE_DB:
        context.warn(
            f"ceiling: {files[0][0].suffix[1:]} encoding raised the true peak to {measured.true_peak_dbtp:.1f} dBTP, "
            f"over {params.ceiling:g}; lower loudness or ceiling, or take a lossless format"
        )
    _deliver(mix, grids, files, columns, measured, {"gain_db": level.gain_db, "limiter_db": limiter.deepest_db}, title)


def _look_at_sources(params: MixParams, context: Context) -> list[Source]:
    """Look at every file behind the order, each once."""
    files = []
    for index, reference in enumerate(params.order, 1):
        found = context.inputs.get(reference)
        if not found:
            raise Invalid(f"order.{index}: {reference!r} holds no audio; name a step, an item or a file that is there")
        files += found
    known = {}
    for done, file in enumerate(files, 1):
        context.check_cancelled()
        if file.path not in known:
            known[file.path] = probe(file.path)
        context.progress("loading", done, len(files), "files")
    return [Source(file, known[file.path]) for file in files]


def _transitions(params: MixParams, pieces: int) -> list[Transition]:
    """The transition after each piece but the last."""
    own: dict[int, Transition] = {}
    for number, between in enumerate(params.transitions, 1):
        if between.after >= pieces:
            raise Invalid(
                f"transitions.{number}: there is no transition after piece {between.after} of {pieces}; "
                f"the last is after {pieces - 1}"
            )
        own[between.after] = between
    return [own.get(place, params.transition) for place in range(1, pieces)]


def _bars(source: Source, grids: Grids, sample_rate: int) -> Bars | None:
    grid = grids.find(source.file)
    return find_bars(grid, sample_rate, source.info.duration_s) if grid else None


def _log_conversions(timeline: Timeline, context: Context) -> None:
    for source in timeline.converted:
        info = source.info
        context.log(
            f"{source.file.label}: {info.sample_rate} Hz and {info.channels} channels become "
            f"{timeline.sample_rate} Hz and {timeline.channels} channels (soxr VHQ)",
            source=source.file.label,
            from_rate=info.sample_rate,
            to_rate=timeline.sample_rate,
            from_channels=info.channels,
            to_channels=timeline.channels,
        )


def _choose_level(params: MixParams, mix: Mix, cuts: bool) -> Level:
    timeline = mix.timeline
    rate, channels = timeline.sample_rate, timeline.channels

    def listen(gain_db: float) -> float:
        limiter = Limiter(rate, params.ceiling, gain_db=gain_db)
        return integrated(limiter.run(mix.play("working")), rate, channels)

    if params.loudness is not None:
        meter = Meter(rate, channels)
        for block in mix.play("working"):
            meter.feed(block)
        return level_towards(meter.result(), params.loudness, params.ceiling, listen)
    # Integer samples laid end to end cannot pass full scale; sums, resampled edges and floating point can.
    integers = all(clip.source.info.subtype.startswith("PCM") for clip in timeline.clips)
    if cuts and integers and not timeline.converted:
        return Level()
    return level_under(max(float(np.abs(block).max()) for block in mix.play("working")), params.ceiling)


def _shared_subtype(sources: list[Source]) -> str | None:
    subtypes = {source.info.subtype for source in sources}
    return subtypes.pop() if len(subtypes) == 1 else None


def _deliver(
    mix: Mix,
    grids: Grids,
    files: list[tuple[Path, Encoding]],
    columns: Columns,
    measured: Loudness,
    level: dict[str, float],
    title: str,
) -> None:
    """Emit sidecars and renditions, then the primary, which makes the item finished."""
    context, timeline = mix.context, mix.timeline
    tracks = timeline.tracks()
    listing = context.workdir / "tracklist.txt"
    listing.write_text(f"{title}\n\n{tracklist(tracks)}\n", encoding="utf-8")
    context.emit(ITEM, listing, "sidecar", label="tracklist")

    grid = merge_grids(timeline, grids)
    if grid:
        path = context.workdir / "grid.json"
        path.write_text(json.dumps(grid, indent=1), encoding="utf-8")
        context.emit(ITEM, path, "sidecar", label="grid")

    picture = context.workdir / "picture.png"
    draw_columns(
        picture,
        columns,
        timeline.sample_rate,
        beats_s=grid["beats_s"] if grid else (),
        downbeats_s=grid.get("downbeats_s", ()) if grid else (),
        sections=[(*span, track["label"]) for track, span in zip(tracks, timeline.reigns(), strict=True)],
        title=title,
    )
    context.emit(ITEM, picture, "sidecar", label="picture")

    for path, how in files[1:]:
        context.emit(ITEM, path, "rendition", format=how.format, subtype=how.subtype)
    (primary, how), facts = files[0], [clip.source.file.facts for clip in timeline.clips]
    shared = {"tempo_bpm": shared_tempo([known.get("tempo_bpm") for known in facts])}
    if len(keys := {known.get("key") for known in facts}) == 1:
        shared["key"] = keys.pop()
    context.emit(
        ITEM,
        primary,
        duration_s=round(timeline.frames / timeline.sample_rate, 6),
        frames=timeline.frames,
        sample_rate=timeline.sample_rate,
        channels=timeline.channels,
        format=how.format,
        subtype=how.subtype,
        **measured.facts(),
        **{name: round(value, 2) for name, value in level.items()},
        tracks=tracks,
        energy_db=columns.energy_db(),
        **{name: value for name, value in shared.items() if value is not None},
    )
