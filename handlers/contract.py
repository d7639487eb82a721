"""The contract between the daemon and what a job can do.

Light by law: this module and every module that defines a :class:`Handler` import nothing heavier than
pydantic, because the daemon imports them. The work itself is named by a string and imported by a worker.

Conventions: times in seconds, positions in integer samples, audio float32 of shape ``(channels, samples)``
with full scale at ±1, levels in dB, loudness in LUFS. Names carry their unit: ``duration_s``, ``tempo_bpm``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# --- Parameters -------------------------------------------------------------------------------------------------


class Params(BaseModel):
    """Base of every handler's parameters: strict, frozen, unknown keys forbidden, no NaN or infinity."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class ReferenceMark:
    """Marks a parameter as a reference to audio: a step (`beds`, `beds/3`), or a path (`./loops/x.wav`)."""


Reference = Annotated[str, Field(min_length=1, max_length=1024), ReferenceMark()]
"""A parameter of this type (or a list of it) names inputs; the daemon resolves it before the handler runs."""


@dataclass(frozen=True)
class FolderMark:
    """Marks a parameter as a folder on disk (`~/music`, `./loops`) that the handler looks through."""


Folder = Annotated[str, Field(min_length=1, max_length=1024), FolderMark()]
"""A parameter of this type (or a list of it) names folders; the daemon checks that a job may read there."""

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(value: object) -> object:
    """Turn ``90``, ``"90s"``, ``"1.5m"`` or ``"2h"`` into seconds; anything else is left for pydantic to refuse."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if not match:
            raise ValueError(f"{value!r} is not a time: write seconds (90) or a number with a unit (90s, 60m, 2h)")
        return float(match[1]) * _SECONDS[match[2]]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


Seconds = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=float | Annotated[str, Field(pattern=f"^{_DURATION.pattern}$")]),
]
"""A length of time in seconds; a job file may write `90`, `90s`, `60m` or `2h`."""


# --- Handlers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What a handler's `check` has to say about parameters that are well-formed.

    `error`: the request is wrong, the job is refused. `missing`: something is not here yet (a model), the job
    waits and says so. `warning`: shown, and nothing more. `ok`: as it should be; only `examine` says so.
    """

    kind: Literal["error", "missing", "warning", "ok"]
    key: str
    """The parameter it is about, as the user wrote it: `model`, `order.2`."""
    message: str
    """What is wrong, which value, and what to do about it."""
    remedy: str = ""
    """For `examine`: what to do about it, in a line of its own."""


@dataclass(frozen=True)
class World:
    """What a `check` or an `examine` may look at: the folders of this installation."""

    config_dir: Path
    state_dir: Path


@dataclass(frozen=True)
class Estimate:
    """What a request will yield, known before it runs. `None` where it cannot be known."""

    items: int | None = None
    duration_s: float | None = None
    """Length of each item's audio in seconds."""
    size_bytes: int | None = None
    """Disk space of everything the step delivers, in bytes."""
    table: bool = False
    """Whether its item is a table, whose rows cannot be counted beforehand. The reader sets it, for handlers that survey."""


@dataclass(frozen=True)
class Handler:
    """One thing a job can do.

    Strings name functions as ``"package.module:function"`` and are imported only where they are used: `run` in a
    worker, the others in the daemon or the command line, which must stay light.
    """

    name: str
    """The word after `do:`."""
    summary: str
    params: type[Params]
    run: str
    """``run(params, context) -> None``"""
    lane: str = "cpu"
    version: str = "1"
    """Changes when the same request would give another result."""
    check: str | None = None
    """``check(params, world) -> Iterable[Finding]``"""
    estimate: str | None = None
    """``estimate(params, inputs: Mapping[str, list[Estimate]]) -> Estimate``"""
    describe: str | None = None
    """``describe(item: ItemRecord) -> str``: a result in a few readable lines."""
    examine: str | None = None
    """``examine(world) -> Iterable[Finding]``: what `drophammer doctor` should say of it; `key` is what it is about."""
    surveys: bool = False
    """It only looks around and is quick: `submit --dry-run` runs it, and a step with `for_each` goes over the rows of its
    sidecar `rows`."""
    listens: bool = True
    """Whether it reads what its inputs hold; one that only reads what is recorded of them is spared their hashing."""
    plan: str | None = None
    """``plan(params, inputs: Mapping[str, list[Path]], world) -> Iterable[str]``: what `do --dry-run` says it would do."""
    commands: str | None = None
    """A typer application with sub-commands of its own, if any; its ``ctx.obj`` is a :class:`Desk`."""


class Desk(Protocol):
    """What a handler's own command is given, as ``obj`` of typer's context."""

    @property
    def world(self) -> World:
        """The folders of this installation."""

    def steps_of(self, job: str) -> list[tuple[str, dict[str, Any]]]:
        """The steps of a job file (a path), or of a job by id, number, name or `latest`.

        Returns
        -------
        list of (str, dict)
            The handler's name and the parameters, defaults included, of each step in order.
        """


def load(target: str) -> Callable[..., Any]:
    """Import what a ``"package.module:name"`` string names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


# --- A run ------------------------------------------------------------------------------------------------------

Kind = Literal["primary", "rendition", "part", "sidecar"]


@dataclass(frozen=True)
class InputFile:
    """One resolved input: a file to read, never to change."""

    path: Path
    label: str
    """How a person names it: `beds/3`, or the path as written."""
    sha256: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the step that made it said about it (tempo_bpm, key, ...); empty for a file from outside."""
    sidecars: Mapping[str, Path] = field(default_factory=dict)
    """Its sidecars by label, such as `grid`."""
    published: str = ""
    """Where it will lie in the published folder, for an item of the same job: a relative path with `/`."""
    published_sidecars: Mapping[str, str] = field(default_factory=dict)
    """The same of its sidecars, by label."""

    @property
    def title(self) -> str:
        """What a track list or a picture calls it: a file by its name without folder and suffix, an item as `beds/3`."""
        named_by_path = self.label.startswith((".", "/", "~")) or Path(self.label).suffix
        return Path(self.label).stem if named_by_path else self.label


@dataclass(frozen=True)
class Run:
    """One run of a step with `for_each`: what it was given, how it ended, what it made."""

    row: Mapping[str, Any]
    """The row it was given, or `id` and `label` of the item."""
    ok: bool
    reason: str = ""
    """Why it failed; empty where it did not."""
    took_s: float | None = None
    """Wall time from its start to its end."""
    items: tuple[InputFile, ...] = ()


@dataclass(frozen=True)
class ItemRecord:
    """An item that an earlier attempt finished, or that a result shows."""

    item: int
    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)


class Context(Protocol):
    """What a run may use. Everything it makes goes into `workdir` and is announced by `emit`."""

    workdir: Path
    """Private to this attempt, empty at the start, on the outbox's filesystem."""
    inputs: Mapping[str, list[InputFile]]
    """The files behind each reference of the parameters, keyed by the reference as written."""
    folders: Mapping[str, Path]
    """The folder behind each :data:`Folder` of the parameters, links followed, keyed as written."""
    runs: Mapping[str, Sequence[Run]]
    """For references to steps with `for_each`: all their runs in order, failed ones included, keyed as written."""
    seed: int
    """0 .. 2**32 - 1. Everything random in the run derives from it."""
    job_id: str
    job_name: str
    step: str
    completed: Mapping[int, ItemRecord]
    """Items that an earlier attempt finished: skip them."""
    models: dict[str, Any]
    """Lives as long as the worker: loaded models stay here between runs."""
    config_dir: Path
    cache_dir: Path
    """Disposable, shared by all runs of this handler."""

    def published_path(self, item: int, suffix: str) -> Path:
        """Where an item's primary will lie that is emitted with this suffix and no name of its own, once the job is done."""

    def progress(self, phase: str, done: float, total: float | None = None, unit: str = "") -> None:
        """Say how far the run is. Phases: loading, warming up, working, checking, encoding. Cheap; call it often."""

    def log(self, message: str, level: str = "info", **facts: Any) -> None:
        """Write a line to the job's log."""

    def warn(self, message: str) -> None:
        """Record a warning that the report and the manifest show beside the results."""

    def check_cancelled(self) -> None:
        """Raise :class:`Cancelled` if the person changed their mind. Call it at least once a second of work."""

    def emit(self, item: int, path: Path, kind: Kind = "primary", *, label: str = "", **facts: Any) -> None:
        """Deliver one finished file of item `item` (1, 2, ...); final once emitted.

        An item is finished when its `primary` is emitted, so emit its sidecars, parts and renditions first.
        `label` tells files of one item apart in the published name (`grid`, `picture`, `drums`): lower-case letters,
        digits and `-`, a letter first; a primary has none. Facts are JSON values, numbers finite, 512 KiB at most,
        and go into the manifest: `tempo_bpm`, `key`, `duration_s`, `prompt`, ... Anything else is a `ValueError`.
        """


# --- Errors -----------------------------------------------------------------------------------------------------


class HandlerError(Exception):
    """Base of what a run may raise on purpose. Anything else is a bug and its traceback is kept."""

    meaning: str = "bug"


class Invalid(HandlerError):
    """The request is wrong: never retried. The message says what, which value, and what to do."""

    meaning = "invalid"


class Transient(HandlerError):
    """The world is in the way (a full disk, a busy device): retried with backoff."""

    meaning = "transient"


class OutOfMemory(HandlerError):
    """Memory ran out: retried in a fresh worker."""

    meaning = "out_of_memory"


class Cancelled(HandlerError):
    """The person cancelled the job."""

    meaning = "cancelled"


# --- References -------------------------------------------------------------------------------------------------


def references(params: Params) -> Iterator[tuple[str, str]]:
    """Yield ``(key, reference)`` for every parameter marked as :data:`Reference`, in order; nested models included."""
    return _marked(params, ReferenceMark)


def folders(params: Params) -> Iterator[tuple[str, str]]:
    """Yield ``(key, folder)`` for every parameter marked as :data:`Folder`, in order; nested models included."""
    return _marked(params, FolderMark)


def _marked(params: Params, mark: type) -> Iterator[tuple[str, str]]:
    for name, info in type(params).model_fields.items():
        value = getattr(params, name)
        marked = any(isinstance(one, mark) for one in info.metadata) or _is_marked(info.annotation, mark)
        yield from _texts(info.alias or name, value, marked, mark)


def _is_marked(annotation: object, mark: type) -> bool:
    metadata = getattr(annotation, "__metadata__", ())
    return any(isinstance(one, mark) for one in metadata) or any(_is_marked(one, mark) for one in get_args(annotation))


def _texts(key: str, value: object, marked: bool, mark: type) -> Iterator[tuple[str, str]]:
    if isinstance(value, Params):
        for inner, text in _marked(value, mark):
            yield f"{key}.{inner}", text
    elif isinstance(value, list | tuple):
        for index, element in enumerate(value):
            yield from _texts(f"{key}.{index}", element, marked, mark)
    elif marked and isinstance(value, str):
        yield key, value
