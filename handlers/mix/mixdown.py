"""The run of a `mix` step: plan, listen for the levels, write every format in one pass, measure, deliver.

Memory does not grow with the length.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from handlers.audio.delivery.encode import encoding_of
from handlers.audio.files import AudioInfo, probe
from handlers.audio.formats import check_length, check_rate
from handlers.audio.resample import resampled_length
from handlers.contract import Context, InputFile, Invalid
from handlers.mix.bars import Bars, Grids, find_bars
from handlers.mix.deliver import ITEM, deliver
from handlers.mix.listening import compare_neighbours, match_loudness
from handlers.mix.master import Master, Mix
from handlers.mix.order import given_order, trim
from handlers.mix.params import MixParams, Planned
from handlers.mix.plan import Plan, plan_set
from handlers.mix.timeline import Source, Timeline, plan
from handlers.mix.traits import look_at
from handlers.mix.transitions import Transition


def run(params: MixParams, context: Context) -> None:
    """Make the mix of `params` from `context.inputs`: item 1, its renditions and sidecars."""
    if ITEM in context.completed:
        return
    grids = Grids(context.check_cancelled)
    infos: dict[Path, AudioInfo] = {}
    files, planned = _order(params, infos, grids, context)
    _lookup(files, infos, context)
    timeline = _lay(params, files, infos, grids, strict=True, loop=params.loop)
    for choice in params.formats:
        if not choice.opus:
            check_rate(f"mix.{choice.name}", timeline.sample_rate)
        check_length(f"mix.{choice.name}", encoding_of(choice), timeline.frames, timeline.channels)
    for sentence in timeline.remarks:
        context.warn(sentence)
    _log_conversions(timeline, context)
    if params.matches_loudness:
        timeline = match_loudness(timeline, params.loudness, context)
    timeline = compare_neighbours(timeline, context)

    wide = any(clip.source.info.subtype in ("PCM_32", "DOUBLE") for clip in timeline.clips)
    mix = Mix(timeline, "float64" if wide else "float32", context)
    title = params.title or context.job_name
    own = {name: value for name, value in params.tags.model_dump().items() if value}
    tags = {"title": title, **own, "software": "Drophammer"}
    master = Master(mix, params, _shared_subtype(timeline) if params.loudness is None else None, tags)
    files = master.run()
    deliver(params, mix, grids, files, master.columns, tags, planned)


def _order(
    params: MixParams, infos: dict[Path, AudioInfo], grids: Grids, context: Context
) -> tuple[list[InputFile], Plan | None]:
    """What is played, first to last, and the plan behind it where it was not given."""
    files = given_order(params, context)
    _lookup(files, infos, context)
    if params.order is Planned.AUTO:
        return _planned(params, files, infos, grids, context)
    if params.length is not None:

        def ends_s(some: list[InputFile]) -> list[float]:
            timeline = _lay(params, some, infos, grids)
            rate = timeline.sample_rate
            whole = (resampled_length(c.source.info.frames, c.source.info.sample_rate, rate) for c in timeline.clips)
            return [(c.start + c.fade_in + n - c.body_at) / rate for c, n in zip(timeline.clips, whole, strict=True)]

        return trim(files, params.length, ends_s), None
    return files * params.repeat, None


def _planned(
    params: MixParams, files: list[InputFile], infos: dict[Path, AudioInfo], grids: Grids, context: Context
) -> tuple[list[InputFile], Plan]:
    pinned = []
    for number, pin in enumerate(params.pin, 1):
        found = context.inputs.get(pin.piece) or []
        if len(found) != 1 or found[0].path not in [file.path for file in files]:
            raise Invalid(f"pin.{number}: {pin.piece!r} is not one of the pieces; name a single item or file of them")
        pinned.append(found[0].path)
    if params.length is not None:
        files = _fitting(files, params.length, infos, set(pinned))
    pins: dict[int, int] = {}
    for number, (pin, path) in enumerate(zip(params.pin, pinned, strict=True), 1):
        place = {"first": 0, "last": len(files) - 1}.get(pin.at, pin.at if isinstance(pin.at, str) else pin.at - 1)
        piece = next(index for index, file in enumerate(files) if file.path == path)
        if not 0 <= place < len(files):
            raise Invalid(f"pin.{number}: there is no place {pin.at} in a set of {len(files)} pieces")
        if place in pins or piece in pins.values():
            raise Invalid(f"pin.{number}: {pin.piece} at {pin.at}: that piece or place is pinned already")
        pins[place] = piece
    plan_found = plan_set(look_at(files, infos, grids, context), pins, seed=context.seed, pulse=context.check_cancelled)
    return [files[number] for number in plan_found.order], plan_found


def _fitting(
    files: list[InputFile], length_s: float, infos: dict[Path, AudioInfo], pinned: set[Path]
) -> list[InputFile]:
    """The pinned pieces, and of the others as many as fit, as they are listed."""
    kept = {number for number, file in enumerate(files) if file.path in pinned}
    total_s = sum(infos[files[number].path].duration_s for number in kept)
    for number, file in enumerate(files):
        longer_s = total_s + infos[file.path].duration_s
        if number not in kept and (not kept or abs(longer_s - length_s) < abs(total_s - length_s)):
            kept.add(number)
            total_s = longer_s
    return [file for number, file in enumerate(files) if number in kept]


def _lookup(files: list[InputFile], infos: dict[Path, AudioInfo], context: Context) -> None:
    """Look at every file, each once."""
    for done, file in enumerate(files, 1):
        context.check_cancelled()
        if file.path not in infos:
            infos[file.path] = probe(file.path)
        context.progress("loading", done, len(files), "files")


def _lay(
    params: MixParams,
    files: list[InputFile],
    infos: dict[Path, AudioInfo],
    grids: Grids,
    *,
    strict: bool = False,
    loop: bool = False,
) -> Timeline:
    """Lay the pieces out; `strict` where a transition after a piece that is not there is an error."""
    sources = [Source(file, infos[file.path]) for file in (files + files[:1] if loop else files)]
    return plan(
        sources,
        _transitions(params, len(sources), strict),
        [partial(_bars, source, grids) for source in sources],
        sample_rate=params.sample_rate,
        loop=loop,
    )


def _transitions(params: MixParams, pieces: int, strict: bool) -> list[Transition]:
    """The transition after each piece but the last."""
    own: dict[int, Transition] = {}
    for number, between in enumerate(params.transitions, 1):
        if between.after >= pieces and strict:
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
