"""Styles: what a family of music sounds like, as data in ``config/styles/<family>.yaml``. Light: pydantic and yaml.

A family fixes what the stems of one job share (tempo range, keys, scale); each of its styles fixes a character. A
style is named ``family/style``: ``industrial/bed``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from handlers.audio.yaml_files import UniqueKeys, nearest
from handlers.stems.theory import Scale, parse_key

Part = Literal[
    "kick", "snare", "toms", "hats", "metal",
    "bass", "lead", "arp", "stab", "pad", "drone", "texture", "riser", "impact",
]  # fmt: skip
PARTS: tuple[str, ...] = get_args(Part)

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Tempo = Annotated[float, Field(ge=60.0, le=200.0)]
Fragment = Annotated[str, Field(min_length=1, max_length=500)]


Read = TypeVar("Read")


class StyleError(ValueError):
    """A style that is not there or not well written; the message names file, key and what to do."""


def _check_key(text: str) -> str:
    return str(parse_key(text))


class Character(BaseModel):
    """One style: its prompt for models that read prompts, and the settings of the built-in instrument."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    summary: str
    prompt: Annotated[str, Field(min_length=1, max_length=4000)]
    fragments: dict[str, Annotated[tuple[Fragment, ...], Field(min_length=2, strict=False)]] = {}
    """What `vary: true` recombines: of each kind (drums, bass, ...) ways to say it; see :mod:`handlers.stems.prompts`."""
    form: Literal["track", "transition", "drift"]
    """How it runs: a track with drops and breaks, a rise and fall, or slow change without drums' logic."""
    parts: Annotated[tuple[Part, ...], Field(min_length=2, strict=False)]
    kick: Literal["four", "broken", "break", "half", "sparse"] = "four"
    snare: Literal["gated", "clap", "crack"] = "gated"
    bass: Literal["saw", "square", "fm"] = "saw"
    bass_line: Literal["sequence", "pulse", "offbeat", "roll", "gallop", "arpeggio", "long"] = "sequence"
    lead: Literal["saw", "pulse", "bell", "wail"] = "saw"
    intensity: Share = 0.5
    drive: Share = 0.5
    density: Share = 0.5
    brightness: Share = 0.5
    weight: Share = 0.6
    pump: Share = 0.6
    swing: Share = 0.0
    room: Share = 0.3
    room_s: Annotated[float, Field(ge=0.2, le=12.0)] = 1.8
    width: Share = 0.6


class Family(BaseModel):
    """A file of ``config/styles/``."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    summary: str
    tempo: Annotated[tuple[Tempo, Tempo], Field(strict=False)]
    keys: Annotated[tuple[Annotated[str, AfterValidator(_check_key)], ...], Field(min_length=1, strict=False)]
    scale: Scale = "minor"
    styles: Annotated[dict[str, Character], Field(min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Family:
        if self.tempo[0] > self.tempo[1]:
            raise ValueError(f"tempo {list(self.tempo)} runs downwards; write the slower one first")
        return self


@dataclass(frozen=True)
class Style:
    """A style with what its family shares."""

    name: str
    """``family/style``."""
    family: str
    tempo: tuple[float, float]
    """BPM, lowest and highest."""
    keys: tuple[str, ...]
    scale: str
    character: Character


def load_style(folder: Path, name: str) -> Style:
    """Read one style.

    Parameters
    ----------
    folder
        The folder of family files, ``config/styles``.
    name
        ``family/style``.

    Raises
    ------
    StyleError
        When there is no such style (with the nearest name and all there are), or its file is not well written.
    """
    family_name, _, style_name = name.partition("/")
    path = folder / f"{family_name}.yaml"
    if path.name not in {found.name for found in folder.glob("*.yaml")}:
        raise StyleError(_unknown(folder, name))
    family = read_family(path)
    if style_name not in family.styles:
        raise StyleError(_unknown(folder, name))
    return Style(name, family_name, family.tempo, family.keys, family.scale, family.styles[style_name])


def list_styles(folder: Path) -> list[str]:
    """Return the names of all styles; a file that cannot be read counts as having none."""
    names = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            names += [f"{path.stem}/{style}" for style in read_family(path).styles]
        except StyleError:
            continue
    return names


def until_changed(read: Callable[[Path], Read]) -> Callable[[Path], Read]:
    """Remember what was read from a file for as long as the file stays as it is: reading one costs milliseconds."""

    @lru_cache(maxsize=64)
    def remembered(path: Path, version: tuple[int, int, int]) -> Read:
        return read(path)

    @wraps(read)
    def again(path: Path) -> Read:
        try:
            found = path.stat()
        except OSError:
            return read(path)
        return remembered(path, (found.st_ino, found.st_size, found.st_mtime_ns))

    return again


@until_changed
def read_family(path: Path) -> Family:
    """Read and check one family file; raise :class:`StyleError` naming file and key otherwise."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
        return Family.model_validate(document)
    except OSError as error:
        raise StyleError(f"{path.name}: cannot be read ({error.strerror}); check the file's permissions") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StyleError(f"{path.name}: is not YAML: {error}") from error
    except ValidationError as error:
        raise StyleError("; ".join(f"{path.name}: {_explain(entry)}" for entry in error.errors())) from error


def _unknown(folder: Path, name: str) -> str:
    known = list_styles(folder)
    return f"no style {name!r}{nearest(name, known)} (there are: {', '.join(known) or 'none'})"


def _explain(entry: Any) -> str:
    where = [str(step) for step in entry["loc"]]
    key = ".".join(where) or "the file"
    if entry["type"] == "extra_forbidden":
        fields = Character.model_fields if where[0] == "styles" else Family.model_fields
        return f"{key}: no such key{nearest(where[-1], list(fields))}"
    value = "" if entry["type"] == "missing" else f" (it is {entry['input']!r:.60})"
    return f"{key}: {entry['msg']}{value}"
