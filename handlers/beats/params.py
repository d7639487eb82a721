"""What a `beats` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from handlers.contract import Handler, Params, Reference, Seconds

LOWEST_BPM, HIGHEST_BPM = 40.0, 240.0
"""Tempi that are looked for."""

Meter = Literal["4/4", "3/4", "6/8"]
Export = Literal["audacity", "rekordbox", "midi", "csv", "cues", "click"]


def _listed(value: object) -> object:
    """Turn ``midi`` into ``[midi]``, and ``midi, cues``, as a command line has it, into ``[midi, cues]``."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _each_once(exports: list[Export]) -> list[Export]:
    for export in exports:
        if exports.count(export) > 1:
            raise ValueError(f"{export} is asked for twice; keep one")
    return exports


class BeatsParams(Params):
    """Tempo, beats, bars, sections, key and loudness of every recording behind `input`: one item each, in order."""

    input: Reference
    """What is analysed: a step (all its items), one item (`beds/1`), or a path (`./loops/kick.wav`)."""
    tempo: Annotated[float, Field(ge=LOWEST_BPM, le=HIGHEST_BPM)] | None = None
    """Beats per minute, if you know it: only tempi within 4 % of it are then looked at. Without it 40 to 240."""
    meter: Meter | None = None
    """The time signature, if you know it: `4/4`, `3/4` or `6/8`. Without it the one of these that fits best."""
    first_downbeat: Annotated[Seconds, Field(ge=0)] | None = None
    """When the first bar begins, if you know it, in seconds: the grid is laid through it."""
    exports: Annotated[
        list[Export],
        BeforeValidator(_listed, json_schema_input_type=Export | list[Export]),
        AfterValidator(_each_once),
    ] = []
    """Further files: `audacity` (labels), `rekordbox` (XML), `midi` (tempo map and markers), `csv`, `cues` (a WAV copy
    with cue and label chunks), `click` (a FLAC copy with a click on every beat). JSON and picture always come."""


HANDLER = Handler(
    name="beats",
    summary="tempo, beats, bars, sections and key of recordings, as JSON with a picture",
    params=BeatsParams,
    lane="cpu",
    version="2",
    run="handlers.beats.analyze:run",
    estimate="handlers.beats.outlook:estimate",
    describe="handlers.beats.outlook:describe",
)
