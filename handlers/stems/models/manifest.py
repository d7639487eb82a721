"""The models that stems can be made with: ``config/models.yaml``, read and checked. Light: pydantic and yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from handlers.audio.yaml_files import UniqueKeys, nearest
from handlers.stems.styles import until_changed


class ModelsError(ValueError):
    """``models.yaml`` is not there or not well written; the message names the key and what to do."""


def _without_hashes(value: object) -> object:
    """Let a list of names stand for names whose hashes are not known."""
    return dict.fromkeys(value, "") if isinstance(value, list | tuple) else value


Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Weights(BaseModel):
    """One repository of weights, or one local folder. What was not looked up (revision, hash) is empty."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    repository: Annotated[str, Field(pattern=r"^([A-Za-z0-9][\w.-]*/[\w.-]+)?$")] = ""
    """Its name on the hub, ``owner/name``; empty where the weights are only local."""
    cached_as: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Other names under which it may lie in the hub's cache."""
    local: str = ""
    """A folder of this machine that holds the files; they are used there, and nothing is fetched."""
    revision: str = ""
    """A commit of the repository; empty: the newest at first fetch, which is recorded."""
    licence: str = ""
    folder: FileName
    """Where it lies, below ``models/``."""
    files: Annotated[dict[FileName, Sha256], BeforeValidator(_without_hashes)]
    """What has to be in there, and its SHA-256 as far as it is known."""
    one_of: Annotated[tuple[FileName, ...], Field(strict=False)] = ()
    """And one of these; the first that the hub has is fetched."""
    about_gb: float | None = None
    """Size in gigabytes, computed from the number of parameters; `None` where it is not known."""
    if_pointed_to: bool = False
    """Needed only where the model's codec file names this folder."""

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Weights:
        if bool(self.repository) == bool(self.local):
            raise ValueError("name where the weights come from: either `repository:` or `local:`")
        if not self.files and not self.one_of:
            raise ValueError("name the files that have to be there, under `files:`")
        return self

    @property
    def name(self) -> str:
        """What people call it: the repository, or the folder."""
        return self.repository or self.local


class Model(BaseModel):
    """One entry of ``models.yaml``."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    backend: Literal["procedural", "audiocraft"]
    summary: str
    licence: str
    commercial: bool
    """May what it makes be used commercially?"""
    sample_rate: Annotated[int, Field(ge=8000, le=192_000)]
    channels: Annotated[int, Field(ge=1, le=2)]
    window_s: float | None = None
    """Longest piece made in one go, in seconds; none: any length."""
    memory_gb: float | None = None
    """Memory of the device while one stem is made, in gigabytes, computed; `None` where it is not known."""
    reads: Annotated[tuple[Literal["text", "audio", "melody", "style"], ...], Field(strict=False)] = ("text",)
    """What it can be given beside a style's name: words, audio to go on from, a melody, a style."""
    not_played: str = ""
    """Why this version cannot play it; empty: it can."""
    weights: Annotated[tuple[Weights, ...], Field(strict=False)] = ()
    """The first is the model's own."""

    @model_validator(mode="after")
    def _has_weights(self) -> Model:
        if self.backend == "audiocraft" and not self.weights:
            raise ValueError("a model of audiocraft has weights; list its folder and files under `weights:`")
        return self


class Setup(BaseModel):
    """A command that has to be run once before any such model plays."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run: str
    fetches: str
    """What it fetches, and how much."""


class Manifest(BaseModel):
    """``models.yaml`` as a whole."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    setup: Annotated[tuple[Setup, ...], Field(strict=False)] = ()
    folders: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Further folders that weights are looked for in, laid out as ``models/`` is."""
    aliases: dict[str, str] = {}
    """Names that stand for a model's."""
    models: dict[str, Model]

    @model_validator(mode="after")
    def _aliases_lead_to_models(self) -> Manifest:
        for alias, key in self.aliases.items():
            if alias in self.models:
                raise ValueError(f"aliases.{alias}: there is a model of that name; call the alias something else")
            if key not in self.models:
                raise ValueError(f"aliases.{alias}: no model {key!r}{nearest(key, list(self.models))}")
        return self

    def resolve(self, name: str) -> tuple[str, Model]:
        """The model that a job means by a key or an alias, with its key.

        Raises
        ------
        ModelsError
            When there is none; names the nearest and all there are.
        """
        key = self.aliases.get(name, name)
        if key not in self.models:
            known = [*self.models, *self.aliases]
            raise ModelsError(f"no model {name!r}{nearest(name, known)} (there are: {', '.join(known)})")
        return key, self.models[key]


def read_models(path: Path) -> dict[str, Model]:
    """Read the models of ``models.yaml``; see :func:`read_manifest`."""
    return read_manifest(path).models


@until_changed
def read_manifest(path: Path) -> Manifest:
    """Read ``models.yaml``.

    Raises
    ------
    ModelsError
        When it is not there or not well written.
    """
    try:
        document: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
        return Manifest.model_validate(document)
    except OSError as error:
        raise ModelsError(f"{path.name}: cannot be read ({error.strerror}); restore it from the checkout") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelsError(f"{path.name}: is not YAML: {error}") from error
    except ValidationError as error:
        entries = ((".".join(map(str, entry["loc"])), entry["msg"]) for entry in error.errors())
        raise ModelsError("; ".join(f"{path.name}: {key}: {message}" for key, message in entries)) from error
