"""A catalogue of recordings as a file: CSV for spreadsheets and scripts, JSON, or a Markdown table. Light: stdlib only.

A row is a mapping of `COLUMNS`, and of whatever stands behind them. Text that a spreadsheet would run as a formula is
written with a ``'`` before it, and read without it; so what was written is what is read.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from handlers.audio.delivery.slugs import distinct_slugs
from handlers.contract import Invalid

Row = dict[str, Any]

COLUMNS = (
    "id", "rel_path", "duration_sec", "sample_rate", "channels", "file_size_mb",
    "codec", "bit_depth", "content_hash", "slug", "path",
)  # fmt: skip
"""The first six are what people's scripts read. A megabyte is 1,000,000 bytes."""
SUFFIXES = {".csv": "csv", ".json": "json", ".md": "md", ".markdown": "md"}
LARGEST_BYTES = 256 << 20
_NUMBERS = {
    "duration_sec": float, "sample_rate": int, "channels": int, "file_size_mb": float, "bit_depth": int,
    "selection_score": int, "loudness_lufs": float, "steadiness": float, "noisiness": float, "tempo_bpm": float,
}  # fmt: skip
_DECIMALS = {"duration_sec": 2, "file_size_mb": 1}
# What Excel, LibreOffice and Google Sheets take for a formula: OWASP, "CSV Injection". Full-width forms are the same to some.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_TEXTS = ("id", "rel_path", "path", "slug", "content_hash")
_SLUG = re.compile(r"[a-z0-9_-]{1,100}", re.ASCII)
LONGEST_TEXT = 4096
"""Characters of each of `_TEXTS`: no path is longer."""
_MARKDOWN = re.compile(r"([\\|<`*\[])")
_CELL = re.compile(r"(?<!\\)(?:\\\\)*\|")


def write(path: Path, rows: Sequence[Mapping[str, Any]], *, format: str, title: str = "Catalogue") -> None:
    """Write a catalogue.

    Parameters
    ----------
    path
        The file to write.
    rows
        In the order they are to have; columns beside `COLUMNS` follow in the order of the first row.
    format
        ``csv``, ``json`` or ``md``.
    title
        The heading of a Markdown catalogue.
    """
    columns = [*COLUMNS, *(key for key in (rows[0] if rows else ()) if key not in COLUMNS)]
    if format == "json":
        whole = [{key: row.get(key) for key in columns} for row in rows]
        text = json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
        path.write_text(text, encoding="utf-8")
    elif format == "csv":
        write_table(path, columns, ([_text(key, row.get(key)) for key in columns] for row in rows))
    else:
        lines = [columns, ["---"] * len(columns)]
        lines += [[_MARKDOWN.sub(r"\\\1", _text(key, row.get(key))) for key in columns] for row in rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        path.write_text(f"# {title}\n\n{table}\n", encoding="utf-8")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write any table as CSV, no cell of which a spreadsheet runs as a formula."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([_guarded(cell) for cell in row] for row in rows)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines, with what steps that go over them read: `id`, `path`, `label`, `key`."""
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({**row, "label": row["rel_path"], "key": row["content_hash"]}) + "\n")


def read_rows(path: Path) -> list[Row]:
    """Read what :func:`write_rows` wrote, as rows of a catalogue."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [{key: value for key, value in row.items() if key not in ("label", "key")} for row in rows]


def read(path: Path | str) -> list[Row]:
    """Read a catalogue that :func:`write` or a person's own script wrote.

    Only `rel_path` or `path` must be there; `id` and `slug` are made up where they are missing. `path` is absolute in
    the result: the column's, or, where that file is not there, `rel_path` below the catalogue's own folder.

    Raises
    ------
    Invalid
        When it is no catalogue; the message says what is missing and where.
    """
    path = Path(path)
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise Invalid(f"{path}: a catalogue ends in .csv, .json or .md, found {path.suffix or 'no suffix'!r}")
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Invalid(f"{path}: is larger than {LARGEST_BYTES >> 20} MiB; split it")
        text = path.read_text(encoding="utf-8-sig")
        rows = {"csv": _read_csv, "json": _read_json, "md": _read_markdown}[form](text)
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}; check where it is and its permissions") from error
    except (ValueError, csv.Error, RecursionError) as error:
        raise Invalid(f"{path}: is no catalogue: {error}") from error
    folder = Path(os.path.abspath(path)).parent
    try:
        found = [_row(raw, place, folder) for place, raw in enumerate(rows)]
    except ValueError as error:
        raise Invalid(f"{path}: {error}") from error
    slugs = distinct_slugs([row["rel_path"] for row in found])
    return [{**row, "slug": row.get("slug") or slug} for row, slug in zip(found, slugs, strict=True)]


def _text(column: str, value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.{_DECIMALS[column]}f}" if column in _DECIMALS else str(value)


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _PLAIN_NUMBER.fullmatch(cell) else cell


def _read_csv(text: str) -> list[Row]:
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = []
    for line in lines:
        if None in line or None in line.values():
            raise ValueError(f"line {lines.line_num} has not as many cells as the first line has names")
        rows.append({key: cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell for key, cell in line.items()})
    return rows


def _read_json(text: str) -> list[Row]:
    rows = json.loads(text)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it must be a list of mappings, one a recording")
    return rows


def _read_markdown(text: str) -> list[Row]:
    lines = [line.strip() for line in text.splitlines() if line.lstrip().startswith("|")]
    if len(lines) < 2:
        raise ValueError("there is no table in it")
    names, _, *cells = [_cells(line) for line in lines]
    if any(len(row) != len(names) for row in cells):
        raise ValueError("a line of its table has not as many cells as the first")
    return [dict(zip(names, row, strict=True)) for row in cells]


def _cells(line: str) -> list[str]:
    cells, start = [], 1
    for bar in _CELL.finditer(line, 1):
        cells.append(re.sub(r"\\([\\|<`*\[])", r"\1", line[start : bar.end() - 1].strip()))
        start = bar.end()
    return cells


def _row(raw: Row, place: int, folder: Path) -> Row:
    """One row with its numbers as numbers and its path absolute."""
    row: Row = {}
    _check(raw, place)
    for key, value in raw.items():
        kind = _NUMBERS.get(key)
        if kind and value in ("", None):
            row[key] = None
        elif kind:
            try:
                number = float(value)  # Tables of other programs have 44100.0.
                row[key] = kind(number)
                if not math.isfinite(number):
                    raise OverflowError
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"row {place + 1}: {key} is {value!r}, not a number") from None
        else:
            row[key] = value
    own, rel_path = row.get("path") or "", row.get("rel_path") or ""
    if not (own or rel_path) or not isinstance(own, str) or not isinstance(rel_path, str):
        raise ValueError(f"row {place + 1}: has neither rel_path nor path; a catalogue needs one of them")
    beside = folder / (rel_path or own)
    if not os.path.isabs(own) or (not os.path.exists(own) and beside.exists()):
        own = str(beside)
    filled = {"id": row.get("id") or f"audio_{place:04d}", "rel_path": rel_path or os.path.basename(own), "path": own}
    return {**dict.fromkeys(COLUMNS), **row, **filled, "content_hash": row.get("content_hash") or ""}


def _check(raw: Row, place: int) -> None:
    """Refuse what no catalogue has: whoever wrote it, its words become names of folders, labels and lines on a screen."""
    for key, value in raw.items():
        if isinstance(value, list | dict):
            raise ValueError(
                f"row {place + 1}: {key!a:.60} is a list or a mapping; a catalogue has one value in a cell"
            )
        if key in _TEXTS and value not in ("", None):
            text = str(value)
            if len(text) > LONGEST_TEXT or not text.isprintable():
                raise ValueError(f"row {place + 1}: {key} is {text!a:.60}; it must be one line of plain text")
        elif isinstance(value, str) and not value.isascii():
            value.encode()  # Half a letter, which JSON can name, is a ValueError by itself.
    if (slug := raw.get("slug")) and not _SLUG.fullmatch(str(slug)):
        raise ValueError(f"row {place + 1}: slug is {str(slug)!a:.60}; it must hold a-z, 0-9, _ and - only")
