"""Where a piece's beats and bars are: read from the grid that came with it, or heard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handlers.audio.reader import Reader
from handlers.contract import InputFile, Invalid

NAMES = {"beats_s": "beats", "downbeats_s": "downbeats", "onsets_s": "onsets"}
"""Lists of times in a grid, and what an analysis calls them, whose own names carry no unit."""
TRUSTED = 0.5
"""A tempo must be likelier than all others together, whether heard here or before."""


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


class Grids:
    """The grids of a mix's pieces, each looked for once."""

    def __init__(self, heed: Callable[[], None]) -> None:
        self._heed = heed
        """Called now and then while listening; may raise to stop."""
        self._known: dict[Path, dict[str, Any] | None] = {}

    def known(self, file: InputFile) -> dict[str, Any] | None:
        """The grid that came with a piece, or was heard before."""
        if file.path not in self._known:
            grid = read_grid(file)
            if grid is None:
                return None
            self._known[file.path] = grid
        return self._known[file.path]

    def learn(self, file: InputFile, grid: dict[str, Any]) -> None:
        """Keep a grid that was heard elsewhere, unless one came with the piece."""
        self._known.setdefault(file.path, grid)

    def find(self, file: InputFile) -> dict[str, Any] | None:
        """The grid of a piece, listening to it if none came with it; `None` where none can be trusted."""
        if self.known(file) is None and file.path not in self._known:
            self._known[file.path] = self._hear(file.path)
        grid = self._known[file.path]
        # An analysis says how sure it is; a grid that was rendered or drawn by hand does not, and is right.
        sure = grid.get("tempo_confidence") if grid else None
        if grid and (grid.get("has_beat") is False or (sure is not None and sure < TRUSTED)):
            return None
        return grid

    def _hear(self, path: Path) -> dict[str, Any] | None:
        # Listening takes scipy and more, half a second to import; most mixes hear nothing.
        from handlers.audio.grid.features import features_of
        from handlers.audio.grid.track import find_grid_in

        def blocks() -> Iterator[np.ndarray]:
            for block in reader.blocks():
                self._heed()
                yield block

        with Reader(path) as reader:
            features = features_of(blocks(), reader.info.sample_rate)
        heard = find_grid_in(features, pulse=lambda done: self._heed())
        if not heard.has_beat or heard.tempo_confidence < TRUSTED:
            return None
        return {
            "tempo_bpm": heard.tempo_bpm,
            "beats_s": heard.beats_s.tolist(),
            "downbeats_s": heard.downbeats_s.tolist(),
        }


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
