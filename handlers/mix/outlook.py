"""What a mix will be, before it runs, and what it was, in a few lines. Light: no audio library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from handlers.audio.delivery.choices import FormatChoice, WavSettings
from handlers.audio.delivery.sizes import bytes_per_s
from handlers.contract import Estimate, ItemRecord
from handlers.mix.params import MixParams, Planned
from handlers.mix.transitions import Transition

USUAL_RATE = 44_100
USUAL_BAR_S = 2.0
_NON_COMMERCIAL = re.compile(r"\bNC\b|non-?\s?commercial", re.IGNORECASE)


def estimate(params: MixParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Length and disk space of a mix from the lengths of what goes into it."""
    durations_s: list[float] = []
    if isinstance(params.order, str):
        return Estimate(items=1, duration_s=params.length)
    for reference in params.references:
        for known in inputs.get(reference) or [Estimate()]:
            if known.duration_s is None:
                return Estimate(items=1, duration_s=params.length)
            durations_s += [known.duration_s] * (1 if known.items is None else known.items)
    durations_s *= params.repeat
    total_s = sum(durations_s)
    own = {between.after: between for between in params.transitions}
    for place, (before_s, after_s) in enumerate(pairwise(durations_s), 1):
        total_s -= min(_overlap_s(own.get(place, params.transition)), before_s / 2, after_s / 2)
    if params.length is not None:
        total_s = min(total_s, params.length) if params.order is Planned.AUTO else params.length
    rate = params.sample_rate or USUAL_RATE
    size_bytes = sum(bytes_per_s(choice, rate) for choice in params.formats) * total_s
    if "aligned" in params.extras:
        size_bytes += len(durations_s) * bytes_per_s(FormatChoice(wav=WavSettings()), rate) * total_s
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
    if facts.get("range_lu") is not None:
        head.append(f"range {facts['range_lu']:.1f} LU")
    if facts.get("short_term_max_lufs") is not None:
        head.append(f"loudest 3 s {facts['short_term_max_lufs']:.1f} LUFS")
    if facts.get("true_peak_dbtp") is not None:
        head.append(f"{facts['true_peak_dbtp']:.1f} dBTP")
    if facts.get("tempo_bpm") is not None:
        head.append(f"{facts['tempo_bpm']:g} BPM")
    if "plan" in facts:
        head.append(
            f"planned: {facts['plan']['distance']:.1f} steps, {facts['plan']['random_median']:.1f} by chance, "
            f"peak at {100 * facts['plan']['energy_peak']:.0f} %"
        )
    lines = [", ".join(head), tracklist(facts["tracks"])]
    forbidden = non_commercial(facts["tracks"])
    lines += [f"not for commercial use ({licence}): {', '.join(labels)}" for licence, labels in forbidden.items()]
    return "\n".join(lines)


def non_commercial(tracks: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Licences that forbid commercial use, each with the tracks that stand under it."""
    found: dict[str, list[str]] = {}
    for track in tracks:
        licence = track.get("licence", "")
        if _NON_COMMERCIAL.search(licence) and track["label"] not in found.setdefault(licence, []):
            found[licence].append(track["label"])
    return found


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
