"""The validated configuration. Imported only where all of it is needed (it costs a pydantic import)."""

from __future__ import annotations

import grp
import re
from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from daemon.settings import Paths, parse_seconds, parse_size, resolve_folder

Duration = Annotated[float, BeforeValidator(parse_seconds), Field(ge=0)]
Words = Annotated[list[str], Field(min_length=1)]
Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Route(Section):
    """One line of `on_audio`: which files, and what is done with them."""

    match: Annotated[str, Field(min_length=1)]
    do: Annotated[str, Field(min_length=1)]


class LaneSettings(Section):
    workers: Annotated[int, Field(ge=0, le=64)]
    idle_unload: Duration
    timeout: Duration
    memory: Size | None
    hours: str | None
    python: str | None

    @field_validator("hours")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        if value is not None:
            parse_hours(value)
        return value


def parse_hours(text: str) -> tuple[time, time]:
    """``"22:00-08:00"`` → start and end, local time; the window may pass midnight."""
    match = re.fullmatch(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", text.strip(), re.ASCII)
    if not match:
        raise ValueError('write a window of local time: "22:00-08:00"')
    start, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if start == end:
        raise ValueError("the window is empty; for a lane that is always open write null")
    return start, end


def within_hours(text: str | None, now: datetime) -> bool:
    """Whether local time `now` lies in the window; no window is always open."""
    if text is None:
        return True
    start, end = parse_hours(text)
    moment = now.time()
    return start <= moment < end if start <= end else moment >= start or moment < end


class Lanes(Section):
    gpu: LaneSettings
    cpu: LaneSettings

    @model_validator(mode="after")
    def _serialized(self) -> Lanes:
        if self.gpu.workers != 1:
            raise ValueError("lanes.gpu.workers must be 1: the gpu lane runs one step at a time")
        return self


class Retention(Section):
    events: Duration
    staging: Duration


class Settings(Section):
    """Every key of config/defaults.yaml, with times in seconds and sizes in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    paths: Paths
    inboxes: list[str]
    outbox: str
    state: str
    roots: list[Path]
    deliver: dict[str, Path]
    on_audio: list[Route]
    on_done: list[Words]
    on_failed: list[Words]
    settle: Duration
    rescan: Duration
    watch: Literal["auto", "events", "poll"]
    umask: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")]
    group: str | None
    lanes: Lanes
    handler_lanes: dict[str, Literal["gpu", "cpu"]]
    handlers: list[str]
    retries: Annotated[int, Field(ge=0, le=20)]
    backoff: Duration
    cancel_grace: Duration
    drain: Duration
    input_timeout: Duration
    min_free: Size
    retention: Retention
    log_level: Literal["debug", "info", "warning", "error"]

    @field_validator("roots", mode="before")
    @classmethod
    def _roots(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, list):
            return [resolve_folder(info.context["home"], folder, "roots") for folder in value]
        return value

    @field_validator("deliver", mode="before")
    @classmethod
    def _deliver(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, dict):
            return {
                name: resolve_folder(info.context["home"], folder, f"deliver.{name}") for name, folder in value.items()
            }
        return value

    @field_validator("group")
    @classmethod
    def _group(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                grp.getgrnam(value)
            except KeyError:
                raise ValueError("this machine knows no such group (getent group lists them)") from None
        return value

    @property
    def readable_roots(self) -> tuple[Path, ...]:
        """Folders that a job file may name files in: every inbox and `roots`."""
        return (*self.paths.inboxes, *self.roots)

    def lane_of(self, handler: str, declared: str) -> str:
        """The lane a handler runs in: the override, else its own; everything on gpu when the cpu lane has no workers."""
        lane = self.handler_lanes.get(handler, declared)
        return "gpu" if self.lanes.cpu.workers == 0 else lane
