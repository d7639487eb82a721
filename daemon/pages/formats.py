"""Values as people read them: times, sizes, measurements with their units; and text made safe to show anywhere.

The unit of a fact is the end of its name (`_s`, `_bpm`, `_lufs`), as everywhere in this project.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Any

# Control characters, lone surrogates, and the marks that reverse the direction of text: none of them may reach a terminal or a page.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_SPACES = re.compile(r"\s+")

NAMES = {
    "tempo_bpm": "Tempo",
    "key": "Key",
    "integrated_lufs": "Loudness",
    "range_lu": "Loudness range",
    "true_peak_dbtp": "True peak",
    "sample_peak_dbfs": "Sample peak",
    "duration_s": "Duration",
    "sample_rate": "Sample rate",
    "kbps": "Bit rate",
    "licence": "Licence",
    "frames": "Samples",
}
UNITS = {
    "_s": "s", "_ms": "ms", "_bpm": "BPM", "_lufs": "LUFS", "_lu": "LU", "_dbtp": "dBTP", "_dbfs": "dBFS", "_db": "dB",
    "_hz": "Hz", "_percent": "%", "_bytes": "bytes",
}  # fmt: skip


BEYOND = 10**18
"""No measurement is this large; a number that is would fill the page or no float would hold it."""


def visible(text: object) -> str:
    """Show what cannot be seen as a sign for it: ESC becomes ``␛``, what has no sign ``�``. Line breaks and tabs stay."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_sign, text.replace("\r\n", "\n"))


def _sign(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"


def one_line(text: object) -> str:
    """The same on a single line."""
    return _SPACES.sub(" ", visible(text)).strip()


def clock(time_s: float, *, tenths: bool = False) -> str:
    """A place or a length in a recording: ``3:07``, ``1:02:45``, with tenths ``0:07.5``."""
    whole = math.floor(time_s * 10 + 0.5) / 10 if tenths else math.floor(time_s + 0.5)
    minutes, second = divmod(whole, 60)
    hours, minutes = divmod(int(minutes), 60)
    rest = f"{second:04.1f}" if tenths else f"{int(second):02d}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def took(time_s: float | None) -> str:
    """How long work lasted: ``0.42 s``, ``12.3 s``, ``4 min 12 s``, ``2 h 5 min``."""
    if time_s is None:
        return "–"
    if round(time_s, 1) < 60:
        return f"{time_s:.2f} s" if time_s < 1 else f"{time_s:.1f} s"
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def size(size_bytes: int | None) -> str:
    """Decimal units, as file managers and shops use them: ``812 B``, ``10.6 MB``."""
    if size_bytes is None:
        return "–"
    if size_bytes < 1000:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def grouped(number: int) -> str:
    """``17,199,000``"""
    return f"{number:,}"


def date(text: str | None) -> str:
    """``2026-11-21T02:03:15.250Z`` → ``21 November 2026, 02:03 UTC``; what is no time stays as it is."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return one_line(text or "–")
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def time_of_day(text: str | None) -> str:
    """``02:03:15``, UTC."""
    try:
        return f"{datetime.fromisoformat(text or ''):%H:%M:%S}"
    except ValueError:
        return one_line(text or "–")


def name_of(key: str) -> str:
    """The words for a fact's name: ``tempo_bpm`` → ``Tempo``."""
    if key in NAMES:
        return NAMES[key]
    unit = next((end for end in UNITS if key.endswith(end) and len(key) > len(end)), "")
    words = one_line(key.removesuffix(unit)).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def value_of(key: str, value: Any) -> str:
    """A fact's value with its unit, short enough for one line."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(key, value)
    if isinstance(value, list):
        if len(value) <= 12 and all(isinstance(entry, str) for entry in value):
            return _short(", ".join(map(one_line, value)))
        return f"{grouped(len(value))} {'entry' if len(value) == 1 else 'entries'}"
    if isinstance(value, dict):
        if all(entry is None or isinstance(entry, str | bool | int | float) for entry in value.values()):
            # Names inside stand in a row of words, not at the head of a column.
            return _short(", ".join(f"{_inner_name(name)} {value_of(name, entry)}".strip() for name, entry in value.items()))
        return _short(one_line(json.dumps(value, ensure_ascii=False)))
    return _short(one_line(value))


def _inner_name(key: str) -> str:
    words = name_of(str(key))
    return words[:1].lower() + words[1:]


def _number(key: str, value: float) -> str:
    if not -BEYOND < value < BEYOND:
        return "out of range"
    if key == "duration_s":
        return clock(value) if value >= 10 else f"{value:.4g} s"
    if key == "sample_rate":
        return f"{value / 1000:g} kHz"
    if key == "kbps":
        return f"{value:g} kbit/s"
    if key.endswith("_bytes"):
        return size(int(value))
    unit = next((name for end, name in UNITS.items() if key.endswith(end)), "")
    if key == "tempo_bpm" or unit in ("LUFS", "LU", "dBTP", "dBFS", "dB"):
        text = f"{value:.1f}".replace("-", "\N{MINUS SIGN}")
    elif isinstance(value, int):
        # Seeds and years are names, not amounts: they stay as they are typed.
        text = str(value) if "seed" in key or abs(value) < 10_000 else grouped(value)
    else:
        text = f"{value:.4g}"
    return f"{text} {unit}".strip()


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
