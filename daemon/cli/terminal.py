"""Text on its way to a person: nothing in it may drive the terminal, and columns line up.

Names, prompts and reasons come from files that anyone may have dropped; control characters in them are shown as
escapes. Colours only on a terminal, and never with NO_COLOR. rich is imported only when something is drawn with it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

COLOURS = {
    "pending": "yellow", "waiting": "yellow", "queued": "cyan", "running": "bold cyan", "publishing": "cyan",
    "done": "green", "failed": "bold red", "rejected": "bold red", "cancelled": "magenta",
    "ok": "green", "warn": "yellow", "FAIL": "bold red", "warning": "yellow", "error": "bold red", "debug": "dim",
}  # fmt: skip


def safe(text: object) -> str:
    """One line that cannot drive a terminal: control, direction and unprintable characters become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def safe_lines(text: object) -> str:
    """The same, with line breaks kept."""
    return "\n".join(safe(line) for line in str(text).split("\n"))


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def console(*, stderr: bool = False) -> Console:
    """A rich console that interprets no markup in what it prints."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def coloured(word: str, text: str | None = None) -> Text:
    """`text` (or the word itself) in the colour of a state or level."""
    from rich.text import Text

    return Text(safe(text if text is not None else word), style=COLOURS.get(word, ""))


def print_json(value: Any) -> None:
    """One JSON document on stdout. ASCII escapes keep it harmless on a terminal."""
    print(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, state: int | None = None) -> None:
    """Print rows under headings: fitted and coloured on a terminal, whole and aligned when piped.

    `state`: the column whose words are states, to be coloured.
    """
    cells = [[safe("" if cell is None else cell) for cell in row] for row in rows]
    if not is_terminal():
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for line in [[name.upper() for name in columns], *cells]:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        table.add_column(name, no_wrap=index == 0, overflow="fold")
    for line in cells:
        table.add_row(*(coloured(cell) if index == state else coloured("", cell) for index, cell in enumerate(line)))
    console().print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print `name  value` lines; what has no value is left out."""
    shown = [(name, safe(value)) for name, value in facts if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        if is_terminal():
            console().print(
                coloured("debug", name.ljust(width)), coloured(value if name == "state" else "", value), soft_wrap=True
            )
        else:
            print(f"{name.ljust(width)}  {value}")


def note(text: str) -> None:
    """Say something beside the answer, on stderr."""
    print(safe_lines(text), file=sys.stderr)


# --- Figures ----------------------------------------------------------------------------------------------------


def parse_time(text: str) -> datetime:
    """A time as the ledger holds it."""
    return datetime.fromisoformat(text)


def seconds_between(start: str | None, end: str | datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return ((parse_time(end) if isinstance(end, str) else end) - parse_time(start)).total_seconds()


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``12 s``, ``3:05 min``, ``2:00 h``, ``3 d``."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole // 60 % 60:02d} h" if whole < 172_800 else f"{whole // 86_400} d"


def ago(text: str | None, now: datetime | None = None) -> str:
    """How long a moment of the ledger lies back."""
    elapsed = seconds_between(text, now or datetime.now(UTC))
    return "" if elapsed is None else f"{duration(round(max(elapsed, 0)))} ago" if elapsed >= 1 else "now"


def local(text: str | None) -> str:
    """A moment of the ledger in the person's own time zone, to the second."""
    return "" if text is None else f"{parse_time(text).astimezone():%Y-%m-%d %H:%M:%S}"


def size(count: int | float | None) -> str:
    """``512 B``, ``3.4 MB``."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def progress(phase: str | None, done: float | None, total: float | None, unit: str | None) -> str:
    """``working 3/8 stems``."""
    if phase is None:
        return ""
    amount = "" if done is None else f" {_round(done)}/{_round(total)}" if total else f" {_round(done)}" if done else ""
    return f"{phase}{amount}{' ' + unit if amount and unit else ''}"


def _round(amount: float) -> str:
    return f"{amount:.0f}" if amount >= 20 else f"{round(amount, 1):g}"
