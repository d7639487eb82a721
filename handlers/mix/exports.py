"""The light files beside a mix: what DJ programs, editors, video tools and players read. Written with every mix."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from handlers.audio.delivery.audacity import write_audacity
from handlers.audio.delivery.chapters import Chapter, write_ffmetadata
from handlers.audio.delivery.concat import write_concat
from handlers.audio.delivery.cue_chunks import Cue, write_cues
from handlers.audio.delivery.cue_sheet import CueTrack, write_cue_sheet
from handlers.audio.delivery.edl import MOST_EVENTS, Cut, write_edl
from handlers.audio.delivery.rekordbox import TEMPO_STEP_BPM, GridMark, Mark, RekordboxTrack, write_rekordbox
from handlers.audio.delivery.tempo_map import straighten
from handlers.contract import InputFile
from handlers.mix.plan import Plan
from handlers.mix.timeline import Timeline

Grid = dict[str, Any]
REKORDBOX_TOLERANCE_S = 0.002
BARS_PER_CUT = (4, 8, 16, 32, 64, 128)
"""How many bars an event of the edit decision list has: the first that keeps it within its 999 events."""


def write_exports(
    folder: Path,
    timeline: Timeline,
    tracks: Sequence[dict[str, Any]],
    grid: Grid | None,
    *,
    audio: Path,
    title: str,
    artist: str,
) -> dict[str, Path]:
    """Write all of them but those that need a grid where there is none; returns them by label.

    Parameters
    ----------
    folder
        Where they go.
    timeline, tracks, grid
        What the mix is.
    audio
        Where the mix's first file will lie.
    title, artist
        Of the whole.
    """
    duration_s = timeline.frames / timeline.sample_rate
    spans = spans_of(tracks, duration_s)
    files = {
        "cue": folder / "mix.cue",
        "labels": folder / "labels.txt",
        "chapters": folder / "chapters.txt",
        "edl": folder / "mix.edl",
        "order": folder / "order.txt",
    }
    write_cue_sheet(
        files["cue"],
        audio.name,
        [CueTrack(chapter.start_s, chapter.title, artist) for chapter in spans],
        title=title,
        performer=artist,
    )
    moves = ((one["start_s"], one["end_s"], f"({one['kind']})") for one in timeline.transitions())
    write_audacity(files["labels"], sorted([*spans, *moves]))
    write_ffmetadata(files["chapters"], spans, title=title)
    write_edl(files["edl"], cuts_of(spans, grid, duration_s), duration_s, title=title, audio_name=audio.name)
    pieces = [clip.source.file for clip in timeline.played]
    write_concat(
        files["order"],
        [(place_of(file, audio.parent), title) for file, title in zip(pieces, timeline.titles, strict=False)],
        remark="The order of this mix. Edit it and give it to a mix step: order: ./order.txt",
    )
    if grid:
        files["rekordbox"] = folder / "rekordbox.xml"
        write_rekordbox(
            files["rekordbox"],
            [_rekordbox(audio, timeline, grid, spans, title)],
            version=version("drophammer"),
        )
    return files


def spans_of(tracks: Sequence[dict[str, Any]], duration_s: float) -> list[Chapter]:
    """From each track's start to that of the next."""
    starts = [*(track["start_s"] for track in tracks), duration_s]
    return [Chapter(first, last, track["label"]) for track, (first, last) in zip(tracks, pairwise(starts), strict=True)]


def place_of(file: InputFile, folder: Path) -> str:
    """Where a piece lies: seen from the folder that the mix is published in, or from the root.

    Of a job with several seeds each has its folder, and pieces and mix lie in the same.
    """
    return file.published.removeprefix(f"{folder.name}/") or str(file.path)


def add_cues(path: Path, spans: Sequence[Chapter], sample_rate: int) -> None:
    """Name the tracks in a WAV of the mix."""
    places = [(round(span.start_s * sample_rate), round(span.end_s * sample_rate), span.title) for span in spans]
    write_cues(path, [Cue(first, name, last - first) for first, last, name in places])


def cuts_of(spans: Sequence[Chapter], grid: Grid | None, duration_s: float) -> list[Cut]:
    """Where a picture may change: each track, each section, and every fourth downbeat, or as many as there is room for."""
    fixed = {0.0: spans[0].title} | {span.start_s: span.title for span in spans}
    if grid:
        for section in grid.get("sections", ()):
            named = " ".join(filter(None, (_playing(spans, section["start_s"]), section["label"])))
            fixed.setdefault(section["start_s"], named)
    downbeats = [time_s for time_s in (grid or {}).get("downbeats_s", ()) if 0 <= time_s < duration_s]
    cuts = dict(fixed)
    for bars in BARS_PER_CUT:
        bar = {
            time_s: f"{_playing(spans, time_s)} bar {number * bars + 1}"
            for number, time_s in enumerate(downbeats[::bars])
        }
        if len(fixed | bar) <= MOST_EVENTS:
            cuts = bar | fixed
            break
    return [Cut(time_s, name) for time_s, name in sorted(cuts.items())][:MOST_EVENTS]


def _playing(spans: Sequence[Chapter], time_s: float) -> str:
    return next((span.title for span in reversed(spans) if span.start_s <= time_s), spans[0].title)


def beats_in_bar(grid: Grid) -> np.ndarray:
    """``(beats,)`` int: the place of each beat in its bar, from 1."""
    beats, downbeats = np.asarray(grid["beats_s"]), np.asarray(grid.get("downbeats_s") or grid["beats_s"][:1])
    first = np.abs(beats[:, None] - downbeats[None, :]).argmin(axis=0)
    bar = int(np.median(np.diff(first))) if len(first) > 1 else 4
    before = np.searchsorted(first, np.arange(len(beats)), side="right") - 1
    return np.where(before >= 0, np.arange(len(beats)) - first[before], (np.arange(len(beats)) - first[0]) % bar) + 1


def meter_of(grid: Grid) -> int:
    """Beats in most bars."""
    downbeats = grid.get("downbeats_s") or ()
    if len(downbeats) < 2:
        return 4
    places = np.searchsorted(grid["beats_s"], np.asarray(downbeats) - 1e-3)
    return max(1, int(np.median(np.diff(places))))


def _rekordbox(path: Path, timeline: Timeline, grid: Grid, spans: Sequence[Chapter], title: str) -> RekordboxTrack:
    beats_s = np.asarray(grid["beats_s"], float)
    marks = []
    if len(beats_s) > 1:
        places = beats_in_bar(grid)
        stretches = straighten(
            beats_s,
            REKORDBOX_TOLERANCE_S,
            lambda period_s: 60 / (round(60 / period_s / TEMPO_STEP_BPM) * TEMPO_STEP_BPM),
        )
        marks = [GridMark(float(beats_s[one.first]), 60 / one.period_s, int(places[one.first])) for one in stretches]
    return RekordboxTrack(
        path=path,
        name=title,
        duration_s=timeline.frames / timeline.sample_rate,
        sample_rate=timeline.sample_rate,
        tempo_bpm=grid.get("tempo_bpm"),
        meter=f"{meter_of(grid)}/4",
        grid=marks,
        marks=[Mark(span.start_s, span.title) for span in spans],
    )


def write_plan(path: Path, plan: Plan) -> None:
    """Write down why a planned set is as it is, as a Markdown table."""
    lines = [
        "# Why this order", "",
        f"Steps from piece to piece: {plan.distance:.1f} (a random order {plan.random_median:.1f} in the median, sorted "
        f"by tempo {plan.by_tempo:.1f}). A step is a neighbour on the Camelot wheel, or 2 % of tempo.",
        f"The energy peaks at {100 * plan.peak:.0f} % of the set.", "",
        "| # | Piece | BPM | Key | Energy | Why here |", "|--:|---|--:|---|--:|---|",
    ]  # fmt: skip
    for number, (piece, reason) in enumerate(zip(plan.pieces, plan.reasons, strict=True), 1):
        tempo = f"{piece.tempo_bpm:.1f}" if piece.tempo_bpm else ""
        wheel = "{}{}".format(*piece.camelot) if piece.camelot else ""
        label = piece.label.replace("|", "\\|")
        lines.append(f"| {number} | {label} | {tempo} | {wheel} | {piece.energy:.1f} | {reason} |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
