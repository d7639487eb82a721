"""What a plan must know of each piece: tempo, key and energy, from what came with it, or heard.

Energy is loudness plus attacks: integrated LUFS, and 3 dB for each doubling of the onsets a second. Of mastered pieces
that are all as loud it is the second that tells a break from a drop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from handlers.audio.loudness import integrated
from handlers.audio.reader import AudioInfo, Reader
from handlers.contract import Context, InputFile
from handlers.mix.bars import TRUSTED, Grids
from handlers.mix.plan import Piece

PER_DOUBLING_DB = 3.0
QUIETEST_LUFS = -70.0
"""BS.1770's own gate: what is below is silence."""


def look_at(files: list[InputFile], infos: dict, grids: Grids, context: Context) -> list[Piece]:
    """Describe every piece; what is not known of it is listened for, and its grid kept for the transitions."""
    pieces = []
    for done, file in enumerate(files, 1):
        context.check_cancelled()
        pieces.append(_piece(file, infos[file.path], grids, context))
        context.progress("loading", done, len(files), "files")
    return pieces


def _piece(file: InputFile, info: AudioInfo, grids: Grids, context: Context) -> Piece:
    grid = grids.known(file) or {}
    found = {
        "tempo_bpm": _number(file.facts.get("tempo_bpm"), grid.get("tempo_bpm"), grid.get("tempo")),
        "key": _key(file.facts.get("key"), grid.get("key")),
        "onsets": _onsets(file, grid),
        "lufs": _number(file.facts.get("integrated_lufs")),
    }
    if None in (found["tempo_bpm"], found["key"], found["onsets"]):
        heard = _hear(file, info, grids, context)
        found |= {name: value for name, value in heard.items() if found[name] is None}
    if found["lufs"] is None:
        found["lufs"] = _loudness(file, info, context)
    per_s = (found["onsets"] or 0) / info.duration_s
    energy = max(QUIETEST_LUFS, found["lufs"]) + PER_DOUBLING_DB * math.log2(1 + per_s)
    return Piece(file.title, info.duration_s, found["tempo_bpm"], found["key"], round(energy, 3))


def _number(*values: Any) -> float | None:
    return next((float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)), None)


def _key(*values: Any) -> str | None:
    named = (value.get("name") if isinstance(value, dict) else value for value in values)
    return next((value for value in named if isinstance(value, str) and value), None)


def _onsets(file: InputFile, grid: dict[str, Any]) -> int | None:
    listed = grid.get("onsets_s", grid.get("onsets"))
    if isinstance(listed, list):
        return len(listed)
    counted = file.facts.get("onsets")
    return counted if isinstance(counted, int) else None


def _hear(file: InputFile, info: AudioInfo, grids: Grids, context: Context) -> dict[str, Any]:
    # Listening takes scipy and more, half a second to import; a set of this program's own pieces hears nothing.
    from handlers.audio.grid.features import FeatureStream
    from handlers.audio.grid.key import find_key
    from handlers.audio.grid.pitches import Pitches
    from handlers.audio.grid.track import find_grid_in

    features, pitches = FeatureStream(info.sample_rate), Pitches(info.sample_rate)
    for block in _blocks(file, context):
        features.feed(block)
        pitches.feed(block)
    heard = find_grid_in(features.finish(), pulse=lambda done: context.check_cancelled())
    key = find_key(pitches.finish())
    sure = heard.has_beat and heard.tempo_confidence >= TRUSTED
    grids.learn(
        file,
        {
            "tempo_bpm": heard.tempo_bpm,
            "tempo_confidence": heard.tempo_confidence,
            "has_beat": heard.has_beat,
            "beats_s": heard.beats_s.tolist(),
            "downbeats_s": heard.downbeats_s.tolist(),
        },
    )
    return {
        "tempo_bpm": heard.tempo_bpm if sure else None,
        "key": key.name if key else None,
        "onsets": len(heard.onsets.times_s),
    }


def _loudness(file: InputFile, info: AudioInfo, context: Context) -> float:
    return integrated(_blocks(file, context), info.sample_rate, info.channels)


def _blocks(file: InputFile, context: Context) -> Iterator[np.ndarray]:
    with Reader(file.path) as reader:
        for block in reader.blocks():
            context.check_cancelled()
            yield block
