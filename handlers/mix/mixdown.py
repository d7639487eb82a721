"""The run of a `mix` step: plan, listen for the levels, write every format in one pass, measure, deliver.

Memory does not grow with the length.
"""

from __future__ import annotations

import json
from functools import partial

from handlers.audio.columns import Columns
from handlers.audio.delivery.encode import encoding_of
from handlers.audio.files import probe
from handlers.audio.formats import check_length, check_rate
from handlers.audio.picture import draw_columns
from handlers.contract import Context, Invalid
from handlers.mix.bars import Bars, Grids, find_bars
from handlers.mix.grid import merge_grids, shared_tempo
from handlers.mix.listening import compare_neighbours, match_loudness
from handlers.mix.master import Master, Mix, Written
from handlers.mix.outlook import tracklist
from handlers.mix.params import MixParams
from handlers.mix.timeline import Source, Timeline, plan
from handlers.mix.transitions import Transition

ITEM = 1


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
    if params.matches_loudness:
        timeline = match_loudness(timeline, params.loudness, context)
    timeline = compare_neighbours(timeline, context)

    wide = any(source.info.subtype in ("PCM_32", "DOUBLE") for source in sources)
    mix = Mix(timeline, "float64" if wide else "float32", context)
    title = params.title or context.job_name
    tags = {"title": title, "software": "Drophammer"}
    master = Master(mix, params, _shared_subtype(timeline) if params.loudness is None else None, tags)
    files = master.run()
    _deliver(mix, grids, files, master.columns, title)


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


def _shared_subtype(timeline: Timeline) -> str | None:
    """How all pieces store their samples, where they are laid end to end and nothing is done to them."""
    untouched = all(clip.joint.kind == "cut" and clip.gain_db == 0.0 for clip in timeline.clips)
    subtypes = {clip.source.info.subtype for clip in timeline.clips}
    return subtypes.pop() if untouched and not timeline.converted and len(subtypes) == 1 else None


def _deliver(mix: Mix, grids: Grids, files: list[Written], columns: Columns, title: str) -> None:
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

    for file in files[1:]:
        context.emit(ITEM, file.path, "rendition", **file.facts)
    primary, facts = files[0], [clip.source.file.facts for clip in timeline.clips]
    shared = {"tempo_bpm": shared_tempo([known.get("tempo_bpm") for known in facts])}
    if len(keys := {known.get("key") for known in facts}) == 1:
        shared["key"] = keys.pop()
    context.emit(
        ITEM,
        primary.path,
        duration_s=round(timeline.frames / timeline.sample_rate, 6),
        frames=timeline.frames,
        sample_rate=timeline.sample_rate,
        channels=timeline.channels,
        **primary.facts,
        tracks=tracks,
        transitions=timeline.transitions(),
        energy_db=columns.energy_db(),
        **{name: value for name, value in shared.items() if value is not None},
    )
