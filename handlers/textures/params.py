"""What a `textures` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from handlers.contract import Folder, Handler, Params, Reference, Seconds
from handlers.textures.profiles import DEFAULT, Count, Decibels, Length, bars_in

Kind = Literal["pads", "swells", "clouds", "hiss", "flickers"]
KINDS: tuple[Kind, ...] = ("pads", "swells", "clouds", "hiss", "flickers")
Pack = Literal["daw", "tr8s", "game"]
ProfileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]


def _listed(value: object) -> object:
    """Turn ``pads`` into ``[pads]``."""
    return [value] if isinstance(value, str) else value


def _each_once(names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is there twice; keep one")
    return names


class TexturesParams(Params):
    """Pads, swells, clouds, hiss and flickers out of every recording behind `input`; no passage is used twice in one profile."""

    input: Reference | Annotated[list[Reference], Field(min_length=1, max_length=1000)] | None = None
    """What is mined: a step (all its items), one item (`beds/1`), a path (`./textures/old-tape.flac`), or several of
    these."""
    sources: Reference | None = None
    """In place of `input`: a catalogue (`.csv`, `.json`, `.md`) whose rows are mined, as `select` writes it."""
    root: Folder | None = None
    """Of `sources`: the folder below which its recordings lie, if that is not the catalogue's own."""
    start_index: Annotated[int, Field(ge=0)] = 0
    """Of `sources`: how many rows to pass over at the beginning."""
    count: Annotated[int, Field(ge=1)] | None = None
    """Of `sources`: how many rows at most; all, if not given."""
    profile: ProfileName = DEFAULT
    """How textures are made: a file of `config/profiles/`, such as `default`, `bright`, `dark` or `noisy`."""
    profiles: Annotated[
        list[ProfileName],
        BeforeValidator(_listed, json_schema_input_type=ProfileName | list[ProfileName]),
        AfterValidator(_each_once),
        Field(max_length=16),
    ] = []
    """Several profiles in place of `profile`, each into its own folder: `by_source/<track>/<profile>/`."""
    kinds: Annotated[
        list[Kind],
        BeforeValidator(_listed, json_schema_input_type=Kind | list[Kind]),
        AfterValidator(_each_once),
        Field(min_length=1),
    ] = list(KINDS)
    """Only these: `pads`, `swells`, `clouds`, `hiss`, `flickers`."""
    pads: Count | None = None
    """How many pads of each recording; without it what the profile says (3)."""
    swells: Count | None = None
    """How many swells and drones (6)."""
    clouds: Count | None = None
    """How many granular clouds (6)."""
    hiss: Count | None = None
    """How many loops of hiss (8)."""
    flickers: Count | None = None
    """How many short bursts of hiss (4)."""
    durations: Annotated[list[Length], Field(min_length=1, max_length=32)] | None = None
    """Lengths of the pads, exact to the sample: the first pad has the first, and so on, over again. Seconds (`4`, `4s`)
    or bars at the source's tempo (`2 bars`). Without it what the profile says (4, 8 and 12 s)."""
    crossfade: Annotated[Seconds, Field(ge=0.01, le=10)] | None = None
    """Length in seconds over which a pad's end becomes its beginning; at most half of the pad. Without it what the
    profile says (1.5)."""
    drums: Annotated[list[Reference], Field(max_length=64)] = []
    """Percussion recordings from which hiss and flickers are mined first."""
    pack: Pack | None = None
    """Made for a target: `daw` (44.1 or 48 kHz, 24-bit, stereo WAV with loop points), `tr8s` (whole bars at the
    source's tempo, mono, names, memory and folders of a Roland TR-8S), `game` (OGG loops and a JSON index). Without it
    24-bit WAV with loop points in the source's rate and channels."""
    peak: Decibels | None = None
    """True peak of every texture in dBTP; without it what the profile says (-3)."""
    pictures: bool = True
    """A picture of every texture, and of every recording with what was taken from it."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.input is None) == (self.sources is None):
            raise ValueError(
                "input and sources exclude each other: keep one"
                if self.input is not None
                else "input: what is to be mined? Name a step, an item or a file; or `sources`, a catalogue"
            )
        if self.sources is None and (self.start_index or self.count is not None or self.root is not None):
            raise ValueError("root, start_index and count belong to `sources`: there is none; remove them")
        return self

    @model_validator(mode="after")
    def _one_way_to_name_profiles(self) -> Self:
        if self.profiles and self.profile != DEFAULT:
            raise ValueError(f"profile ({self.profile}) and profiles exclude each other: keep one")
        return self

    @model_validator(mode="after")
    def _something_is_wanted(self) -> Self:
        if all(self.count_of(kind) == 0 for kind in KINDS):
            raise ValueError("every count is 0: ask for at least one texture")
        return self

    @model_validator(mode="after")
    def _crossfade_fits(self) -> Self:
        lengths_s = [length for length in self.durations or () if bars_in(length) is None]
        if self.crossfade is not None and lengths_s and self.crossfade > min(lengths_s) / 2:
            raise ValueError(
                f"crossfade ({self.crossfade:g} s) is more than half of the shortest pad ({min(lengths_s):g} s): "
                f"write at most {min(lengths_s) / 2:g}, or lengthen that pad"
            )
        return self

    @property
    def references(self) -> list[str]:
        """What is mined: `input` or `sources`, as written, each once."""
        given = self.input if self.input is not None else self.sources
        return [given] if isinstance(given, str) else list(dict.fromkeys(given or ()))

    @property
    def profile_names(self) -> list[str]:
        """All profiles, in order."""
        return self.profiles or [self.profile]

    def count_of(self, kind: Kind) -> int | None:
        """How many of a kind are asked for here; `None`: what the profile says."""
        return getattr(self, kind) if kind in self.kinds else 0


HANDLER = Handler(
    name="textures",
    summary="pads, swells, clouds and hiss out of recordings, looped, measured and named",
    params=TexturesParams,
    lane="cpu",
    version="3",
    run="handlers.textures.mine:run",
    check="handlers.textures.outlook:check",
    estimate="handlers.textures.outlook:estimate",
    describe="handlers.textures.outlook:describe",
    plan="handlers.textures.outlook:plan",
)
