"""What `discover`, `select` and `report` steps take. Light: pydantic only, read by the daemon."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from handlers.audio.delivery.catalogue import SUFFIXES
from handlers.contract import Folder, Handler, Params, Reference, Seconds

Format = Literal["csv", "json", "markdown", "md"]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ +-]{0,79}", re.ASCII)


def _listed(value: object) -> object:
    """Turn ``bounces`` into ``[bounces]``."""
    return [value] if isinstance(value, str) else value


class Written(Params):
    """What both catalogues share: what they are called and written as."""

    output: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """The catalogue's name, such as `audio_catalog.csv`; its suffix chooses the format: .csv, .json or .md."""
    format: Format | None = None
    """`csv`, `json` or `markdown` (`md`). Without it as `output` ends, else `csv`."""
    verbose: bool = False
    """Say what was done with every file and folder."""

    @model_validator(mode="after")
    def _named_well(self) -> Self:
        name = self.output
        if name is None:
            return self
        # What can lie in a published folder on every system: handlers' names there are held to the same.
        if not _NAME.fullmatch(name.removesuffix(self._ending)):
            raise ValueError(
                f"output: {name!r} is no plain name; write letters, digits, _ and -, and an ending, such as audio_catalog.csv"
            )
        if not self._ending and self.format is None:
            raise ValueError(f"output: {name!r} ends in none of {', '.join(SUFFIXES)}; end it so, or say `format`")
        if self.format is not None and self._ending and SUFFIXES[self._ending.lower()] != self.form:
            raise ValueError(f"output: {name!r} and format: {self.format} say different formats; remove one")
        return self

    @property
    def _ending(self) -> str:
        """The suffix of `output` that says a format, as written."""
        ending = PurePath(self.output or "").suffix
        return ending if ending.lower() in SUFFIXES else ""

    @property
    def form(self) -> str:
        """The format to write: `csv`, `json` or `md`."""
        if self.format is not None:
            return "md" if self.format == "markdown" else self.format
        return SUFFIXES.get(self._ending.lower(), "csv")

    def name(self, default: str) -> str:
        """The file's name; `default` is what it is called, without suffix, if nobody said."""
        name = self.output or default
        return name if self._ending else f"{name}.{self.form}"


class DiscoverParams(Written):
    """Every recording below the folders in `root`, as a catalogue: one item."""

    root: Annotated[
        list[Folder],
        BeforeValidator(_listed, json_schema_input_type=Folder | list[Folder]),
        Field(min_length=1, max_length=100),
    ]
    """Where to look: a folder, or a list of them. Links below are not followed."""
    verify: bool = False
    """Decode every file to its end, which finds truncated ones that look whole from outside."""
    hash: Literal["quick", "sha256"] = "quick"
    """`content_hash`: `quick` of the length, both ends and 16 places between, `sha256` of every byte."""


class Range(Params):
    """From `min` to `max`; one of them may be missing."""

    min: float | None = None
    """At least."""
    max: float | None = None
    """At most."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("says neither min nor max; write {min: ...}, {max: ...} or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is over max ({self.max:g}); swap them")
        return self


Patterns = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200)]],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
]


class Wishes(Params):
    """What a recording must be, and should be. What is not said is not asked for."""

    min_duration: Annotated[Seconds, Field(ge=0)] | None = None
    """Shortest length in seconds."""
    max_duration: Annotated[Seconds, Field(gt=0)] | None = None
    """Greatest length in seconds."""
    only: Patterns | None = None
    """Only recordings whose path has one of these words."""
    skip: Patterns | None = None
    """No recordings whose path has one of these words. `*test*` means any part of a word."""
    prefer: Patterns | None = None
    """Ten points for each of these words in the path."""
    prefer_channels: Annotated[int, Field(ge=1, le=64)] | None = None
    """Five points for so many channels."""
    prefer_sample_rate: Annotated[int, Field(ge=1000, le=1_000_000)] | None = None
    """Five points for this sample rate in Hz."""
    loudness: Range | None = None
    """Integrated loudness in LUFS (EBU R 128). This and the next three decode every recording that is left."""
    steadiness: Range | None = None
    """Share of the sound, 0 to 1, whose level stays within 3 dB of its surroundings'."""
    noisiness: Range | None = None
    """Spectral flatness, 0 (tones) to 1 (white noise)."""
    tempo: Range | None = None
    """Beats per minute; what has no beat is left out."""

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        low, high = self.min_duration, self.max_duration
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_duration ({low:g} s) is over max_duration ({high:g} s); swap them")
        return self


class SelectParams(Wishes, Written):
    """The recordings of a catalogue that are worth mining, best first: one item. Own keys win over the rules file's."""

    catalog: Reference
    """The catalogue: a step (`discover`), or a file (`./audio_catalog.csv`)."""
    rules: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")] = "default"
    """A file of `config/selections/`: `default`, `conservative`, `experimental`, or your own."""
    root: Folder | None = None
    """Of a catalogue that is a file: the folder of its recordings, where rules need to listen; else the file's own."""


class ReportParams(Params):
    """All that a `for_each` step made, and what failed, as `batch_results.json`, a summary, and a page to hear it on."""

    input: Reference
    """The step that went over the recordings, of the same job: the page links to textures that lie beside it."""
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """What the page is called; without it the job's name."""

    @model_validator(mode="after")
    def _lies_beside(self) -> Self:
        if self.input.startswith("from/"):
            raise ValueError(
                f"input: {self.input!r} lies in another job's folder, where no link of this page would lead: "
                "put the report into the job that mines"
            )
        return self


DISCOVER = Handler(
    name="discover",
    summary="a catalogue of all recordings below some folders",
    params=DiscoverParams,
    run="handlers.archaeology.discover:run",
    estimate="handlers.archaeology.outlook:estimate_catalogue",
    describe="handlers.archaeology.outlook:describe_discovery",
    surveys=True,
)
SELECT = Handler(
    name="select",
    summary="the recordings of a catalogue that are worth mining, best first",
    params=SelectParams,
    run="handlers.archaeology.select:run",
    check="handlers.archaeology.outlook:check_selection",
    estimate="handlers.archaeology.outlook:estimate_catalogue",
    describe="handlers.archaeology.outlook:describe_selection",
    surveys=True,
)
REPORT = Handler(
    name="report",
    summary="all that was mined from many recordings, gathered on a page",
    params=ReportParams,
    run="handlers.archaeology.report:run",
    listens=False,
    estimate="handlers.archaeology.outlook:estimate_catalogue",
    describe="handlers.archaeology.outlook:describe_report",
)
