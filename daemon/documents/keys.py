"""The keys of a job file that are not a handler's own. Their docstrings are what editors and docs/reference.md show."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from daemon.jobs import slug
from handlers.contract import Params, Seconds

LONGEST_TIME_S = 30 * 86400.0
Time = Annotated[Seconds, Field(gt=0, le=LONGEST_TIME_S)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class ForEachKeys(Params):
    """Run this step once per item of another, or per row where that one lists recordings (`discover`, `select`); each run
    has its own timeout, retries and failure."""

    in_: Annotated[str, Field(alias="in", min_length=1, max_length=100)]
    """The step whose items or rows are gone over; in this step's own keys, `each` stands for the current one."""
    start: Annotated[int, Field(ge=0)] = 0
    """How many to pass over at the beginning."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """How many at most; all, if not given."""


class DeliverKeys(Params):
    """Copies of the result, placed once it is published, never over a file that differs."""

    to: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Which folder: a name listed under `deliver:` in the configuration."""
    as_: Annotated[str | None, Field(alias="as", min_length=1, max_length=100)] = None
    """What the folder of copies is called there; the job's name, if not given."""
    beside: bool = False
    """Put analyses next to the recordings they were made from."""

    @field_validator("as_")
    @classmethod
    def _plain_name(cls, value: str | None) -> str | None:
        if value is not None and ("/" in value or "\\" in value or value.startswith(".") or not value.isprintable()):
            raise ValueError(f"{value!r} is not a plain name: no slash, no dot at its beginning, one line")
        return value


class StepKeys(Params):
    """Keys that every step knows, beside its handler's own."""

    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    """How often to try again after an error that may pass (a full disk, a busy device)."""
    timeout: Time | None = None
    """How long one attempt may take: seconds, or `90s`, `60m`, `2h`."""
    fallback: Literal["procedural"] | None = None
    """`procedural`: if the model is not here, let the built-in instrument play; the result says PROCEDURAL everywhere."""
    for_each: ForEachKeys | None = None
    """Run this step once per item, or row, of another step."""
    min_success: Annotated[int, Field(ge=1)] = 1
    """With `for_each`: how many runs must succeed for the step to count as done."""
    keep: Annotated[dict[str, str], Field(min_length=1, max_length=1000)] | None = None
    """Items that are not made but taken over as they are from the job that `from:` names: `{3: from/beds/3}`."""


class JobKeys(Params):
    """Keys of the whole job."""

    name: Annotated[str, Field(min_length=1)] | None = None
    """What the job and its files are called: lower-case letters, digits and `-`, at most 60. Default: the file's name."""
    seed: Seed | None = None
    """Same seed, same music. Without one, a seed is drawn and written into the report."""
    seeds: Annotated[list[Seed], Field(min_length=2, max_length=16)] | None = None
    """In place of `seed`: one whole result for each, in folders `seed-7/`, ..., side by side in `compare.md`."""
    priority: Annotated[int, Field(ge=-10, le=10)] = 0
    """Jobs with a higher number go first."""
    input_timeout: Time | None = None
    """How long to wait for inputs that are not there yet: seconds, or `90s`, `60m`, `24h`."""
    deliver: DeliverKeys | None = None
    """Where copies of the result go."""
    keep_work: bool = False
    """Publish the working folders too, with whatever the steps have left in them, as `work/<step>.<run>.<attempt>/`."""
    from_: Annotated[str | None, Field(alias="from", min_length=1, max_length=100)] = None
    """A finished job (its id, or a name for its newest done job) whose items can be used: `from/beds/3`."""

    @field_validator("name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and slug(value) != value:
            raise ValueError(f"a name is lower-case letters, digits and -, at most 60 characters; write {slug(value)}")
        return value

    @model_validator(mode="after")
    def _one_way_to_seed(self) -> Self:
        if self.seeds is not None and self.seed is not None:
            raise ValueError("seeds: stands in place of `seed`; keep one of the two")
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            twice = next(seed for seed in self.seeds if self.seeds.count(seed) > 1)
            raise ValueError(f"seeds: {twice} stands there twice; each gives one result")
        return self


DEFAULT_KEYS = ("retries", "timeout", "fallback")
"""Step keys that may also stand at the top, as defaults for all steps."""
STEP_NAME = r"[a-z][a-z0-9_-]{0,30}"
RESERVED_NAMES = ("each", "from")
MOST_STEPS = 100
