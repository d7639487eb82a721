"""What a `textures` step will yield, and a result in a few lines. Light: no audio library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handlers.contract import Estimate, Finding, ItemRecord, World
from handlers.textures.params import TexturesParams

USUAL_BYTES_PER_S = 44_100 * 2 * 3
"""Stereo of 24 bits."""
PICTURE_BYTES = 900_000
"""What the picture of dense sound was measured to take."""


def check(params: TexturesParams, world: World) -> Iterator[Finding]:
    """Yield a warning for lengths that no pad will have."""
    if unused := params.durations[params.pads :]:
        lengths = ", ".join(f"{length_s:g}" for length_s in unused)
        yield Finding(
            "warning",
            "durations",
            f"{lengths} s: no pad will have this length, for there are {params.pads}; raise `pads`",
        )


def estimate(params: TexturesParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return how many pads of what mean length, and the bytes of their WAV files and pictures."""
    lengths_s = [params.length_s(pad) for pad in range(params.pads)]
    mean_s = sum(lengths_s) / len(lengths_s)
    known = inputs.get(params.input) or [Estimate()]
    if any(one.items is None for one in known):
        return Estimate(duration_s=mean_s)
    items = params.pads * sum(one.items or 0 for one in known)
    return Estimate(items, mean_s, round(items * (mean_s * USUAL_BYTES_PER_S + PICTURE_BYTES)))


def describe(item: ItemRecord) -> str:
    """Return a pad in two lines: where it came from, and how well it loops."""
    facts = item.facts
    seam = facts["seam"]
    return (
        f"pad {item.item}: {facts['duration_s']:g} s loop from {facts['source']}, "
        f"{facts['start_s']:.2f} to {facts['end_s']:.2f} s, steadiness {facts['steadiness']:.2f}\n"
        f"  seam: jump {seam['jump']:.2f}, slope {seam['slope']:.2f}, level {seam['dip_db']:+.1f} dB; "
        f"true peak {facts['true_peak_dbtp']:.1f} dBTP"
    )
