"""How long a recording's bar is: asked only where lengths are bars, for listening for it costs as much as mining."""

from __future__ import annotations

from collections.abc import Callable

from handlers.audio.reader import Reader
from handlers.contract import InputFile

BLOCK = 1 << 18
MOST_S = 600.0
"""Of a longer recording only its middle is listened to: the tracker holds 130 MB for an hour, and a bar is a bar."""


def find_bar_s(source: InputFile, pulse: Callable[[float], None] = lambda done: None) -> float | None:
    """Return the length of one bar in seconds; `None` for what has no beat.

    A recording that this house made says its tempo itself; its bars have four beats unless it says otherwise.

    Parameters
    ----------
    source
        What is mined.
    pulse
        Called with the share done, 0..1; may raise to stop.

    Raises
    ------
    Invalid
        When the file is damaged or holds NaN or infinity.
    """
    # Few ask for bars, and the tracker takes longer to import than a track takes to be heard.
    from handlers.audio.grid.features import FeatureStream
    from handlers.audio.grid.model import BEATS_PER_BAR
    from handlers.audio.grid.track import find_grid_in

    tempo_bpm, meter = source.facts.get("tempo_bpm"), source.facts.get("meter", "4/4")
    if not isinstance(tempo_bpm, int | float) or meter not in BEATS_PER_BAR:
        with Reader(source.path) as reader:
            frames = min(reader.info.frames, round(MOST_S * reader.info.sample_rate))
            features, left = FeatureStream(reader.info.sample_rate), frames
            if frames < reader.info.frames:
                reader.seek((reader.info.frames - frames) // 2)
            while left:
                features.feed(block := reader.read(min(BLOCK, left)))
                left -= block.shape[1]
                pulse(0.7 * (1 - left / frames))
        grid = find_grid_in(features.finish(), pulse=lambda done: pulse(0.7 + 0.3 * done))
        if not grid.has_beat:
            return None
        tempo_bpm, meter = grid.tempo_bpm, grid.meter
    return BEATS_PER_BAR.get(meter, 4) * 60 / tempo_bpm
