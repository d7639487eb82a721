"""config/schedules.yaml to typed schedules, with every problem reported at once; and a schedule to its job's text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from daemon.documents.problems import DocumentError, Problem, Report, listed, nearest, show
from daemon.documents.scalars import ScalarRefused, resolve
from daemon.documents.text import decode
from daemon.documents.tree import Node, parse
from daemon.schedule.cron import Cron
from daemon.settings import SettingsError, parse_seconds

KEYS = ("cron", "timezone", "job", "seed", "misfire_grace", "coalesce", "overlap", "enabled")
MISFIRE_GRACE_S = 3600.0
LONGEST_GRACE_S = 30 * 86400.0
LONGEST_NAME = 60


@dataclass(frozen=True)
class Schedule:
    """When which job is queued."""

    name: str
    cron: Cron
    job: str | dict[str, Any] = field(hash=False)
    """A job file's path, relative to config/, or the job itself."""
    new_seed: bool = False
    """Draw a seed at each firing even if the job names one. A job that names none gets a new one anyway."""
    misfire_grace_s: float = MISFIRE_GRACE_S
    """A due time that is noticed later than this has been missed."""
    coalesce: bool = True
    """Of several due times noticed at once, only the newest makes a job."""
    overlap: str = "skip"
    """``skip`` or ``queue``: what happens while the schedule's former job has not ended."""
    enabled: bool = True


def read(path: Path) -> tuple[Schedule, ...]:
    """Read the schedules; without the file there are none.

    Raises
    ------
    SettingsError
        With every problem of the file: line, schedule, what is wrong.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    report, schedules = Report(), []
    try:
        text = decode(content)
        if not re.sub(r"(?m)^\s*(#.*|---)?$", "", text).strip():  # comments only, as shipped
            return ()
        root = parse(text, report)
        if not isinstance(root.value, dict):
            report.add(root, "", f"must hold schedules as `name: {{cron: ..., job: ...}}`, found {show(root.plain())}")
        else:
            for name, node in root.value.items():
                if (schedule := _schedule(name, node, report)) is not None:
                    schedules.append(schedule)
        if report:
            raise report.error()
    except DocumentError as error:
        raise SettingsError("\n  ".join([f"{path}:", *str(error).splitlines()])) from None
    return tuple(schedules)


def _schedule(name: str, node: Node, report: Report) -> Schedule | None:
    if len(name) > LONGEST_NAME or not name.isprintable() or not name.strip():
        report.add(node, show(name), f"a schedule's name has 1 to {LONGEST_NAME} characters, all of them visible")
    if not isinstance(node.value, dict):
        report.add(node, name, f"must be a mapping with `cron:` and `job:`, found {show(node.plain())}")
        return None
    for key, inner in node.value.items():
        if key not in KEYS:
            report.add(inner, f"{name}.{key}", f"unknown key{nearest(key, KEYS)} (there are {listed(KEYS)})")
    for key in ("cron", "job"):
        if key not in node.value:
            report.add(node, name, f"`{key}:` is missing")
    take = _Taker(name, node.value, report)
    cron = take.cron()
    job = take.job()
    schedule = Schedule(
        name, cron, job,
        new_seed=take.choice("seed", ("as written", "new"), "as written") == "new",
        misfire_grace_s=take.seconds("misfire_grace", MISFIRE_GRACE_S),
        coalesce=take.flag("coalesce", True),
        overlap=take.choice("overlap", ("skip", "queue"), "skip"),
        enabled=take.flag("enabled", True),
    )  # fmt: skip
    return None if report else schedule


class _Taker:
    """Takes the values of one schedule, each checked; what is wrong is reported, and the default stands in."""

    def __init__(self, name: str, nodes: dict[str, Node], report: Report) -> None:
        self.name = name
        self.nodes = nodes
        self.report = report

    def _refuse(self, key: str, message: str) -> None:
        self.report.add(self.nodes[key], f"{self.name}.{key}", message)

    def cron(self) -> Cron:
        values = {key: self.nodes[key].plain() if key in self.nodes else None for key in ("cron", "timezone")}
        if values["timezone"] is not None:
            if not isinstance(values["timezone"], str):
                self._refuse("timezone", f"must be a zone's name, found {show(values['timezone'])}")
                return Cron("@daily", "UTC")
            try:
                _ = Cron("@daily", values["timezone"]).zone
            except ValueError as error:
                self._refuse("timezone", str(error))
                values["timezone"] = "UTC"
        cron = Cron(values["cron"] if isinstance(values["cron"], str) else "@daily", values["timezone"])
        if "cron" in self.nodes:
            if not isinstance(values["cron"], str):
                self._refuse("cron", f'must be an expression in quotes, as in "0 3 * * *"; found {show(values["cron"])}')
            else:
                try:
                    cron.check()
                except ValueError as error:
                    self._refuse("cron", str(error))
        return cron

    def job(self) -> str | dict[str, Any]:
        value = self.nodes["job"].plain() if "job" in self.nodes else ""
        if isinstance(value, dict):
            if "do" not in value and "steps" not in value:
                self._refuse("job", "a job has `do:` or `steps:`")
            return value
        if "job" in self.nodes and (not isinstance(value, str) or not value.strip()):
            self._refuse("job", f"must be a job file's path, relative to config/, or a job; found {show(value)}")
        return value if isinstance(value, str) else ""

    def choice(self, key: str, words: tuple[str, ...], default: str) -> str:
        value = self.nodes[key].plain() if key in self.nodes else default
        if value not in words:
            hint = nearest(value, words) if isinstance(value, str) else ""
            self._refuse(key, f"must be {listed(words, 'or')}, found {show(value)}{hint}")
            return default
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.nodes[key].plain() if key in self.nodes else default
        if not isinstance(value, bool):
            self._refuse(key, f"must be true or false, found {show(value)}")
            return default
        return value

    def seconds(self, key: str, default: float) -> float:
        value = self.nodes[key].plain() if key in self.nodes else default
        try:
            number = parse_seconds(value)
        except ValueError as error:
            self._refuse(key, f"{error}; found {show(value)}")
            return default
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= LONGEST_GRACE_S:
            self._refuse(key, f"must be a time from 0 to 30d, found {show(value)}")
            return default
        return float(number)


def text_of(schedule: Schedule, config: Path) -> bytes:
    """The text of the job that a schedule queues, as a job file would hold it.

    Raises
    ------
    OSError
        The job file cannot be read.
    DocumentError
        It is no YAML, and its seed was to be taken away; what else may be wrong with it is for the job reader to find.
    """
    if isinstance(schedule.job, dict):
        if schedule.new_seed and "seeds" in schedule.job:
            raise _both()
        job = {key: value for key, value in schedule.job.items() if not (schedule.new_seed and key == "seed")}
        return _write(job)
    content = (config / Path(schedule.job).expanduser()).read_bytes()
    return _without_seed(content) if schedule.new_seed else content


def _without_seed(content: bytes) -> bytes:
    text, report = decode(content), Report()
    root = parse(text, report)
    if not report and isinstance(root.value, dict) and "seeds" in root.value:
        raise _both()
    if report or not isinstance(root.value, dict) or "seed" not in root.value:
        return content
    lines = text.splitlines(keepends=True)
    written = re.fullmatch(r"seed\s*:\s*\d+\s*(#.*)?", lines[root.value["seed"].line - 1].rstrip("\r\n"))
    if written:  # keep everything else as the person wrote it, comments and line numbers too
        lines[root.value["seed"].line - 1] = f"# {written[0]}  (its schedule draws a new one)\n"
        return "".join(lines).encode()
    job = root.plain()
    del job["seed"]
    return _write(job)


def _both() -> DocumentError:
    return DocumentError([Problem(1, 1, "seeds", "names its seeds, and its schedule says `seed: new`; keep one of the two")])


class _Dumper(yaml.SafeDumper):
    """Quotes what PyYAML, which knows YAML 1.1, would write plain and our reader would take for a number."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    try:
        plain = resolve(value) == value
    except ScalarRefused:
        plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def _write(job: dict[str, Any]) -> bytes:
    return yaml.dump(job, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120).encode()
