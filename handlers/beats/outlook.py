"""What a `beats` step will yield, and a result in a few lines. Light: no audio library."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.beats.params import BeatsParams
from handlers.contract import Estimate, ItemRecord

PICTURE_BYTES = 900_000
"""What the picture of a dense recording was measured to take."""
JSON_BYTES_PER_S = 110
"""Two beats and seven onsets a second, indented, each on a line of its own."""


def estimate(params: BeatsParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return how many items there will be and the bytes of their JSON and pictures; they hold no audio."""
    known = inputs.get(params.input) or [Estimate()]
    if any(one.items is None for one in known):
        return Estimate()
    items = sum(one.items or 0 for one in known)
    if any(one.duration_s is None for one in known):
        return Estimate(items=items)
    length_s = sum((one.duration_s or 0.0) * (one.items or 0) for one in known)
    return Estimate(items=items, size_bytes=round(items * PICTURE_BYTES + length_s * JSON_BYTES_PER_S))


def describe(item: ItemRecord) -> str:
    """Return tempo, beats and onsets in two lines."""
    facts = item.facts
    length = f"{facts['duration_s']:.2f} s"
    if facts["tempo_bpm"] is None:
        return f"{facts['source']}: no beat found, {length}\n  {facts['onsets']} onsets"
    kind = "one steady grid" if facts["steady"] else "tempo not steady"
    return (
        f"{facts['source']}: {facts['tempo_bpm']:.2f} BPM (confidence {facts['tempo_confidence']:.2f}), {length}\n"
        f"  {facts['beats']} beats, {kind}; {facts['onsets']} onsets"
    )
