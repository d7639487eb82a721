"""The `textures` handler: listens to each recording once, cuts its steadiest regions into loops, delivers what holds.

Stated behaviour: a recording that is silent, or too short for the shortest pad, is refused with the reason; among
several it is left out with a warning, and only a step that yields nothing at all is refused. One that is damaged or
holds NaN is refused. Music without a steady passage still gives its steadiest, with a warning. The seed is not used:
the same recordings and parameters always give the same pads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from handlers.audio import files
from handlers.audio.delivery.loop_points import write_loop
from handlers.audio.loop import SLACK_S, choose_start, cut_loop
from handlers.audio.loudness import measure
from handlers.audio.picture import clock, draw
from handlers.audio.reader import AudioInfo, Reader
from handlers.audio.seam import Seam, measure_seam
from handlers.contract import Context, InputFile, Invalid
from handlers.textures.features import Collector
from handlers.textures.params import TexturesParams
from handlers.textures.regions import SILENT_DBFS, UNSTEADY_DB, Choice, Region

BLOCK = 1 << 18
"""Samples read at once: 6 s at 44.1 kHz."""
PEAK_DBTP = -3.0
TRIES = 8
"""Regions looked at for each pad before it is given up."""


@dataclass(frozen=True)
class Pad:
    """A loop that holds: where it was cut, and how it measured."""

    start: int
    """Its first sample in the recording; its crossfade also uses the `fade` samples before."""
    length: int
    fade: int
    region: Region
    seam: Seam


def run(params: TexturesParams, context: Context) -> None:
    """Mine every file behind `params.input`; item numbers run on from file to file."""
    sources = context.inputs.get(params.input)
    if not sources:
        raise Invalid(f"input: {params.input!r} holds no audio; name a step, an item or a file that is there")
    item, reasons = 0, []
    for number, source in enumerate(sources):
        # The choice is made again for a file whose pads an earlier attempt finished: their numbers follow from it.
        info = files.probe(source.path)
        pads = _choose(source, info, params, context, number, len(sources))
        if isinstance(pads, str):
            reasons.append(pads)
            context.progress("working", number + 1, len(sources), "files")
            continue
        for index, pad in enumerate(pads, 1):
            item += 1
            if item not in context.completed:
                _deliver(item, pad, source, info, context)
            context.progress("working", number + 0.6 + 0.4 * index / len(pads), len(sources), "files")
    if not item:
        raise Invalid("; ".join(reasons))
    for reason in reasons:
        context.warn(reason)


def _choose(
    source: InputFile, info: AudioInfo, params: TexturesParams, context: Context, number: int, total: int
) -> list[Pad] | str:
    """The pads of one recording in order of their numbers, or why there are none."""
    wanted = [
        (round(params.length_s(pad) * info.sample_rate), round(params.fade_s(pad) * info.sample_rate))
        for pad in range(params.pads)
    ]
    least = min(length + fade for length, fade in wanted)
    if info.frames < least:
        return (
            f"{source.label}: {info.duration_s:.2f} s is too short: the shortest pad needs "
            f"{least / info.sample_rate:g} s with its crossfade; shorten `durations` or `crossfade`"
        )
    choice = _listen(source, info, context, number, total)
    if choice.loud_db < SILENT_DBFS:
        return f"{source.label}: is silent (under {SILENT_DBFS:g} dBFS throughout); there is nothing to cut pads from"
    found: dict[int, Pad] = {}
    # The longest first: they have the fewest places.
    order = sorted(range(params.pads), key=lambda pad: -wanted[pad][0])
    for place, pad in enumerate(order, 1):
        others = [_span(info, *wanted[other]) for other in order[place:]]
        if placed := _place(source, info, choice, *wanted[pad], others, context):
            found[pad] = placed
    missing = [pad for pad in range(params.pads) if pad not in found]
    if missing:
        lengths = ", ".join(f"{params.length_s(pad):g}" for pad in missing)
        reason = (
            f"{source.label}: {len(found)} of {params.pads} pads; for those of {lengths} s no place was left that is "
            "not silent, not used already, and loops well: ask for fewer or shorter ones"
        )
        if not found:
            return reason
        context.warn(reason)
    moving = sum(pad.region.cost_db > UNSTEADY_DB for pad in found.values())
    if moving:
        context.warn(
            f"{source.label}: {moving} of {len(found)} pads still move (see their steadiness): the recording has no "
            "steadier passage of that length; shorter `durations` may find one"
        )
    return [found[pad] for pad in sorted(found)]


def _listen(source: InputFile, info: AudioInfo, context: Context, number: int, total: int) -> Choice:
    with Reader(source.path) as reader:
        collector = Collector(info.sample_rate)
        for block in reader.blocks(BLOCK):
            context.check_cancelled()
            collector.feed(block)
            context.progress("working", number + 0.5 * reader.position / info.frames, total, "files")
    return Choice(collector.finish())


def _place(
    source: InputFile, info: AudioInfo, choice: Choice, length: int, fade: int, others: list[int], context: Context
) -> Pad | None:
    """The steadiest free region whose loop holds; those that do not are logged with what is wrong."""
    rate, span = info.sample_rate, _span(info, length, fade)
    slack = span - length - fade
    for region in _regions(choice, span, others, context):
        audio = _read(source, region.start, region.end)
        begin = choose_start(audio, fade, slack + 1)
        seam = measure_seam(cut_loop(audio, begin, length, fade), rate, fade)
        faults = list(seam.faults())
        if not faults:
            start = region.start + begin
            choice.take(start - fade, start + length)
            return Pad(start, length, fade, region, seam)
        choice.refuse(region)
        context.log(
            f"{source.label}: the region from {region.start / rate:.2f} to {region.end / rate:.2f} s does not loop: "
            + ", ".join(faults),
            source=source.label,
            **seam.facts(),
        )
    return None


def _span(info: AudioInfo, length: int, fade: int) -> int:
    """Samples a pad is looked for in: its own, its crossfade's, and what its start may move by."""
    return min(fade + length + round(SLACK_S * info.sample_rate), max(info.frames, fade + length))


def _regions(choice: Choice, samples: int, others: list[int], context: Context) -> Iterator[Region]:
    for _ in range(TRIES):
        context.check_cancelled()
        region = choice.best(samples, others)
        if region is None:
            return
        yield region


def _read(source: InputFile, start: int, end: int) -> np.ndarray:
    """A part of a recording without its DC, which would pass for likeness in the crossfade and for a start far from 0."""
    with Reader(source.path) as reader:
        reader.seek(start)
        audio = reader.read(end - start)
    return audio - audio.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)


def _deliver(item: int, pad: Pad, source: InputFile, info: AudioInfo, context: Context) -> None:
    """Write the loop, read it back, and emit what was measured on the file itself."""
    rate = info.sample_rate
    audio = _read(source, pad.start - pad.fade, pad.start + pad.length)
    loop = cut_loop(audio, pad.fade, pad.length, pad.fade)
    gain_db = PEAK_DBTP - measure(loop, rate).true_peak_dbtp
    context.check_cancelled()
    path, image = context.workdir / f"{item}.wav", context.workdir / f"{item}.png"
    begin_s, end_s = (pad.start - pad.fade) / rate, (pad.start + pad.length) / rate
    origin = f"{source.title} {clock(begin_s, tenths=True)} to {clock(end_s, tenths=True)}"
    tags = {
        "title": f"{context.job_name} {context.step} {item}",
        "comment": f"loop from {origin}",
        "software": "Drophammer",
    }
    files.write(path, loop * np.float32(10 ** (gain_db / 20)), rate, subtype="PCM_24", tags=tags)
    write_loop(path, 0, pad.length - 1, rate)
    written, _ = files.read(path)
    if written.shape != loop.shape:
        raise RuntimeError(f"{path}: has shape {written.shape} where {loop.shape} was written")
    seam, loudness = measure_seam(written, rate, pad.fade), measure(written, rate)
    context.check_cancelled()
    draw(
        image,
        written,
        rate,
        spans=[((pad.length - pad.fade) / rate, pad.length / rate, "crossfade")],
        title=f"pad from {origin}",
    )
    context.emit(item, image, "sidecar", label="picture")
    context.emit(
        item,
        path,
        source=source.label,
        start_s=round(begin_s, 6),
        end_s=round(end_s, 6),
        duration_s=pad.length / rate,
        frames=pad.length,
        sample_rate=rate,
        channels=info.channels,
        loop=True,
        crossfade_s=round(pad.fade / rate, 6),
        steadiness=round(pad.region.steadiness, 3),
        gain_db=round(gain_db, 2),
        seam=seam.facts(),
        **loudness.facts(),
    )
