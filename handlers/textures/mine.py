"""The `textures` handler: every recording becomes pads, swells, clouds, hiss and flickers, by profile.

Stated behaviour. Among several recordings, one that is silent, damaged, truncated, holds NaN or is too short is left
out with a warning; alone, or where nothing at all comes out, it is refused with the reason. Rates from 8 to 192 kHz
and any number of channels are kept unless a pack asks for others; a constant offset (DC) is taken out; an hour is
read in blocks. A texture that does not pass its measures is dropped: the reason stands in `mining.json`, in the log
and in a warning. Items are numbered by their place in the request, so a dropped one leaves a gap, and a resumed run
gives what is left its own numbers. The seed is not used: the same recordings and parameters always give the same
textures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.audio import files
from handlers.audio.delivery.slugs import distinct_slugs
from handlers.audio.thumbnails import Envelope
from handlers.contract import Context, InputFile, Invalid
from handlers.textures.bars import find_bar_s
from handlers.textures.deliver import Delivery, Origin
from handlers.textures.engine import Dropped, mine
from handlers.textures.packs import target_of
from handlers.textures.params import TexturesParams
from handlers.textures.profiles import Profile, load_profile
from handlers.textures.sources import expand, is_catalogue
from handlers.textures.wanted import (
    TR8S_FILES,
    TR8S_MEMORY_S,
    UNKNOWN_BAR_S,
    Want,
    fit_memory,
    list_wants,
    needs_bars,
)

Pulse = Callable[[float], None]
REASONS_TOLD = 3
"""In a warning; all stand in mining.json."""


@dataclass(frozen=True)
class Work:
    """One recording in one profile."""

    source: InputFile
    slug: str
    profile_name: str
    profile: Profile
    first: int
    """The item of its first texture."""
    room_s: float
    """What it may take of a TR-8S's memory."""


def run(params: TexturesParams, context: Context) -> None:
    """Mine every recording behind `params.input` or in the catalogue `params.sources`, in every profile."""
    profiles, sources = _profiles(params, context), _sources(params, context)
    # An item is called by its step and number (`beds_3`), a file by its own name.
    labels = [one.label.replace("/", " ") if one.title == one.label else one.label for one in sources]
    made_up = distinct_slugs(labels)
    slugs = [str(source.facts.get("slug") or slug) for source, slug in zip(sources, made_up, strict=True)]
    room_s = TR8S_MEMORY_S / (len(sources) * len(profiles))
    reasons: list[str] = []
    made, first, parts = 0, 1, len(sources) * len(profiles)
    for number, (source, slug) in enumerate(zip(sources, slugs, strict=True)):
        for turn, (name, profile) in enumerate(profiles):
            begun = number * len(profiles) + turn

            def pulse(done: float, begun: int = begun) -> None:
                context.check_cancelled()
                context.progress("working", (begun + min(done, 1.0)) / parts * len(sources), len(sources), "files")

            pulse(0.0)
            try:
                made += _mine(Work(source, slug, name, profile, first, room_s), params, context, pulse)
            except Invalid as error:
                reasons.append(str(error))
            first += len(list_wants(params, profile, None))
            pulse(1.0)
    if not made:
        raise Invalid("; ".join(dict.fromkeys(reasons)))
    for reason in dict.fromkeys(reasons):
        context.warn(reason)


def _profiles(params: TexturesParams, context: Context) -> list[tuple[str, Profile]]:
    try:
        return [(name, load_profile(context.config_dir, name)) for name in params.profile_names]
    except ValueError as error:
        raise Invalid(f"profile: {error}") from error


def _sources(params: TexturesParams, context: Context) -> Sequence[InputFile]:
    sources = [source for reference in params.references for source in context.inputs.get(reference, ())]
    if not sources:
        named = ", ".join(params.references)
        raise Invalid(f"input: {named!r} holds no audio; name a step, an item or a file that is there")
    if params.sources is not None and len(sources) == 1 and is_catalogue(sources[0].path):
        root = context.folders[params.root] if params.root else None
        return expand(sources[0], params.start_index, params.count, root)
    return sources


def _mine(work: Work, params: TexturesParams, context: Context, pulse: Pulse) -> int:
    """Deliver what is left to do of one recording in one profile; return how many textures it has then."""
    source = work.source
    count = len(list_wants(params, work.profile, None))
    done = {
        item - work.first: context.completed[item].facts
        for item in range(work.first, work.first + count)
        if item in context.completed
    }
    if any(facts.get("last_of_source") for facts in done.values()):
        return len(done)
    info = files.probe(source.path)
    bar_s = None
    if needs_bars(params, work.profile):
        bar_s = find_bar_s(source, lambda share: pulse(0.3 * share))
        if bar_s is None:
            context.warn(f"{source.label}: has no beat: bars are taken to last {UNKNOWN_BAR_S:g} s")
    target = target_of(params.pack, work.profile.output)
    origin = Origin(
        source.label, source.title, work.slug, info.sample_rate, info.channels, info.duration_s, source.sha256,
        dict(source.facts),
    )  # fmt: skip
    peak_dbtp = work.profile.output.peak if params.peak is None else params.peak
    delivery = Delivery(
        context, origin, target, peak_dbtp, work.profile_name, work.profile_name if params.profiles else "",
        params.pictures, delivered=list(done.values()),
    )  # fmt: skip
    wants = list_wants(params, work.profile, bar_s)
    if params.pack == "tr8s":
        kept = list(fit_memory(wants, work.room_s, TR8S_FILES))
        for want, reason in kept:
            if reason:
                delivery.drop(want.kind, want.number, want.variant, reason)
        wants = [want for want, reason in kept if not reason]
    _stream(work, wants, done, delivery, params, context, pulse)
    if delivery.dropped:
        made = len(delivery.delivered)
        message = f"{source.label}: {made} of {count} textures. {_why(delivery.dropped)}"
        if not made:
            raise Invalid(message)
        context.warn(message)
    return len(delivery.delivered)


def _stream(
    work: Work,
    wants: Sequence[Want],
    done: Mapping[int, Mapping[str, Any]],
    delivery: Delivery,
    params: TexturesParams,
    context: Context,
    pulse: Pulse,
) -> None:
    """Have what is left mined, and deliver each texture as it comes."""
    by_place = {want.place: want for want in wants}
    info = files.probe(work.source.path)
    envelope = Envelope(info.frames)
    crossfade_s = work.profile.pads.crossfade if params.crossfade is None else params.crossfade
    drums = [file.path for reference in params.drums for file in context.inputs[reference]]
    for made in mine(
        work.source.path,
        [want for want in wants if want.place not in done],
        profile=work.profile,
        crossfade_s=crossfade_s,
        peak_dbtp=delivery.peak_dbtp,
        drums=drums,
        taken=[span for facts in done.values() for span in facts["source_spans"]],
        listen=envelope.feed,
        pulse=pulse,
    ):
        want = by_place[made.place]
        if isinstance(made, Dropped):
            delivery.drop(want.kind, want.number, want.variant, made.reason)
        else:
            item = work.first + want.place
            delivery.add(item, want.kind, want.number, want.variant, made.audio, made.loop, made.facts)
    delivery.finish(envelope)


def _why(dropped: Sequence[Mapping[str, Any]]) -> str:
    """Say what was dropped, by its reason: `hiss01, hiss02: hiss lies above 4 kHz, ...`."""
    by_reason: dict[str, list[str]] = {}
    for one in dropped:
        by_reason.setdefault(one["reason"], []).append(one["name"])
    told = [f"{', '.join(names)}: {reason}" for reason, names in list(by_reason.items())[:REASONS_TOLD]]
    left = len(by_reason) - len(told)
    return "; ".join(told) + (f"; and {left} more reasons, in mining.json" if left > 0 else "")
