"""What a `beats` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handlers.contract import Handler, Params, Reference

LOWEST_BPM, HIGHEST_BPM = 40.0, 240.0
"""Tempi that are looked for."""


class BeatsParams(Params):
    """Tempo, beats and onsets of every recording behind `input`: one item each, in order."""

    input: Reference
    """What is analysed: a step (all its items), one item (`beds/1`), or a path (`./loops/kick.wav`)."""
    tempo: Annotated[float, Field(ge=LOWEST_BPM, le=HIGHEST_BPM)] | None = None
    """Beats per minute, if you know it: only tempi within 4 % of it are then looked at. Without it 40 to 240."""


HANDLER = Handler(
    name="beats",
    summary="tempo, beats and onsets of recordings, as JSON with a picture",
    params=BeatsParams,
    lane="cpu",
    run="handlers.beats.analyze:run",
    estimate="handlers.beats.outlook:estimate",
    describe="handlers.beats.outlook:describe",
)
