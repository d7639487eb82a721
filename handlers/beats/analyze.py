"""The `beats` handler: listens to each recording once, in blocks, and delivers its picture and its JSON.

Stated behaviour: silence, noise, a drone, a lone click or less than two seconds have no beat (``tempo: null``, no
beats), and the log says so; key, sections and loudness are then still those of the sound. A file that is damaged or
holds NaN is :class:`~handlers.contract.Invalid`. librosa is where it is good and costs nothing else: it makes the
clicks of `exports: [click]` (:mod:`handlers.audio.delivery.click`); its beat tracker, 42 ms late, is not used.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handlers.audio.columns import Columns
from handlers.audio.grid.character import Measures, describe_mood, measure_character
from handlers.audio.grid.features import FeatureStream
from handlers.audio.grid.key import KeyFound, find_key
from handlers.audio.grid.labels import Section, bars_of, name_sections, phrases_of
from handlers.audio.grid.model import Grid
from handlers.audio.grid.onsets import SILENT_DBFS
from handlers.audio.grid.pitches import Pitches
from handlers.audio.grid.track import find_grid_in
from handlers.audio.levels import Curve, Levels
from handlers.audio.loudness import Loudness
from handlers.audio.picture import PLOT_WIDTH, Span, draw_columns
from handlers.audio.reader import AudioInfo, Reader
from handlers.beats.params import BeatsParams, Export
from handlers.beats.report import picture_strips, report
from handlers.beats.result import Result
from handlers.contract import Context, InputFile, Invalid

BLOCK = 1 << 18
"""Samples read at once: 6 s at 44.1 kHz."""
SILENT = 10 ** (SILENT_DBFS / 20)
"""What never gets louder has no mood."""
LISTENED, FOUND = 0.6, 0.9
"""Shares of the work done when the recording has passed by, and when all is found in it."""


@dataclass(frozen=True)
class Analysis:
    """All that was found in one recording."""

    info: AudioInfo
    columns: Columns
    grid: Grid
    sections: list[Section]
    key: KeyFound | None
    measures: Measures
    mood: list[str]
    loudness: Loudness
    curve: Curve


def analyse(
    path: Path | str,
    *,
    tempo_bpm: float | None = None,
    meter: str | None = None,
    first_downbeat_s: float | None = None,
    pulse: Callable[[float], None] = lambda done: None,
) -> Analysis:
    """Analyse one file of any length.

    Parameters
    ----------
    path
        The file.
    tempo_bpm, meter, first_downbeat_s
        What is known beforehand; the rest is fitted to it.
    pulse
        Called with the share done, 0..1, several times a second; may raise to stop.

    Raises
    ------
    Invalid
        When the file is damaged or holds NaN or infinity.
    """
    with Reader(path) as reader:
        info = reader.info
        columns = Columns(info.frames, PLOT_WIDTH)
        features, pitches = FeatureStream(info.sample_rate), Pitches(info.sample_rate)
        levels = Levels(info.sample_rate, info.channels, info.duration_s)
        for block in reader.blocks(BLOCK):
            for listener in (columns, features, pitches, levels):
                listener.feed(block)
            pulse(LISTENED * reader.position / info.frames)
    heard, notes = features.finish(), pitches.finish()
    loudness, curve = levels.finish()
    grid = find_grid_in(
        heard,
        tempo_bpm=tempo_bpm,
        meter=meter,
        first_downbeat_s=first_downbeat_s,
        pulse=lambda done: pulse(LISTENED + (FOUND - LISTENED) * done),
    )
    bars = bars_of(heard, notes, grid.downbeats_s, info.duration_s)
    measures = measure_character(
        heard,
        bars,
        tempo_bpm=grid.tempo_bpm,
        steady=grid.steady,
        onsets_per_s=len(grid.onsets.times_s) / info.duration_s,
        range_lu=loudness.range_lu,
    )
    pulse(FOUND)
    sections = name_sections(bars, has_beat=grid.has_beat)
    key = find_key(notes, phrases_of(bars, sections) if grid.has_beat else ())
    mood = describe_mood(measures) if heard.peak >= SILENT else []
    return Analysis(info, columns, grid, sections, key, measures, mood, loudness, curve)


def run(params: BeatsParams, context: Context) -> None:
    """Analyse every file behind `params.input`: item n is the n-th file."""
    files = context.inputs.get(params.input)
    if not files:
        raise Invalid(f"input: {params.input!r} holds no audio; name a step, an item or a file that is there")
    context.progress("loading", 0, len(files), "files")
    for item, file in enumerate(files, 1):
        if item not in context.completed:
            _analyze(item, file, params, context, len(files))
    context.progress("working", len(files), len(files), "files")


def _analyze(item: int, file: InputFile, params: BeatsParams, context: Context, total: int) -> None:
    def pulse(done: float) -> None:
        context.check_cancelled()
        context.progress("working", item - 1 + done, total, "files")

    found = analyse(
        file.path,
        tempo_bpm=params.tempo,
        meter=params.meter,
        first_downbeat_s=params.first_downbeat,
        pulse=lambda done: pulse(FOUND * done),
    )
    _say_what_is_missing(found.grid, file, params, context)
    result = report(found, file.label)
    image, document = context.workdir / f"{item}.png", context.workdir / f"{item}.json"
    _draw(image, found, result, file.title)
    document.write_text(as_json(result), encoding="utf-8")
    context.emit(item, image, "sidecar", label="picture")
    _export(item, file, params.exports, result, context)
    context.emit(item, document, **facts(result))
    context.progress("working", item, total, "files")


def _say_what_is_missing(grid: Grid, file: InputFile, params: BeatsParams, context: Context) -> None:
    if grid.has_beat:
        return
    if params.tempo:
        context.warn(
            f"{file.label}: no beat was found near {params.tempo:g} BPM; "
            "without `tempo` all from 40 to 240 are looked at"
        )
    else:
        context.log(f"{file.label}: no beat was found", source=file.label, onsets=len(grid.onsets.times_s))


def _draw(path: Path, found: Analysis, result: Result, title: str) -> None:
    grid = found.grid
    tempo = "no beat" if grid.tempo_bpm is None else f"{grid.tempo_bpm:.2f} BPM  {grid.meter}"
    key = f"  {found.key.name} ({found.key.camelot})" if found.key else ""
    draw_columns(
        path,
        found.columns,
        found.info.sample_rate,
        beats_s=grid.beats_s,
        downbeats_s=grid.downbeats_s,
        sections=[Span(one.start_s, one.end_s, one.name, one.letter) for one in result.sections],
        strips=picture_strips(found),
        title=f"{title}  {tempo}{key}",
    )


def as_json(result: Result) -> str:
    """The result's text: one key a line, so that a person finds their way and a list of beats is one line."""
    values = result.model_dump(mode="json")
    lines = (f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _export(item: int, file: InputFile, exports: list[Export], result: Result, context: Context) -> None:
    if not exports:
        return
    # Imported here: MIDI, XML and the rest take a tenth of a second that a plain analysis need not pay.
    from handlers.beats.exports import NEED_BEATS, write_export

    for export in exports:
        if export in NEED_BEATS and len(result.beats) < 2:
            context.warn(f"{file.label}: no beat was found, so there is nothing to export as {export}")
            continue
        written = write_export(export, result, file, context.workdir, item, lambda done: context.check_cancelled())
        for label, path in written.items():
            context.emit(item, path, "sidecar", label=label)


def facts(result: Result) -> dict[str, object]:
    """What the manifest says of a result."""
    return {
        "source": result.source,
        "duration_s": result.duration_s,
        "tempo_bpm": result.tempo,
        "tempo_confidence": result.tempo_confidence,
        "steady": result.steady,
        "meter": result.meter,
        "beats": len(result.beats),
        "bars": len(result.downbeats),
        "onsets": len(result.onsets),
        "sections": [{"start_s": one.start_s, "label": one.label, "letter": one.letter} for one in result.sections],
        "key": result.key.name if result.key else None,
        "camelot": result.key.camelot if result.key else None,
        "key_confidence": result.key.confidence if result.key else None,
        "mood": result.mood,
        "integrated_lufs": result.loudness.integrated_lufs,
    }
