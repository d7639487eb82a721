"""The tracks of a mix as other programs and people read them: where each begins, and what is known of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile as sf

from handlers.contract import InputFile
from handlers.mix.outlook import clock, tracklist
from handlers.mix.timeline import Timeline


def describe_tracks(timeline: Timeline) -> list[dict[str, Any]]:
    """The timeline's tracks with `number`, and `tempo_bpm`, `key` and `licence` where they are known."""
    described = []
    for number, (track, clip) in enumerate(zip(timeline.tracks(), timeline.clips, strict=False), 1):
        file = clip.source.file
        known = {name: file.facts.get(name) for name in ("tempo_bpm", "key")}
        known["licence"] = licence_of(file)
        described.append({"number": number, **track, **{name: one for name, one in known.items() if one is not None}})
    return described


def licence_of(file: InputFile) -> str | None:
    """What a piece may be used for: as its maker recorded it, or as the file's own tag says."""
    named = file.facts.get("licence")
    if isinstance(named, str) and named:
        return named
    try:
        with sf.SoundFile(file.path) as opened:
            return opened.license or _in_comment(opened.comment)
    except sf.LibsndfileError:
        return None


def _in_comment(comment: str) -> str | None:
    """The licence of a stem of this program: WAV files have no tag of their own for it."""
    try:
        made = json.loads(comment)["drophammer"]["licence"]
    except (ValueError, TypeError, KeyError):
        return None
    return made if isinstance(made, str) else None


def write_tracklists(folder: Path, title: str, tracks: Sequence[dict[str, Any]], duration_s: float) -> list[Path]:
    """Write tracklist.txt, .json and .md."""
    text, document, table = (folder / f"tracklist.{suffix}" for suffix in ("txt", "json", "md"))
    text.write_text(f"{title}\n\n{tracklist(list(tracks))}\n", encoding="utf-8")
    whole = {"title": title, "duration_s": round(duration_s, 6), "tracks": list(tracks)}
    document.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    lines = [f"# {_cell(title)}", "", "| # | Start | Track | BPM | Key | Licence |", "|--:|--:|---|--:|---|---|"]
    for track in tracks:
        tempo = f"{track['tempo_bpm']:g}" if "tempo_bpm" in track else ""
        cells = (
            track["number"],
            clock(track["start_s"]),
            track["label"],
            tempo,
            track.get("key", ""),
            track.get("licence", ""),
        )
        lines.append(f"| {' | '.join(_cell(str(cell)) for cell in cells)} |")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [text, document, table]


def _cell(text: str) -> str:
    return re.sub(r"([\\|<`*\[_])", r"\\\1", " ".join(text.split()))
