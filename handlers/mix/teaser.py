"""Half a minute of a mix around its best transition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from handlers.audio.columns import Columns
from handlers.audio.delivery.encode import encoding_of
from handlers.audio.delivery.opus import writer_of
from handlers.audio.files import BLOCK, Reader
from handlers.contract import Context
from handlers.mix.params import FormatChoice
from handlers.mix.timeline import Timeline

DURATION_S = 30.0
FADE_S = 0.5
_LIKED = ("beatmatch", "filter", "echo_out", "crossfade", "cut")
"""What shows a mix best; of two of a kind the one between the louder passages."""


def best_transition(timeline: Timeline, columns: Columns) -> dict[str, Any] | None:
    """The transition to show; `None` where there is none."""
    rate = timeline.sample_rate

    def worth(one: dict[str, Any]) -> tuple[int, float]:
        middle = (one["start_s"] + one["end_s"]) / 2
        first, last = (
            int(np.clip((middle + side) * rate / columns.frames, 0, 1) * (len(columns.rms) - 1))
            for side in (-DURATION_S / 2, DURATION_S / 2)
        )
        return -_LIKED.index(one["kind"]), float(np.mean(np.square(columns.rms[first : last + 1])))

    listed = timeline.transitions()
    return max(listed, key=worth) if listed else None


def write_teaser(
    source: Path, timeline: Timeline, columns: Columns, choice: FormatChoice, tags: dict[str, str], context: Context
) -> tuple[Path, dict[str, Any]]:
    """Cut it out of the mix's finished file, with short fades; returns the file and where it was cut.

    Without a transition it is the loudest passage's half minute: here the middle of the piece.
    """
    found = best_transition(timeline, columns)
    length_s = timeline.frames / timeline.sample_rate
    middle = (found["start_s"] + found["end_s"]) / 2 if found else length_s / 2
    start_s = max(0.0, min(middle - DURATION_S / 2, length_s - DURATION_S))
    path = context.workdir / f"teaser.{choice.name}"
    with Reader(source) as reader:
        rate = reader.info.sample_rate
        first, frames = round(start_s * rate), min(round(DURATION_S * rate), reader.info.frames)
        first = min(first, reader.info.frames - frames)
        reader.seek(first)
        fade, done = max(1, min(round(FADE_S * rate), frames // 2)), 0
        with writer_of(
            path, rate, reader.info.channels, encoding_of(choice), {**tags, "title": f"{tags['title']} (teaser)"}
        ) as writer:
            while done < frames:
                context.check_cancelled()
                block = reader.read(min(BLOCK, frames - done))
                places = np.arange(done, done + block.shape[1])
                ramp = np.minimum(np.minimum(places, frames - 1 - places) / fade, 1.0)
                writer.write(block * ramp.astype(np.float32))
                done += block.shape[1]
    facts = {"start_s": round(start_s, 6), "duration_s": round(frames / rate, 6)}
    return path, facts | ({"after": found["after"], "transition": found["kind"]} if found else {})
