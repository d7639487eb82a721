"""What a `beats` result holds: its JSON as typed objects, of which docs/beats.schema.json is made. Light: pydantic.

``python -m handlers.beats.result > docs/beats.schema.json`` writes the schema. `VERSION` counts changes of keys.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

VERSION = 2


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Alternative(_Record):
    """Another tempo that fits, such as the half or the double."""

    tempo_bpm: float
    confidence: float
    """0..1, as `tempo_confidence`."""


class Segment(_Record):
    """A stretch of one tempo."""

    start_s: float
    end_s: float
    tempo_bpm: float
    first_beat_s: float


class Section(_Record):
    """A part of the recording, from a bar line to a bar line."""

    start_s: float
    end_s: float
    first_bar: int | None
    """The number of the bar it begins with; null where there is no beat."""
    bars: int | None
    label: str
    """intro, build, drop, breakdown or outro; its letter where none of them is evident or there is no beat."""
    letter: str
    """Parts that sound alike share a letter, variations of A are A', A''."""
    energy: float
    """0..1, level and onsets against the most of the recording."""
    brightness: float
    """0..1, centre of gravity of the spectrum, 100 Hz to 10 kHz by octaves."""

    @property
    def name(self) -> str:
        """What people call it, as :func:`name_section` puts it."""
        return name_section(self.label, self.letter)


class Key(_Record):
    """The key."""

    name: str
    """Such as A minor."""
    camelot: str
    """The same on the Camelot wheel, such as 8A."""
    confidence: float
    """0..1."""
    runner_up: str
    """The next best key."""
    tuning_cents: float
    """How far A4 is from 440 Hz, -50..50."""


class LoudnessCurve(_Record):
    """Loudness over time: short-term (3 s) and momentary (400 ms), EBU R 128. Null where silent."""

    times_s: list[float]
    """The end of each window."""
    short_term_lufs: list[float | None]
    momentary_lufs: list[float | None]


class Loudness(_Record):
    """Loudness and peaks, ITU-R BS.1770 and EBU R 128. Null where silent."""

    integrated_lufs: float | None
    range_lu: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    curve: LoudnessCurve


class Character(_Record):
    """What the mood's words are made of."""

    onsets_per_s: float
    brightness: float
    """0..1: centre of gravity of the spectrum, 100 Hz to 10 kHz by octaves, loud moments counted more."""
    low_share: float
    """0..1: share of the power below 130 Hz."""
    presence_db: float
    """Power from 2 to 6 kHz against all."""
    flatness: float
    """0..1: how noise-like it is above 2 kHz."""
    range_lu: float
    """Loudness range, EBU Tech 3342."""


class Result(_Record):
    """The analysis of one recording. Times are in seconds from its start."""

    version: Literal[2]
    """Of this description."""
    source: str
    """What the job calls the recording: `beds/3`, or a path."""
    duration_s: float
    sample_rate: int
    channels: int
    tempo: float | None
    """Beats per minute, the tempo that most of the recording has; null where there is no beat."""
    tempo_confidence: float
    """0..1: that the tempo is right, octave included."""
    tempo_alternatives: list[Alternative]
    """Other tempi that fit, best first; the runner-up is the first."""
    has_beat: bool
    beat_confidence: float
    """0..1: that there is a beat, or that there is none."""
    steady: bool
    """Whether one even grid holds from the first beat to the last."""
    segments: list[Segment]
    """The tempo curve; one stretch where it is steady, none where there is no beat."""
    meter: str | None
    """4/4, 3/4 or 6/8."""
    meter_confidence: float
    """0..1."""
    beats: list[float]
    """Seconds. In 6/8 a beat is a dotted quarter, two a bar."""
    downbeats: list[float]
    """Seconds: the beats that begin bars."""
    bars: list[int]
    """For each beat the number of its bar: 1 from the first downbeat on, 0 for an upbeat before it."""
    beats_in_bar: list[int]
    """For each beat its place in the bar, from 1."""
    onsets: list[float]
    """Seconds: where something begins, on a beat or not."""
    onset_strengths: list[float]
    """For each onset 0..1, the strongest being 1."""
    onset_bands: list[str]
    """For each onset the band it is strongest in: low, mid or high."""
    sections: list[Section]
    """One after the other without a gap."""
    key: Key | None
    """Null where no pitch stands out."""
    mood: list[str]
    """Words from the table below."""
    character: Character
    loudness: Loudness


def name_section(label: str, letter: str) -> str:
    """Label and letter, such as ``drop B'``; the letter alone where it is the label."""
    return letter if label == letter else f"{label} {letter}"


def schema() -> dict[str, object]:
    """The JSON Schema of a result."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Result.model_json_schema()


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1, ensure_ascii=False))
