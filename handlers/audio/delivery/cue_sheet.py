"""Cue sheets: where each track begins in one long file, as players, burners and DJ programs read it.

After CDRWIN's user guide, appendix A: times are minutes, seconds and frames of 1/75 s; quotes cannot be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FRAMES_PER_S = 75
_KINDS = {".mp3": "MP3", ".aiff": "AIFF", ".aif": "AIFF"}


class CueTrack(NamedTuple):
    """A track of the sheet."""

    start_s: float
    title: str
    performer: str = ""


def write_cue_sheet(
    path: Path | str, audio_name: str, tracks: Sequence[CueTrack], *, title: str = "", performer: str = ""
) -> None:
    """Write a sheet that lies beside its audio file.

    Parameters
    ----------
    path
        The .cue file.
    audio_name
        Of the file that the times are of, without folder.
    tracks
        By their start.
    title, performer
        Of the whole.
    """
    lines = [f'PERFORMER "{_plain(performer)}"'] if performer else []
    lines += [f'TITLE "{_plain(title)}"'] if title else []
    lines.append(f'FILE "{_plain(audio_name)}" {_KINDS.get(Path(audio_name).suffix.lower(), "WAVE")}')
    for number, track in enumerate(tracks, 1):
        lines += [f"  TRACK {number:02d} AUDIO", f'    TITLE "{_plain(track.title)}"']
        lines += [f'    PERFORMER "{_plain(track.performer)}"'] if track.performer else []
        lines.append(f"    INDEX 01 {cue_time(track.start_s)}")
    Path(path).write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")


def cue_time(time_s: float) -> str:
    """Minutes, seconds, frames: ``61:02:74``."""
    seconds, frames = divmod(round(time_s * FRAMES_PER_S), FRAMES_PER_S)
    return f"{seconds // 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace('"', "'")
