"""Markdown from untrusted text: every character that means something to a renderer is escaped, and only those.

GitHub's flavour: tables, fenced code. People also read these files as plain text, so as few signs as possible are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from daemon.pages.formats import one_line, visible

MOST_ROWS = 200
"""Of a table: a job may have made thousands of files."""
_SPECIAL = re.compile(r"[\\`*\[\]<>|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.|@", re.IGNORECASE)
_AT_START = re.compile(r"^(?:([#+=-])|(\d+)([.)])(?=\s|$))")


def escape(text: object) -> str:
    """One line of text that a renderer shows as it is, wherever in a line it stands."""
    escaped = _SPECIAL.sub(lambda match: "&amp;" if match[0] == "&" else "\\" + match[0], one_line(text))
    return _AT_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", escaped)


def code(text: object) -> str:
    """One line of code, its fence longer than any run of backticks in it. Fit for a table's cell."""
    plain = one_line(text).replace("|", "\\|")
    if not plain:
        return ""
    ticks = "`" * (_longest_run(plain) + 1)
    space = " " if plain[0] == "`" or plain[-1] == "`" else ""
    return f"{ticks}{space}{plain}{space}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """A block of code, its fence longer than any in it."""
    plain = visible(text).rstrip("\n")
    fence = "`" * max(3, _longest_run(plain) + 1)
    return f"{fence}{language}\n{plain}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0) if "`" in text else 0


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; columns that are empty in every row are left out, and so are many rows."""
    body = [list(row) for row in rows]
    more = len(body) - MOST_ROWS
    if more > 0:
        body = [*body[:MOST_ROWS], [f"and {more} more, all in manifest.json", *[""] * (len(head) - 1)]]
    kept = [column for column in range(len(head)) if any(row[column] for row in body)]
    lines = [[head[column] for column in kept], ["---"] * len(kept), *([row[column] for column in kept] for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
