"""The files beside the JSON that a `beats` step makes on request, each in the words of another program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from handlers.audio.delivery.audacity import write_audacity
from handlers.audio.delivery.click import write_clicks
from handlers.audio.delivery.cue_chunks import Cue, write_cues
from handlers.audio.delivery.midi import Marker, TimeSignature, write_midi
from handlers.audio.delivery.rekordbox import TEMPO_STEP_BPM, GridMark, Mark, RekordboxTrack, write_rekordbox
from handlers.audio.delivery.table import write_table
from handlers.audio.delivery.tempo_map import map_midi, straighten
from handlers.audio.files import BLOCK, Reader, Writer
from handlers.beats.params import Export
from handlers.beats.result import Result
from handlers.contract import InputFile

REKORDBOX_TOLERANCE_S = 0.002
NEED_BEATS: tuple[Export, ...] = ("rekordbox", "midi", "csv", "click")
"""What says nothing where there is no beat."""
WAV_SUBTYPES = {
    "PCM_U8": "PCM_16", "PCM_S8": "PCM_16", "PCM_16": "PCM_16", "PCM_32": "PCM_32", "FLOAT": "FLOAT", "DOUBLE": "FLOAT",
}  # fmt: skip
"""How a copy stores samples so that none is changed; all else, 24 bits and lossy files, as 24 bits."""

Pulse = Callable[[float], None]


def write_export(
    export: Export, result: Result, file: InputFile, folder: Path, item: int, pulse: Pulse
) -> dict[str, Path]:
    """Write one kind of export; returns its files by label.

    Parameters
    ----------
    export
        Which; those of `NEED_BEATS` need two beats.
    result
        The analysis of `file`.
    folder, item
        Where the files go, and the number that their names begin with.
    pulse
        Called with the share done, 0..1; may raise to stop.
    """
    match export:
        case "audacity":
            beats, sections = folder / f"{item}-audacity-beats.txt", folder / f"{item}-audacity-sections.txt"
            numbered = zip(result.beats, result.bars, result.beats_in_bar, strict=True)
            write_audacity(beats, ((time_s, time_s, f"{bar}.{beat}") for time_s, bar, beat in numbered))
            write_audacity(sections, ((one.start_s, one.end_s, one.name) for one in result.sections))
            return {"audacity-sections": sections} | ({"audacity-beats": beats} if result.beats else {})
        case "rekordbox":
            path = folder / f"{item}-rekordbox.xml"
            write_rekordbox(path, [_rekordbox_track(result, file)], version=version("drophammer"))
        case "midi":
            path = folder / f"{item}-midi.mid"
            _write_midi(path, result, file.title)
        case "csv":
            path = folder / f"{item}-csv.csv"
            write_table(path, _rows(result))
        case "cues":
            path = folder / f"{item}-cues.wav"
            _copy_as_wav(file.path, path, pulse)
            write_cues(path, list(_cues(result)))
        case "click":
            path = folder / f"{item}-click.flac"
            write_clicks(path, file.path, result.beats, result.downbeats, pulse=pulse)
    return {export: path}


def _rekordbox_track(result: Result, file: InputFile) -> RekordboxTrack:
    beats_s = np.array(result.beats)
    stretches = straighten(
        beats_s, REKORDBOX_TOLERANCE_S, lambda period_s: 60 / (round(60 / period_s / TEMPO_STEP_BPM) * TEMPO_STEP_BPM)
    )
    return RekordboxTrack(
        path=file.path,
        name=file.title,
        duration_s=result.duration_s,
        sample_rate=result.sample_rate,
        tempo_bpm=result.tempo,
        meter=result.meter or "4/4",
        grid=[
            GridMark(float(beats_s[first]), 60 / period_s, result.beats_in_bar[first])
            for first, _, period_s in stretches
        ],
        marks=[Mark(one.start_s, one.name) for one in result.sections],
        key=result.key.camelot if result.key else None,
    )


def _write_midi(path: Path, result: Result, title: str) -> None:
    meter = result.meter or "4/4"
    top, unit = (int(part) for part in meter.split("/"))
    downbeats = [number for number, beat in enumerate(result.beats_in_bar) if beat == 1] or [0]
    # 6/8 may be counted in two or in six; a bar has its quarters either way.
    beats_in_bar = max(result.beats_in_bar)
    laid = map_midi(np.array(result.beats), np.array(downbeats), (4 * top / unit) / beats_in_bar)
    write_midi(
        path,
        tempo_map=laid.tempi,
        time_signatures=[TimeSignature(0.0, top, unit)],
        markers=[Marker(laid.position(one.start_s), one.name) for one in result.sections],
        title=title,
    )


def _rows(result: Result) -> Iterator[tuple[float, int, int, float, str, str]]:
    starts_s = [one.start_s for one in result.sections]
    segments_s = [one.start_s for one in result.segments]
    for time_s, bar, beat in zip(result.beats, result.bars, result.beats_in_bar, strict=True):
        section = result.sections[_last_before(starts_s, time_s)]
        segment = result.segments[_last_before(segments_s, time_s)]
        yield time_s, bar, beat, segment.tempo_bpm, section.label, section.letter


def _last_before(starts_s: Sequence[float], time_s: float) -> int:
    return max(0, int(np.searchsorted(starts_s, time_s + 1e-6, side="right")) - 1)


def _cues(result: Result) -> Iterator[Cue]:
    """Sections as regions, and every bar as a point."""
    for one in result.sections:
        start, end = round(one.start_s * result.sample_rate), round(one.end_s * result.sample_rate)
        yield Cue(start, one.name, end - start)
    for time_s, bar, beat in zip(result.beats, result.bars, result.beats_in_bar, strict=True):
        if beat == 1:
            yield Cue(round(time_s * result.sample_rate), f"bar {bar}")


def _copy_as_wav(source: Path, path: Path, pulse: Pulse) -> None:
    with Reader(source) as reader:
        subtype = WAV_SUBTYPES.get(reader.info.subtype, "PCM_24")
    with Reader(source, dtype="float64" if subtype == "PCM_32" else "float32") as reader:
        with Writer(path, reader.info.sample_rate, reader.info.channels, subtype=subtype) as writer:
            for block in reader.blocks(BLOCK):
                writer.write(block)
                pulse(reader.position / reader.info.frames)
