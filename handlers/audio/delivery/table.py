"""A beat grid as a table (CSV after RFC 4180) for spreadsheets and scripts: one row for each beat."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

COLUMNS = ("time_s", "bar", "beat", "tempo_bpm", "section", "letter")


def write_table(path: Path | str, rows: Iterable[tuple[float, int, int, float, str, str]]) -> None:
    """Write beats with their time in seconds, bar number, beat in the bar, tempo, and the section they lie in."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\r\n")
        table.writerow(COLUMNS)
        for time_s, bar, beat, tempo_bpm, section, letter in rows:
            table.writerow((f"{time_s:.6f}", bar, beat, f"{tempo_bpm:.3f}", section, letter))
