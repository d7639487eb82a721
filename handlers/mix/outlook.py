"""What a mix will be, before it runs, and what it was, in a few lines. Light: no audio library."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from handlers.audio.delivery.sizes import bytes_per_s
from handlers.contract import Estimate, ItemRecord
from handlers.mix.params import MixParams, Transition

USUAL_RATE = 44_100
USUAL_BAR_S = 2.0


def estimate(params: MixParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Length and disk space of a mix from the lengths of what goes into it."""
    durations_s: list[float] = []
    for reference in params.order:
        for known in inputs.get(reference) or [Estimate()]:
            if known.duration_s is None:
                return Estimate(items=1)
            durations_s += [known.duration_s] * (1 if known.items is None else known.items)
    total_s = sum(durations_s)
    own = {between.after: between for between in params.transitions}
    for place, (before_s, after_s) in enumerate(pairwise(durations_s), 1):
        total_s -= min(_overlap_s(own.get(place, params.transition)), before_s / 2, after_s / 2)
    rate = params.sample_rate or USUAL_RATE
    size_bytes = sum(bytes_per_s(choice, rate) for choice in params.formats) * total_s
    return Estimate(items=1, duration_s=total_s, size_bytes=round(size_bytes))


def _overlap_s(transition: Transition) -> float:
    """Length of an overlap; of bars, whose tempo is not known before, at 120 BPM."""
    return transition.duration or (transition.bars or 0) * USUAL_BAR_S


def describe(item: ItemRecord) -> str:
    """Length, loudness and where each piece starts."""
    facts = item.facts
    head = [clock(facts["duration_s"])]
    if facts.get("integrated_lufs") is not None:
        head.append(f"{facts['integrated_lufs']:.1f} LUFS")
    if facts.get("true_peak_dbtp") is not None:
        head.append(f"{facts['true_peak_dbtp']:.1f} dBTP")
    if facts.get("tempo_bpm") is not None:
        head.append(f"{facts['tempo_bpm']:g} BPM")
    return "\n".join([", ".join(head), tracklist(facts["tracks"])])


def tracklist(tracks: list[dict]) -> str:
    """One line per piece: where it starts, and its name."""
    times = [clock(track["start_s"]) for track in tracks]
    width = max(map(len, times))
    return "\n".join(f"{time:>{width}}  {track['label']}" for time, track in zip(times, tracks, strict=True))


def clock(time_s: float) -> str:
    """Whole seconds as ``3:07`` or ``1:02:45``, rounded down so that a track has begun at its time or is about to."""
    minutes, second = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"
