"""What a `textures` step will yield, and a result in a few lines. Light: no audio library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handlers.contract import Estimate, Finding, ItemRecord, World
from handlers.textures.params import KINDS, TexturesParams
from handlers.textures.profiles import DEFAULT, Profile, bars_in, load_profile

USUAL_BYTES_PER_S = 44_100 * 2 * 3
"""Stereo of 24 bits."""
USUAL_BAR_S = 2.0
"""At 120 beats per minute."""
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
    known = inputs.get(params.reference) or [Estimate()]
    if params.sources is not None or any(one.items is None for one in known):
        return Estimate(duration_s=mean_s)
    items = len(lengths_s) * len(params.profile_names) * sum(one.items or 0 for one in known)
    return Estimate(items, mean_s, round(items * (mean_s * USUAL_BYTES_PER_S + PICTURE_BYTES)))


def _seconds(length: float | str) -> float:
    bars = bars_in(length)
    return float(length) if bars is None else bars * USUAL_BAR_S


def describe(item: ItemRecord) -> str:
    """Return a texture in two lines: what it is and where it came from, and what was measured."""
    facts = item.facts
    spans = ", ".join(f"{start_s:.2f}-{end_s:.2f} s" for start_s, end_s in facts["source_spans"][:3])
    more = f" and {len(facts['source_spans']) - 3} more" if len(facts["source_spans"]) > 3 else ""
    sort = f" ({facts['variant']})" if facts["variant"] else ""
    head = (
        f"{facts['texture']} {facts['number']}{sort}: {facts['duration_s']:g} s{' loop' if facts['loop'] else ''}, "
        f"{facts['how']} from {facts['source']}, {spans}{more}"
    )
    measures = ", ".join(f"{name} {value:g}" for name, value in _flat(facts["measures"]))
    return f"{head}\n  {measures}"


def _flat(measures: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for name, value in measures.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name.replace("_", " "), value
