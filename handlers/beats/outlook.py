"""What a `beats` step will yield, and a result in a few lines. Light: no audio library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.beats.params import BeatsParams
from handlers.beats.result import name_section
from handlers.contract import Estimate, ItemRecord

PICTURE_BYTES = 1_000_000
"""What the picture of a dense recording was measured to take."""
JSON_BYTES_PER_S = 180
"""Two beats and seven onsets a second with their bars, strengths and bands."""
AUDIO_BYTES_PER_S = {"cues": 265_000, "click": 200_000}
"""Copies of stereo at 44.1 kHz and 24 bits, as WAV and FLAC."""
LOUDNESS_BLOCK_S = 0.4
"""Less has no loudness (EBU R 128)."""
_PARTS = 8
"""Sections named in one line."""


def estimate(params: BeatsParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return how many items there will be and the bytes of their files."""
    known = inputs.get(params.input) or [Estimate()]
    if any(one.items is None for one in known):
        return Estimate()
    items = sum(one.items or 0 for one in known)
    if any(one.duration_s is None for one in known):
        return Estimate(items=items)
    length_s = sum((one.duration_s or 0.0) * (one.items or 0) for one in known)
    each_s = JSON_BYTES_PER_S + sum(AUDIO_BYTES_PER_S.get(export, JSON_BYTES_PER_S) for export in params.exports)
    return Estimate(items=items, size_bytes=round(items * PICTURE_BYTES + length_s * each_s))


def describe(item: ItemRecord) -> str:
    """Return tempo, bars, sections, key and mood in a few lines."""
    facts = item.facts
    lines = [f"{facts['source']}: {facts['duration_s']:.2f} s, {_tempo(facts)}"]
    if facts["tempo_bpm"] is not None:
        kind = "one steady grid" if facts["steady"] else "tempo changes"
        lines.append(f"{facts['beats']} beats in {facts['bars']} bars of {facts['meter']}, {kind}")
    sound = [f"key {facts['key']} ({facts['camelot']}, {_share(facts['key_confidence'])} sure)"] if facts["key"] else []
    sound += [f"{facts['integrated_lufs']:.1f} LUFS"] if facts["integrated_lufs"] is not None else [_no_loudness(facts)]
    sound += [f"{facts['onsets']} onset{'s' * (facts['onsets'] != 1)}", *facts["mood"]]
    lines.append(", ".join(sound))
    parts = [f"{_clock(one['start_s'])} {name_section(one['label'], one['letter'])}" for one in facts["sections"]]
    lines += [", ".join(parts[start : start + _PARTS]) for start in range(0, len(parts), _PARTS)] * (len(parts) > 1)
    return "\n  ".join(lines)


def _tempo(facts: Mapping[str, Any]) -> str:
    if facts["tempo_bpm"] is None:
        return "no beat found"
    return f"{facts['tempo_bpm']:.2f} BPM ({_share(facts['tempo_confidence'])} sure)"


def _no_loudness(facts: Mapping[str, Any]) -> str:
    return "silent" if facts["duration_s"] >= LOUDNESS_BLOCK_S else "too short for a loudness"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes}:{seconds:02d}"
