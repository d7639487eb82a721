"""`check`: everything that can be known of a job file before it runs, by the reader that the daemon uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli import terminal
from daemon.cli.failure import NO
from daemon.cli.jobview import open_ledger
from daemon.cli.pace import read_pace
from daemon.cli.rehearsal import rehearse
from daemon.cli.submission import default_name, read_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from daemon.documents import Document
    from daemon.settings import Settings
    from handlers.contract import Estimate
    from handlers.registry import Registry

MOST_RUNS = 60
"""Listed of each step."""


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Job files; - reads one from stdin.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check job files without submitting them. Exit code 0: fine; 1: problems, all of them listed.

    Shows the steps, how long each result will be, time and disk from this machine's own earlier runs, results that
    no step uses, and what is missing here. JSON: a list of file, ok, problems (line, column, key, message), name,
    seed, seeds, steps (of each seed: name, handler, lane, items, duration_s, size_bytes, took_s, runs_known, fallback, kept, findings), unused, missing,
    took_s, size_bytes.

    Example: ./drophammer check config/jobs/demo.yaml
    """
    check_files(files, json=json)


def check_files(files: Sequence[str], *, json: bool, look_around: bool = False) -> None:
    """Check, print, and end with exit code 1 when a file has problems.

    With `look_around`, steps that only look are run, to say what steps with `for_each` would go over.
    """
    from daemon.settings import load
    from handlers.registry import load_registry

    settings = load()
    registry = load_registry(settings.handlers)
    connection = open_ledger(settings.paths)
    reports = [examine(file, settings, registry, connection, look_around=look_around) for file in files]
    if json:
        terminal.print_json(reports)
    else:
        for report in reports:
            _print(report)
    if not all(report["ok"] for report in reports):
        raise typer.Exit(NO)


def examine(
    file: str, settings: Settings, registry: Registry, connection: sqlite3.Connection | None, *, look_around: bool
) -> dict[str, Any]:
    """What can be said about one job file, as JSON values."""
    from daemon import documents

    report: dict[str, Any] = {
        "file": file, "ok": False, "problems": [], "name": None, "seed": None, "seeds": [], "steps": [], "unused": [], "missing": [],
        "took_s": None, "size_bytes": None,
    }  # fmt: skip
    try:
        document = documents.read(read_text(file), registry, settings, default_name=default_name(file))
    except documents.DocumentError as error:
        report["problems"] = [
            {"line": p.line, "column": p.column, "key": p.key, "message": p.message} for p in error.problems
        ]
        return report
    known = documents.estimates(document, registry)
    report.update(ok=True, name=document.name, seed=document.seed, unused=documents.unused(document, registry))
    report["seeds"] = list(document.seeds)
    for step in document.steps:
        lane = settings.lane_of(step.handler, registry[step.handler].lane)
        report["steps"].append(_expectation(step, lane, known[step.name], connection))
    report["missing"] = _missing(document, connection)
    if look_around and not report["missing"]:
        report["runs"] = [vars(found) for found in rehearse(document, settings, registry)]
    for key in ("took_s", "size_bytes"):
        values = [step[key] for step in report["steps"]]
        report[key] = None if None in values else sum(values) * max(len(document.seeds), 1)
    return report


def _expectation(step: Any, lane: str, estimate: Estimate, connection: sqlite3.Connection | None) -> dict[str, Any]:
    pace = read_pace(connection, step.handler, step.params)
    audio_s = None if estimate.items is None or estimate.duration_s is None else estimate.items * estimate.duration_s
    took, size = None, estimate.size_bytes
    if pace is not None:
        took = pace.took_s_same
        if took is None and audio_s is not None and pace.seconds_per_second is not None:
            took = audio_s * pace.seconds_per_second
        if took is not None and step.keep and estimate.items:
            took *= 1 - len(step.keep) / estimate.items  # What is kept is only copied.
        if size is None and audio_s is not None and pace.bytes_per_second is not None:
            size = round(audio_s * pace.bytes_per_second)
    return {
        "name": step.name, "handler": step.handler, "lane": lane, "items": estimate.items, "duration_s": estimate.duration_s,
        "size_bytes": size, "took_s": took, "runs_known": 0 if pace is None else pace.runs, "fallback": step.fallback,
        "kept": len(step.keep),
        "findings": [{"kind": f.kind, "key": f.key, "message": f.message} for f in step.findings],
    }  # fmt: skip


def _missing(document: Document, connection: sqlite3.Connection | None) -> list[str]:
    """What the job would wait for if it were dropped now."""
    from daemon.documents import nearest_file

    said = []
    if document.from_job is not None:
        ended = "id = ? AND state IN ('done', 'failed', 'cancelled') OR name = ? AND state = 'done'"
        query = f"SELECT 1 FROM jobs WHERE {ended} LIMIT 1"
        if connection is None or connection.execute(query, (document.from_job, document.from_job)).fetchone() is None:
            said.append(f"from: no finished job {document.from_job!r} yet")
    for step in document.steps:
        said += [
            finding.message
            for finding in step.findings
            if finding.kind == "missing" and not (finding.key == "model" and step.fallback)
        ]
        for reference, source in step.sources.items():
            if source["kind"] in ("path", "folder") and not Path(source["path"]).exists():
                near = nearest_file(Path(source["path"]))
                said.append(f"{reference} is not here{f' (the nearest name is {near})' if near else ''}")
    return list(dict.fromkeys(said))


def _print(report: dict[str, Any]) -> None:
    if not report["ok"]:
        print(
            f"{terminal.safe(report['file'])}: {len(report['problems'])} problem{'s' * (len(report['problems']) != 1)}"
        )
        for problem in report["problems"]:
            place = f"line {problem['line']}" + (f", {problem['key']}" if problem["key"] else "")
            print(f"  {terminal.safe(place)}: {terminal.safe(problem['message'])}")
        return
    seed = "drawn when it is accepted" if report["seed"] is None else report["seed"]
    seeds = f"seeds {', '.join(map(str, report['seeds']))}; of each:" if report["seeds"] else f"seed {seed}"
    print(f"{terminal.safe(report['file'])}: job {report['name']}, {seeds}")
    rows = []
    for step in report["steps"]:
        count = "?" if step["items"] is None else step["items"]
        each = "" if step["duration_s"] is None else f"{step['duration_s']:g} s"
        result = f"{count} x {each}" if each else f"{count} item{'s' * (count != 1)}"
        result += f", {step['kept']} kept" if step["kept"] else ""
        took = terminal.duration(step["took_s"]) or ("?" if step["runs_known"] else "no runs yet on this machine")
        rows.append(
            (step["name"], step["handler"], step["lane"], result, took, terminal.size(step["size_bytes"]) or "?")
        )
    terminal.print_table(("step", "handler", "lane", "result", "takes", "disk"), rows)
    if report["took_s"] is not None:
        print(
            f"all steps{' of all seeds' if report['seeds'] else ''}: about {terminal.duration(report['took_s'])}, {terminal.size(report['size_bytes']) or 'unknown disk'}"
        )
    for step in report["steps"]:
        if step["fallback"] and any(
            finding["kind"] == "missing" and finding["key"] == "model" for finding in step["findings"]
        ):
            print(
                f"note: step {step['name']}: its model is not here; {step['fallback']} stands in, and every file will say so"
            )
        for finding in step["findings"]:
            if finding["kind"] == "warning":
                print(
                    f"warning: step {step['name']}, {terminal.safe(finding['key'])}: {terminal.safe(finding['message'])}"
                )
    if report["unused"]:
        print(f"warning: no step uses {', '.join(map(terminal.safe, report['unused']))}")
    for found in report.get("runs", ()):
        _print_runs(found)
    for missing in report["missing"]:
        print(f"missing: {terminal.safe(missing)}")


def _print_runs(found: dict[str, Any]) -> None:
    """What a step with `for_each` would go over, a line each."""
    chosen = found["chosen"]
    print(f"\n{found['step']} would run {len(chosen)} times, for these of {found['rows']} rows of {found['over']}:")
    for number, label in enumerate(chosen[:MOST_RUNS], found["start"] + 1):
        print(f"  {number:>4}  {terminal.safe(label)}")
    if len(chosen) > MOST_RUNS:
        print(f"  and {len(chosen) - MOST_RUNS} more (--json lists them all)")
