"""`aligned/`: every piece as a WAV of the mix's own length, silent where it is not heard, and one MIDI tempo map.

Dragged to the start of any DAW, under that tempo map, they lie on the grid as in the mix: moved to its beats where it
moved them, at their levels there, without its fades.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from handlers.audio.delivery.acid import write_acid
from handlers.audio.delivery.midi import Marker, TimeSignature, write_midi
from handlers.audio.delivery.slugs import distinct_slugs
from handlers.audio.delivery.tempo_map import MidiMap, map_midi
from handlers.audio.files import Writer
from handlers.audio.formats import encoding
from handlers.contract import Context
from handlers.mix.beatmatch import onto, span_of
from handlers.mix.blend import BLOCK, Feed, read_span
from handlers.mix.exports import meter_of, spans_of
from handlers.mix.joints import Joint
from handlers.mix.timeline import Clip, Timeline


def write_aligned(
    timeline: Timeline, tracks: list[dict[str, Any]], grid: dict[str, Any] | None, context: Context
) -> list[Path]:
    """Write them; returns the files in order, the tempo map last where there is a grid."""
    clips, rate = timeline.played, timeline.sample_rate
    tempo_bpm = _tempo(grid)
    named = f"_{tempo_bpm:g}bpm".replace(".", "-") if tempo_bpm else ""
    slugs = distinct_slugs([title.replace("/", " ") for title in timeline.titles[: len(clips)]])
    before = [timeline.clips[-1].joint if timeline.loop else Joint(), *(clip.joint for clip in clips[:-1])]
    written = []
    for number, (clip, joint, slug) in enumerate(zip(clips, before, slugs, strict=True), 1):
        path = context.workdir / f"{number:03d}_{slug}{named}.wav"
        with Writer(path, rate, timeline.channels, how=encoding(path)) as writer:
            for block in _padded(clip, joint, timeline):
                context.check_cancelled()
                writer.write(block)
        if tempo_bpm:
            beats = round(timeline.frames / rate * tempo_bpm / 60)
            write_acid(path, tempo_bpm, beats, meter=(meter_of(grid), 4))
        written.append(path)
        context.progress("encoding", number, len(clips), "files")
    if grid and len(grid["beats_s"]) > 1:
        path = context.workdir / "tempo_map.mid"
        laid = midi_map(grid)
        duration_s = timeline.frames / rate
        markers = [Marker(laid.position(span.start_s), span.title) for span in spans_of(tracks, duration_s)]
        write_midi(path, tempo_map=laid.tempi, time_signatures=[TimeSignature(0.0, meter_of(grid), 4)], markers=markers)
        written.append(path)
    return written


def midi_map(grid: dict[str, Any]) -> MidiMap:
    """The grid's beats as MIDI counts them, quarters."""
    beats_s = np.asarray(grid["beats_s"], float)
    downbeats_s = np.asarray(grid.get("downbeats_s") or beats_s[:1])
    downbeats = np.unique(np.abs(beats_s[:, None] - downbeats_s[None, :]).argmin(axis=0))
    return map_midi(beats_s, downbeats, 1.0)


def _tempo(grid: dict[str, Any] | None) -> float | None:
    """The mix's tempo, where it has several that of most beats."""
    if not grid:
        return None
    if grid.get("tempo_bpm"):
        return round(float(grid["tempo_bpm"]), 2)
    steps = np.diff(grid["beats_s"])
    return round(60 / float(np.median(steps)), 2) if len(steps) else None


def _padded(clip: Clip, before: Joint, timeline: Timeline) -> Iterator[np.ndarray]:
    """A clip on the mix's time axis, from the mix's first sample to its last."""
    yield from _silence(max(0, clip.start), timeline.channels)
    if before.match:
        yield _warped(clip, before.match.entering, before, timeline)
        first, count = clip.body_at, clip.body
    else:
        first, count = clip.body_at - clip.fade_in, clip.fade_in + clip.body
    if not clip.joint.match and clip.joint.kind != "echo_out":
        count += clip.fade_out
    with Feed(clip, timeline, "float32", first) as feed:
        for start in range(0, count, BLOCK):
            yield feed.read(min(BLOCK, count - start))
    done = max(0, clip.start) + clip.fade_in + clip.body
    if clip.joint.match:
        yield _warped(clip, clip.joint.match.leaving, clip.joint, timeline)
        done += clip.fade_out
    elif clip.joint.kind != "echo_out":
        done += clip.fade_out
    yield from _silence(timeline.frames - done, timeline.channels)


def _warped(clip: Clip, points: tuple[float, ...], joint: Joint, timeline: Timeline) -> np.ndarray:
    span = read_span(clip, timeline, "float32", *span_of(points, timeline.sample_rate))
    return onto(points, joint.match, span, timeline.sample_rate)


def _silence(frames: int, channels: int) -> Iterator[np.ndarray]:
    for start in range(0, frames, BLOCK):
        yield np.zeros((channels, min(BLOCK, frames - start)), np.float32)
