"""The `beats` handler: listens to each recording once, in blocks, and delivers its picture and its JSON.

Stated behaviour: silence, noise, a drone, a lone click or less than two seconds have no beat (``tempo: null``, no
beats), and the log says so; a file that is damaged or holds NaN is :class:`~handlers.contract.Invalid`.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.audio.columns import Columns
from handlers.audio.picture import PLOT_WIDTH, draw_columns
from handlers.audio.reader import Reader
from handlers.beats.params import HANDLER, BeatsParams
from handlers.contract import Context, InputFile, Invalid

if TYPE_CHECKING:
    from handlers.beats.tracking import Beats

BLOCK = 1 << 18
"""Samples read at once: 6 s at 44.1 kHz."""


def run(params: BeatsParams, context: Context) -> None:
    """Analyse every file behind `params.input`: item n is the n-th file."""
    files = context.inputs.get(params.input)
    if not files:
        raise Invalid(f"input: {params.input!r} holds no audio; name a step, an item or a file that is there")
    context.progress("loading", 0, len(files), "files")
    _choose_compiled_code_folder(context.cache_dir)
    for item, file in enumerate(files, 1):
        if item not in context.completed:
            _analyze(item, file, params, context, len(files))
    context.progress("working", len(files), len(files), "files")


def _choose_compiled_code_folder(cache_dir: Path) -> None:
    """Let numba keep what it compiles for librosa (20 s, once) in our cache where it cannot write beside librosa."""
    spec = find_spec("librosa")
    home = Path(spec.origin).parent if spec and spec.origin else None
    if home and not os.access(home, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir / "numba"))


def _analyze(item: int, file: InputFile, params: BeatsParams, context: Context, total: int) -> None:
    # Imported here: seconds of numba, which a request with nothing left to do must not pay.
    from handlers.beats.envelope import Envelope
    from handlers.beats.tracking import track

    with Reader(file.path) as reader:
        info = reader.info
        columns, envelope = Columns(info.frames, PLOT_WIDTH), Envelope(info.sample_rate)
        for block in reader.blocks(BLOCK):
            context.check_cancelled()
            envelope.feed(block)
            columns.feed(block)
            context.progress("working", item - 1 + 0.9 * reader.position / info.frames, total, "files")
    context.check_cancelled()
    strength = envelope.finish()
    context.check_cancelled()
    found = track(strength, info.duration_s, params.tempo)
    if found.tempo_bpm is None:
        if params.tempo:
            context.warn(
                f"{file.label}: no beat was found near {params.tempo:g} BPM; without `tempo` all from 40 to 240 are looked at"
            )
        else:
            context.log(f"{file.label}: no beat was found", source=file.label, onsets=len(found.onsets_s))
    context.check_cancelled()
    image, result = context.workdir / f"{item}.png", context.workdir / f"{item}.json"
    tempo = "no beat" if found.tempo_bpm is None else f"{found.tempo_bpm:.2f} BPM"
    draw_columns(image, columns, info.sample_rate, beats_s=found.beats_s, title=f"{file.title}  {tempo}")
    document = _document(found, file.label, info.duration_s)
    result.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    context.emit(item, image, "sidecar", label="picture")
    context.emit(
        item,
        result,
        source=file.label,
        duration_s=document["duration_s"],
        tempo_bpm=document["tempo"],
        tempo_confidence=document["tempo_confidence"],
        steady=document["steady"],
        beats=len(found.beats_s),
        onsets=len(found.onsets_s),
    )
    context.progress("working", item, total, "files")


def _document(found: Beats, source: str, duration_s: float) -> dict[str, Any]:
    """What the JSON holds; `docs/` describes it, and `version` counts its changes."""
    return {
        "version": HANDLER.version,
        "source": source,
        "duration_s": round(duration_s, 6),
        "tempo": None if found.tempo_bpm is None else round(found.tempo_bpm, 3),
        "tempo_confidence": round(found.confidence, 3),
        "steady": found.steady,
        "beats": [round(float(time_s), 4) for time_s in found.beats_s],
        "onsets": [round(float(time_s), 4) for time_s in found.onsets_s],
        "method": f"librosa {version('librosa')}",
    }
