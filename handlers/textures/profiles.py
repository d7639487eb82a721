"""Profiles: how textures are made, as data in ``config/profiles/<name>.yaml``. Light: pydantic and yaml.

A profile is merged over `default.yaml`: it names only what differs. Lists are replaced, mappings merged. Keys that
musicians' existing files use (`pad_miner.loop_crossfade_ms`, ...) are read as the ones here; any other is refused with
the nearest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from handlers.audio.yaml_files import explain, nearest, read_mapping
from handlers.contract import Seconds, seconds

DEFAULT = "default"
_BARS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*bars?\s*", re.ASCII)
LEAST_S, MOST_S = 0.25, 60.0
LEAST_BARS, MOST_BARS = 0.25, 64.0


def _length(value: object) -> object:
    """Turn ``"2 bars"`` into itself in one spelling, and times into seconds."""
    if isinstance(value, str) and (found := _BARS.fullmatch(value)):
        bars = float(found[1])
        if not LEAST_BARS <= bars <= MOST_BARS:
            raise ValueError(f"{value!r} is outside {LEAST_BARS:g} to {MOST_BARS:g} bars")
        return f"{bars:g} bar{'' if bars == 1 else 's'}"
    if isinstance(value, str) and "bar" in value:
        raise ValueError(f"{value!r} is not a length: write seconds (4, 4s) or bars (2 bars)")
    value = seconds(value)
    if isinstance(value, float) and not LEAST_S <= value <= MOST_S:
        raise ValueError(f"{value:g} s is outside {LEAST_S:g} to {MOST_S:g} s")
    return value


Length = Annotated[float | str, BeforeValidator(_length, json_schema_input_type=float | str)]
"""Seconds (`4`, `4s`, `500ms`) or bars at the source's tempo (`2 bars`)."""
Count = Annotated[int, Field(ge=0, le=64)]
Hertz = Annotated[
    float, BeforeValidator(lambda value: float(value) if type(value) is int else value), Field(ge=20, le=20_000)
]
Decibels = Annotated[
    float, BeforeValidator(lambda value: float(value) if type(value) is int else value), Field(ge=-40, le=0)
]
Semitones = Annotated[
    float, BeforeValidator(lambda value: float(value) if type(value) is int else value), Field(ge=-36, le=36)
]
SwellVariant = Literal["warm", "airy", "drone"]


def bars_in(length: float | str) -> float | None:
    """How many bars a :data:`Length` asks for; `None` when it says seconds."""
    found = _BARS.fullmatch(length) if isinstance(length, str) else None
    return float(found[1]) if found else None


class Section(BaseModel):
    """Base of a profile's sections."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Output(Section):
    """What the files are; a `pack` may ask for something else."""

    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] | None = None
    """Hz; the source's own, if not given."""
    bits: Literal[16, 24, 32] = 24
    """16 or 24 bits, 32 = floating point."""
    peak: Decibels = -3.0
    """True peak of every texture, dBTP."""


class Pads(Section):
    """Loops of what is steady."""

    count: Count = 3
    durations: Annotated[list[Length], Field(min_length=1, max_length=32)] = [4.0, 8.0, 12.0]
    """One pad each in turn; with more pads they start over."""
    crossfade: Annotated[Seconds, Field(ge=0.01, le=10)] = 1.5
    """Over which a loop's end becomes its beginning; at most half of it."""


class Swells(Section):
    """Sounds that rise, and drones that stand."""

    count: Count = 6
    durations: Annotated[list[Length], Field(min_length=1, max_length=32)] = [6.0]
    variants: Annotated[list[SwellVariant], Field(min_length=1, max_length=32)] = ["warm", "airy", "drone"]
    """In turn."""


class Drones(Section):
    """How warm and airy variants are coloured."""

    warm_lowpass_hz: Hertz = 1200.0
    airy_highpass_hz: Hertz = 2500.0


class Pitch(Section):
    """Semitones."""

    min: Semitones = -7.0
    max: Semitones = 7.0

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is over max ({self.max:g}); swap them")
        return self


class Clouds(Section):
    """Loops of many grains."""

    count: Count = 6
    durations: Annotated[list[Length], Field(min_length=1, max_length=32)] = [6.0]
    pitch_shift_range: Pitch = Pitch()
    """Between which every grain is moved, in semitones."""


class Hiss(Section):
    """Loops of the highest, noise-like part."""

    count: Count = 8
    durations: Annotated[list[Length], Field(min_length=1, max_length=32)] = [2.0]
    bandpass_low_hz: Hertz = 5000.0
    bandpass_high_hz: Hertz = 14_000.0

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if self.bandpass_low_hz * 1.2 > self.bandpass_high_hz:
            raise ValueError(
                f"bandpass_low_hz ({self.bandpass_low_hz:g}) leaves no band under bandpass_high_hz "
                f"({self.bandpass_high_hz:g}); lower it"
            )
        return self


class Flickers(Section):
    """Short bursts of hiss that die away; made with the band of `hiss`."""

    count: Count = 4
    durations: Annotated[list[Length], Field(min_length=1, max_length=32)] = [0.5]


class Profile(Section):
    """A file of ``config/profiles/``."""

    summary: str = ""
    output: Output = Output()
    pads: Pads = Pads()
    swells: Swells = Swells()
    drones: Drones = Drones()
    clouds: Clouds = Clouds()
    hiss: Hiss = Hiss()
    flickers: Flickers = Flickers()


_ALIASES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "global.sample_rate": ("output.sample_rate", lambda hertz: hertz),
    "global.output_bit_depth": ("output.bits", lambda bits: bits),
    "global.target_peak_dbfs": ("output.peak", lambda level: level),
    "pad_miner.target_durations_sec": ("pads.durations", lambda lengths: lengths),
    "pad_miner.loop_crossfade_ms": ("pads.crossfade", lambda ms: ms / 1000 if type(ms) in (int, float) else ms),
}


def load_profile(config_dir: Path, name: str) -> Profile:
    """Read one profile.

    Parameters
    ----------
    config_dir
        The folder that holds `profiles/`.
    name
        A file's name there, without `.yaml`. Without a `default.yaml` the default is what this module says.

    Raises
    ------
    ValueError
        When there is no such profile (with the nearest name and all there are), or it is not well written.
    """
    folder = config_dir / "profiles"
    known = list_profiles(config_dir)
    if name not in known:
        raise ValueError(f"no profile {name!r}{nearest(name, known)} (there are: {', '.join(known)})")
    merged: dict[str, Any] = {}
    for layer in dict.fromkeys((DEFAULT, name)):
        path = folder / f"{layer}.yaml"
        if layer == DEFAULT and not path.exists():
            continue
        try:
            document = read_mapping(path)
            merged = _merge(merged, _ours(document, path.name))
            profile = Profile.model_validate(merged)
        except ValidationError as error:
            reason = _as_written(explain(error, Profile, _alias_keys()), document)
            raise ValueError(f"{path.name}: {reason}") from error
    return profile if merged else Profile()


def list_profiles(config_dir: Path) -> list[str]:
    """Return the names of all profiles."""
    return sorted({DEFAULT, *(path.stem for path in (config_dir / "profiles").glob("*.yaml"))})


def _ours(document: dict[str, Any], file: str) -> dict[str, Any]:
    """The document with every alias under the name it has here."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in document.items()}
    for alias, (place, convert) in _ALIASES.items():
        section, key = alias.split(".")
        held = result.get(section)
        if not isinstance(held, dict) or key not in held:
            continue
        value = convert(held.pop(key))
        if not held:
            del result[section]
        mine, own = place.split(".")
        target = result.setdefault(mine, {})
        if isinstance(target, dict):
            if own in target:
                raise ValueError(f"{file}: {alias} and {place} are two names of one key: keep one")
            target[own] = value
    # What is left in a section of aliases only is unknown there, and is named with its nearest.
    for section in {alias.split(".")[0] for alias in _ALIASES} & set(result):
        left = result[section]
        if not isinstance(left, dict) or not left:
            raise ValueError(f"{file}: {section}: holds no keys; remove it or write `key: value` lines below it")
        key = next(iter(left))
        raise ValueError(f"{file}: {section}.{key}: no such key{nearest(str(key), _alias_keys()[section])}")
    return result


def _as_written(reason: str, document: dict[str, Any]) -> str:
    """The reason with the document's own names of keys before ours: nobody finds `output.bits` in a file without it."""
    for alias, (place, _) in _ALIASES.items():
        section, key = alias.split(".")
        if isinstance(held := document.get(section), dict) and key in held:
            reason = reason.replace(place, f"{alias} ({place})")
    return reason


def _alias_keys() -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {"": sorted({alias.split(".")[0] for alias in _ALIASES})}
    for alias in _ALIASES:
        section, key = alias.split(".")
        keys.setdefault(section, []).append(key)
    return keys


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
