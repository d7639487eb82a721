"""Where a piece's beats and bars are: read from the grid that came with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.contract import InputFile, Invalid

NAMES = {"beats_s": "beats", "downbeats_s": "downbeats", "onsets_s": "onsets"}
"""Lists of times in a grid, and what an analysis calls them, whose own names carry no unit."""


@dataclass(frozen=True)
class Bars:
    """A piece's beats, in samples of the mix's rate, and fractions of them."""

    beats: np.ndarray
    """``(n,)`` float64, increasing."""
    downbeats: np.ndarray
    """``(m,)`` int: which of them begin a bar. The last may be the end of the last whole bar."""


def read_grid(file: InputFile) -> dict[str, Any] | None:
    """Read the grid beside a piece; `None` where it has none.

    Raises
    ------
    Invalid
        When it is there and cannot be read.
    """
    path = file.sidecars.get("grid")
    if path is None:
        return None
    try:
        grid = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{file.label}: its grid {path} cannot be read ({error}); analyse it again") from error
    if not isinstance(grid, dict):
        raise Invalid(f"{file.label}: its grid {path} holds a {type(grid).__name__}, not an object")
    return grid


def times_of(grid: dict[str, Any], name: str) -> list[float] | None:
    """A list of times by its name (`beats_s`), whatever its writer calls it; `None` where there is none."""
    listed = grid.get(name, grid.get(NAMES[name]))
    return listed if are_times(listed) else None


def are_times(value: object) -> bool:
    """Whether it is a list of numbers."""
    return isinstance(value, list) and all(isinstance(time, int | float) for time in value)


def find_bars(grid: dict[str, Any], sample_rate: int, duration_s: float) -> Bars | None:
    """Take beats and bars from a grid; `None` unless it has two downbeats on beats, or more.

    The end of the last whole bar is a place to leave a piece at: beats are continued up to the piece's end.
    """
    beats_s, downbeats_s = times_of(grid, "beats_s"), times_of(grid, "downbeats_s")
    if not beats_s or not downbeats_s or len(beats_s) < 2:
        return None
    beats = np.asarray(beats_s, np.float64)
    step_s = beats[-1] - beats[-2]
    # A hundredth of a second: a file may end a little before its last bar does.
    more = int(max(0.0, (duration_s + 0.01 - beats[-1]) / step_s))
    beats = np.concatenate([beats, beats[-1] + step_s * np.arange(1, more + 1)])
    places = np.abs(beats[None, :] - np.asarray(downbeats_s)[:, None]).argmin(axis=1)
    places = places[np.abs(beats[places] - downbeats_s) < 0.02]
    if len(places) < 2:
        return None
    last, meter = int(places[-1]), int(places[-1] - places[-2])
    if last + meter < len(beats):
        places = np.append(places, last + meter)
    return Bars(beats * sample_rate, places)
