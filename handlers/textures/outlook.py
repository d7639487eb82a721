"""What a `textures` step will yield, and a result in a few lines. Light: no audio library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from handlers.audio.delivery.slugs import distinct_slugs
from handlers.contract import Estimate, Finding, Invalid, ItemRecord, World
from handlers.textures.params import KINDS, TexturesParams
from handlers.textures.profiles import DEFAULT, Profile, bars_in, load_profile
from handlers.textures.sources import is_catalogue, read_rows

USUAL_BYTES_PER_S = 44_100 * 2 * 3
"""Stereo of 24 bits."""
USUAL_BAR_S = 2.0
"""At 120 beats per minute."""
HOW = {"cut": "cut from", "freeze": "frozen from", "grains": "grains of"}
PICTURE_BYTES = 16_000
"""What the picture of a dense texture was measured to take."""


def check(params: TexturesParams, world: World) -> Iterator[Finding]:
    """Yield an error for a profile that is not there or not well written, a warning for lengths no pad will have."""
    for name in params.profile_names:
        key = "profiles" if params.profiles else "profile"
        try:
            profile = load_profile(world.config_dir, name)
        except ValueError as error:
            yield Finding("error", key, str(error))
            continue
        count = wanted(params, profile)["pads"]
        if params.durations is not None and count and (unused := params.durations[count:]):
            lengths = ", ".join(length if isinstance(length, str) else f"{length:g} s" for length in unused)
            yield Finding(
                "warning", "durations", f"{lengths}: no pad will have this length, for there are {count}; raise `pads`"
            )


def wanted(params: TexturesParams, profile: Profile) -> dict[str, int]:
    """Return how many textures of each kind every recording is to give."""
    counts = {kind: params.count_of(kind) for kind in KINDS}
    return {kind: getattr(profile, kind).count if count is None else count for kind, count in counts.items()}


def estimate(params: TexturesParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return how many textures of what mean length, and the bytes of their files and pictures.

    Profiles lie in files that cannot be looked into here: with one of them the number is known only where all counts
    are given.
    """
    if params.profile_names != [DEFAULT] and any(params.count_of(kind) is None for kind in KINDS):
        return Estimate()
    profile = Profile()
    lengths_s: list[float] = []
    for kind, count in wanted(params, profile).items():
        own = getattr(profile, kind).durations
        durations = (params.durations or own) if kind == "pads" else own
        lengths_s += [_seconds(durations[number % len(durations)]) for number in range(count)]
    mean_s = sum(lengths_s) / len(lengths_s)
    known = [one for reference in params.references for one in inputs.get(reference) or [Estimate()]]
    if params.sources is not None or any(one.items is None for one in known):
        return Estimate(duration_s=mean_s)
    items = len(lengths_s) * len(params.profile_names) * sum(one.items or 0 for one in known)
    return Estimate(items, mean_s, round(items * (mean_s * USUAL_BYTES_PER_S + PICTURE_BYTES)))


def plan(params: TexturesParams, inputs: Mapping[str, list[Path]], world: World) -> Iterator[str]:
    """Yield a line for every recording: what would be made of it, and into which folder.

    Parameters
    ----------
    inputs
        The files behind each reference, keyed as written; a catalogue for `sources`.

    Raises
    ------
    Invalid
        When a profile or the catalogue cannot be read.
    """
    paths = [path for reference in params.references for path in inputs.get(reference, ())]
    if params.sources is not None and len(paths) == 1 and is_catalogue(paths[0]):
        rows = read_rows(paths[0], params.start_index, params.count)
        named = [(params.start_index + place, row["rel_path"], row["slug"]) for place, row in enumerate(rows)]
    else:
        names = [path.name for path in paths]
        named = list(zip(range(len(names)), names, distinct_slugs([str(path) for path in paths]), strict=True))
    for name in params.profile_names:
        try:
            profile = load_profile(world.config_dir, name)
        except ValueError as error:
            raise Invalid(f"profile: {error}") from error
        made = ", ".join(f"{count} {kind}" for kind, count in wanted(params, profile).items() if count)
        for number, label, slug in named:
            folder = f"by_source/{slug}/{name}" if params.profiles else f"by_source/{slug}"
            yield f"{number}  {label} -> {folder}: {made} ({name})"


def _seconds(length: float | str) -> float:
    bars = bars_in(length)
    return float(length) if bars is None else bars * USUAL_BAR_S


def describe(item: ItemRecord) -> str:
    """Return a texture in a line: what it is, how it was made, and where it came from."""
    facts = item.facts
    spans = ", ".join(f"{start_s:.2f}-{end_s:.2f} s" for start_s, end_s in facts["source_spans"][:2])
    more = f" and {len(facts['source_spans']) - 2} more" if len(facts["source_spans"]) > 2 else ""
    sort = f" ({facts['variant']})" if facts["variant"] else ""
    return (
        f"{facts['texture']} {facts['number']}{sort}: {facts['duration_s']:g} s{' loop' if facts['loop'] else ''}, "
        f"{HOW[facts['how']]} {facts.get('from_drums', facts['source'])}, {spans}{more}"
    )
