"""The order of a set in the syntax of ffmpeg's concat demuxer: ``ffmpeg -f concat -safe 0 -i order.txt ...`` plays it.

Syntax after ffmpeg's documentation (concat demuxer; "Quoting and escaping" in ffmpeg-utils): one directive a line, `#`
begins a comment, a backslash takes the next character as it is, and between single quotes all characters stand for
themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from handlers.contract import Invalid

MARK = "ffconcat version 1.0"
LARGEST_BYTES = 4 << 20
LONGEST_LINE = 10_000
"""Characters; a path has 4096 bytes at most, and each may be escaped."""
MOST_ENTRIES = 10_000
_WITHOUT_MEANING = (
    "ffconcat",
    "duration",
    "stream",
    "exact_stream_id",
    "file_packet_meta",
    "file_packet_metadata",
    "option",
)
"""Directives that change nothing of what is played of an audio file from beginning to end."""


class Entry(NamedTuple):
    """One `file` line."""

    path: str
    line: int
    """Counted from 1."""


def write_concat(path: Path | str, files: Iterable[tuple[str, str]], *, remark: str = "") -> None:
    """Write an order: of each piece the path, as ffmpeg will find it from this file's folder, and a comment for people."""
    lines = [MARK, *(f"# {line}" for line in remark.splitlines())]
    for file, comment in files:
        lines += [f"# {' '.join(comment.split())}"] if comment else []
        lines.append("file " + quoted(file))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def quoted(text: str) -> str:
    """A word in single quotes; a quote in it stands outside of them, escaped."""
    return "'" + text.replace("'", "'\\''") + "'"


def read_concat(path: Path | str) -> list[Entry]:
    """Read an order.

    Raises
    ------
    Invalid
        When it holds no `file` line, or something that cannot be honoured; the message names the line.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Invalid(f"{path}: is larger than {LARGEST_BYTES >> 20} MiB; an order is a short text")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"{path}: cannot be read as an order ({error}); it is a text with a line file '...' for each piece"
        ) from error
    entries = []
    for number, raw in enumerate(text.splitlines(), 1):
        if len(raw) > LONGEST_LINE or "\0" in raw:
            problem = "holds a zero byte" if "\0" in raw else f"has {len(raw)} characters, {LONGEST_LINE} are allowed"
            raise Invalid(f"{path}: line {number}: {problem}; this is no order")
        words = _words(raw.strip(), path, number)
        if not words:
            continue
        if words[0] == "file" and len(words) == 2 and words[1]:
            entries.append(Entry(words[1], number))
            if len(entries) > MOST_ENTRIES:
                raise Invalid(f"{path}: names more than {MOST_ENTRIES} pieces; split it into several sets")
        elif words[0] not in _WITHOUT_MEANING:
            raise Invalid(
                f"{path}: line {number}: {raw.strip()[:80]!r} cannot be honoured; a piece is played whole, by a line file '...'"
            )
    if not entries:
        raise Invalid(f"{path}: names no piece; write a line file '...' for each")
    return entries


def _words(line: str, path: Path, number: int) -> list[str]:
    """Split a line as ffmpeg does."""
    words, word, begun, place = [], "", False, 0
    if line.startswith("#"):
        return []
    while place < len(line):
        character = line[place]
        if character == "'":
            end = line.find("'", place + 1)
            if end < 0:
                raise Invalid(f"{path}: line {number}: a quote is not closed; a quote within a name is written '\\''")
            word, begun, place = word + line[place + 1 : end], True, end
        elif character == "\\" and place + 1 < len(line):
            word, begun, place = word + line[place + 1], True, place + 1
        elif character.isspace():
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + character, True
        place += 1
    return [*words, word] if begun else words
