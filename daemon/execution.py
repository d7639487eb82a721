"""One run of one handler: opens and hashes the inputs, gives the handler its context, makes what it delivers durable.

Shared by the worker and by `drophammer do`: whatever calls it only passes a function that takes the messages.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import operator
import os
import re
import resource
import shutil
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from daemon.jobs import file_name, is_published_name
from handlers.contract import Cancelled, Handler, InputFile, Invalid, ItemRecord, Kind, Run, load

PROGRESS_INTERVAL_S = 0.1
LIBRARIES = ("numpy", "scipy", "soundfile", "soxr", "librosa", "torch", "audiocraft")
LABEL = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
"""No underscore and no digit at the beginning: then no two items of a job can be given one name."""
SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,10})?", re.ASCII)
LARGEST_FACTS = 512 * 1024
"""In bytes of JSON: facts travel in one line, and to every step that reads the item."""


@dataclass(frozen=True)
class Request:
    """What a worker is asked to do: JSON values only, so that it travels down a pipe."""

    handler: str
    params: str
    """The handler's parameters after defaults, as JSON text."""
    inputs: dict[str, list[dict[str, Any]]]
    """By reference as written: path, label, sha256 (None: not known yet), facts, sidecars, published, published_sidecars."""
    completed: list[dict[str, Any]]
    """Items of earlier attempts: item, path, facts."""
    workdir: str
    seed: int
    job_id: str
    job_name: str
    step: str
    config_dir: str
    cache_dir: str
    umask: int = 0o002
    publishes: dict[str, Any] = field(default_factory=dict)
    """Where its files will lie: `folder`, `step` (with that of its seed), `run` and `runs`; empty where nobody asks."""
    folders: dict[str, dict[str, str]] = field(default_factory=dict)
    """By folder as written: path, links followed, or `refused` with the reason."""
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By reference to a step with `for_each`: row, ok, reason, took_s, and items, as places in `inputs`."""
    keep: list[dict[str, Any]] = field(default_factory=list)
    """Items to take over as they are: item, path, label, sha256, facts, kept_from, and `files`, what lies beside the primary."""


@dataclass(frozen=True)
class Outcome:
    """What a finished run reports."""

    warnings: list[str]
    inputs: list[dict[str, str]]
    versions: dict[str, str]
    cpu_s: float
    peak_memory_bytes: int


@dataclass
class Execution:
    """A run in progress; it is the :class:`~handlers.contract.Context` that the handler sees."""

    request: Request
    say: Callable[[dict[str, Any]], None]
    models: dict[str, Any]
    cancelled: Callable[[], bool]
    warnings: list[str] = field(default_factory=list)
    hashed: list[dict[str, str]] = field(default_factory=list)
    inputs: Mapping[str, list[InputFile]] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)

    passing_errors = frozenset(
        {errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.EMFILE, errno.ENFILE}
    )
    """Errors of the system that may pass: the run is tried again."""

    def __post_init__(self) -> None:
        self.config_dir = Path(self.request.config_dir)
        self.seed = self.request.seed
        self.job_id = self.request.job_id
        self.job_name = self.request.job_name
        self.step = self.request.step
        self.completed = {
            entry["item"]: ItemRecord(entry["item"], Path(entry["path"]), entry["facts"])
            for entry in self.request.completed
        }
        self._emitted: set[tuple[int, str, str]] = set()
        self._files: set[str] = set()
        self._finished = set(self.completed)
        self._progress_at = 0.0
        self._phase = ""

    @cached_property
    def workdir(self) -> Path:
        """Private to this attempt, empty; made when it is first asked for."""
        folder = Path(self.request.workdir)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # Of an attempt that a power loss has taken from the ledger.
            shutil.rmtree(folder)
            folder.mkdir()
        return folder

    @cached_property
    def cache_dir(self) -> Path:
        folder = Path(self.request.cache_dir)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run(self, handler: Handler) -> Outcome:
        """Run the handler; returns what is worth recording about it.

        Raises
        ------
        HandlerError
            With the meaning the lane acts on. Any other exception is a bug of the handler.
        """
        os.umask(self.request.umask)
        _reset_peak_memory()
        began = resource.getrusage(resource.RUSAGE_SELF)
        params = handler.params.model_validate_json(self.request.params)
        # numpy's threads wait by spinning: on the small products of an analysis they burn CPU and save no time.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        function = load(handler.run)
        self.inputs = {
            name: [self._open(entry, listens=handler.listens) for entry in entries]
            for name, entries in self.request.inputs.items()
        }
        self.runs = {
            name: tuple(
                Run(**{**entry, "items": tuple(self.inputs[name][place] for place in entry["items"])}) for entry in runs
            )
            for name, runs in self.request.runs.items()
        }
        self.folders = {written: _folder(written, entry) for written, entry in self.request.folders.items()}
        for entry in self.request.keep:
            if entry["item"] not in self.completed:
                self._take_over(entry)
        function(params, self)
        for entry in self.hashed if handler.listens else ():
            if sha256_of(Path(entry["path"])) != entry["sha256"]:
                raise Invalid(
                    f"{entry['path']} was changed while this step read it; drop the job again when the file is final"
                )
        ended = resource.getrusage(resource.RUSAGE_SELF)
        return Outcome(
            warnings=self.warnings,
            inputs=self.hashed,
            versions=_versions(handler),
            cpu_s=round(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime, 3),
            peak_memory_bytes=_peak_memory(),
        )

    def published_path(self, item: int, suffix: str) -> Path:
        """Where an item's primary will lie once the job is done."""
        where = {"folder": self.request.workdir, "step": self.step, "run": 1, "runs": 1, **self.request.publishes}
        name = file_name(self.job_name, where["step"], where["run"], where["runs"], item, "", suffix)
        return Path(where["folder"]) / name

    def _open(self, entry: dict[str, Any], *, listens: bool) -> InputFile:
        if entry.get("refused"):
            raise Invalid(entry["refused"])
        path = Path(entry["path"])
        recorded = entry.get("sha256")
        sha256 = recorded if recorded and not listens else sha256_of(path)
        if entry.get("sha256") not in (None, sha256):
            raise Invalid(f"{entry['label']}: {path} is not the file its job made (its content was changed since)")
        self.hashed.append({"label": entry["label"], "path": str(path), "sha256": sha256})
        sidecars = {label: Path(place) for label, place in entry.get("sidecars", {}).items()}
        names = entry.get("published", ""), entry.get("published_sidecars", {})
        return InputFile(path, entry["label"], sha256, entry.get("facts", {}), sidecars, *names)

    def _take_over(self, entry: dict[str, Any]) -> None:
        """Deliver an earlier job's item as this run's own: copied, since people retag what lies in their outbox, and verified."""
        if entry.get("refused"):
            raise Invalid(entry["refused"])
        item, origin = entry["item"], {"kept_from": entry["kept_from"]}
        primary = {**entry, "kind": "primary", "label": ""}
        for file in (*entry["files"], primary):
            source = Path(file["path"])
            if not source.is_file():
                raise Invalid(f"{entry['label']}: {source} is gone; without it the item cannot be kept")
            copy = self.workdir / f"kept-{item}{'-' + file['label'] if file['label'] else ''}{source.suffix}"
            shutil.copyfile(source, copy)
            if sha256_of(copy) != file["sha256"]:
                raise Invalid(
                    f"{entry['label']}: {source} is not the file its job made (its content was changed since)"
                )
            facts = {**file["facts"], **(origin if file is primary else {})}
            self.emit(item, copy, file["kind"], label=file["label"], **facts)
        self.completed[item] = ItemRecord(item, copy, facts)
        self.log("item kept", item=item, kept_from=entry["kept_from"])

    # What the handler calls ---------------------------------------------------------------------------------------

    def progress(self, phase: str, done: float, total: float | None = None, unit: str = "") -> None:
        amounts = float(done), None if total is None else float(total)
        if not all(amount is None or math.isfinite(amount) for amount in amounts):
            raise ValueError(f"progress({phase!r}, {done!r}, {total!r}): amounts are finite numbers")
        now = time.monotonic()
        if phase == self._phase and now - self._progress_at < PROGRESS_INTERVAL_S:
            return
        self._phase, self._progress_at = phase, now
        done, total = amounts
        self.say({"say": "progress", "phase": str(phase), "done": done, "total": total, "unit": str(unit)})

    def log(self, message: str, level: str = "info", **facts: Any) -> None:
        # What JSON cannot hold is written as text: a line in the log never fails the work.
        plain = json.loads(json.dumps(facts, default=str), parse_constant=str)
        self.say({"say": "log", "level": str(level), "message": str(message), "facts": plain})

    def warn(self, message: str) -> None:
        self.warnings.append(str(message))
        self.log(message, level="warning")

    def check_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled("cancelled")

    def emit(self, item: int, path: Path, kind: Kind = "primary", *, label: str = "", **facts: Any) -> None:
        path, item = Path(path), operator.index(item)
        entry = (item, label, path.suffix)
        if kind not in get_args(Kind):
            raise ValueError(f"item {item}: kind {kind!r} is none of {', '.join(get_args(Kind))}")
        if label and not LABEL.fullmatch(label):
            raise ValueError(
                f"item {item}: label {label!r} must be lower-case letters, digits and -, a letter first, at most 40"
            )
        if not path.name.isprintable() or not SUFFIX.fullmatch(path.suffix):
            raise ValueError(
                f"item {item}: {path.name!r} is no name for a file to deliver; use letters, digits and one suffix"
            )
        if not 1 <= item < 1_000_000 or item in self._finished or entry in self._emitted:
            raise ValueError(
                f"item {item}, {label or kind} {path.suffix}: emitted before, or after its item was finished"
            )
        if (kind == "primary") != (not label) and kind != "rendition":
            raise ValueError(f"item {item}: a {kind} {'needs a' if kind != 'primary' else 'has no'} label")
        if path.parent != self.workdir or path.is_symlink() or path.name in self._files:
            raise ValueError(f"{path}: only files directly in the working folder can be delivered, each once")
        if "published" in facts and not is_published_name(facts["published"]):
            raise ValueError(
                f"item {item}: published={facts['published']!r:.100} must be folders of plain letters, digits, _, + and -, "
                "joined by /, and a file with one suffix"
            )
        facts = _facts(item, facts)
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.fstat(file.fileno()).st_size
            os.fsync(file.fileno())
        _sync_folder(self.workdir)
        self._emitted.add(entry)
        self._files.add(path.name)
        if kind == "primary":
            self._finished.add(item)
        self.say(
            {
                "say": "item",
                "item": item,
                "kind": kind,
                "label": label,
                "file": path.name,
                "size_bytes": size,
                "sha256": sha256,
                "facts": facts,
            }
        )


def _folder(written: str, entry: dict[str, str]) -> Path:
    if entry.get("refused"):
        raise Invalid(entry["refused"])
    if not os.path.isdir(entry["path"]):
        raise Invalid(f"{written}: there is no folder {entry['path']}; is its drive mounted?")
    return Path(entry["path"])


def _facts(item: int, facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as the manifest will hold them."""
    for name, value in facts.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"item {item}: fact {name}={value!r:.100} is no JSON value: {error}") from None
    text = json.dumps(facts)
    if len(text) > LARGEST_FACTS:
        raise ValueError(
            f"item {item}: {len(text):,} bytes of facts, {LARGEST_FACTS:,} are allowed; put them into a sidecar"
        )
    return json.loads(text)


def sha256_of(path: Path) -> str:
    """Hash a regular file, read from one descriptor, no symbolic link followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Invalid(f"{path}: is not a regular file")
        if os.readlink(f"/proc/self/fd/{descriptor}") != os.path.abspath(path):
            raise Invalid(f"{path}: a folder on the way to it is a link, or became one")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _versions(handler: Handler) -> dict[str, str]:
    libraries = {
        name: str(getattr(sys.modules[name], "__version__", "unknown")) for name in LIBRARIES if name in sys.modules
    }
    return {handler.name: handler.version, "python": sys.version.split()[0], **libraries}


def _reset_peak_memory() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # Not allowed everywhere; the peak is then that of the worker's whole life.


def _peak_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
