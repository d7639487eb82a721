"""Jobs: their ids, their states, and the rules between them. Pure: no file, no clock, no ledger."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WAITING, QUEUED, RUNNING, PUBLISHING = "waiting", "queued", "running", "publishing"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)

CRASHES_ALLOWED = 3
"""A run whose worker died this often is quarantined: the job fails and the lane goes on."""
INTERRUPTIONS_ALLOWED = 10
"""A run cut short this often by the daemon's own end is given up: something kills us each time it runs."""
BACKOFF_CEILING_S = 3600.0

ID_PATTERN = re.compile(r"(\d{8}-\d{6})-([a-z0-9][a-z0-9-]{0,59})-(\d{4,})", re.ASCII)


def slug(text: str, default: str = "job") -> str:
    """Reduce a name to ``[a-z0-9-]``, at most 60 characters, safe on every filesystem and in every shell."""
    # Casefolding, not lower case: it makes ss of ß, which would fall away.
    plain = unicodedata.normalize("NFKD", text).casefold().encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or default


def make_id(now: datetime, name: str, number: int) -> str:
    """``20261121-020315-industrial-set-0042``: UTC to the second, name, counter."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{slug(name)}-{number:04d}"


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: what the ledger holds. Sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Tally:
    """How a run's attempts have ended so far, the present one included."""

    failed_attempts: int
    crashes: int
    interruptions: int


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run after an attempt."""

    state: str
    delay_s: float = 0.0
    reason: str = ""


def judge(outcome: str, meaning: str | None, message: str, tally: Tally, *, retries: int, backoff_s: float) -> Verdict:
    """Decide whether a run is finished, tried again, or given up.

    Parameters
    ----------
    outcome
        ``done``, ``failed``, ``crashed`` (its worker died under a live daemon), ``interrupted`` (the daemon went)
        or ``cancelled``.
    meaning
        For ``failed``: ``invalid``, ``transient``, ``out_of_memory``, ``timeout``, ``cancelled`` or ``bug``.
    retries
        How many more attempts an error that may pass is given.
    backoff_s
        Before the first retry, in seconds; doubles with each, up to an hour.
    """
    if outcome == "done":
        return Verdict(DONE)
    if outcome == "cancelled" or meaning == "cancelled":
        return Verdict(CANCELLED, reason="cancelled")
    if outcome == "interrupted":
        if tally.interruptions >= INTERRUPTIONS_ALLOWED:
            return Verdict(FAILED, reason=f"interrupted {tally.interruptions} times by the end of the daemon; given up")
        return Verdict(QUEUED)
    if outcome == "crashed":
        if tally.crashes >= CRASHES_ALLOWED:
            return Verdict(FAILED, reason=f"quarantined: its worker died {tally.crashes} times, last: {message}")
        return Verdict(QUEUED, delay_s=min(1.0, backoff_s))
    if meaning in ("transient", "out_of_memory") and tally.failed_attempts <= retries:
        delay = min(backoff_s * 2 ** (tally.failed_attempts - 1), BACKOFF_CEILING_S)
        return Verdict(QUEUED, delay_s=0.0 if meaning == "out_of_memory" else delay)
    return Verdict(FAILED, reason=message)


def later(moment: datetime, delay_s: float) -> datetime:
    return moment + timedelta(seconds=delay_s)


def own_name(step: str) -> str:
    """A step's name as the job file has it: ``seed-7/beds`` of a job with several seeds is its ``beds``."""
    return step.rpartition("/")[2]


def file_name(job: str, step: str, run: int, runs: int, item: int, label: str, suffix: str) -> str:
    """Name a delivered file for people: ``industrial-set_beds_3.wav``, ``industrial-set_beds_3_grid.json``.

    A step that goes over many things numbers its runs first: ``archaeology_mine_012-3_pad.wav``. Of several seeds each
    has a folder, in which files are called as if it were the only one: ``seed-7/industrial-set_beds_3.wav``.
    """
    folder, slash, step = step.rpartition("/")
    place = f"{run:03d}-{item}" if runs > 1 else f"{item}"
    return f"{folder}{slash}{job}_{step}_{place}{'_' + label if label else ''}{suffix}"


OWN_NAMES = ("job.yaml", "manifest.json", "log.jsonl", "report.md", "index.html", "compare.md", "reason.txt")
"""What the daemon itself writes into a finished job's folder."""
_PUBLISHED = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_ +-]{0,79}/){0,7}[A-Za-z0-9_][A-Za-z0-9_ +-]{0,99}\.[A-Za-z0-9]{1,10}", re.ASCII
)


def is_published_name(name: object) -> bool:
    """Whether a handler may have a file published so: folders without a dot, a file with one, so that they never meet."""
    return isinstance(name, str) and _PUBLISHED.fullmatch(name) is not None


def numbered(name: str, number: int) -> str:
    """A name for the second, third, ... file that is to be called so: ``pads/low-2.wav``."""
    stem, dot, suffix = name.rpartition(".")
    return name if number == 1 else f"{stem}-{number}{dot}{suffix}"
