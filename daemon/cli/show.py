"""`show`: one job whole, with every finished file where it lies, playable while the rest is still being made."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from daemon.cli import terminal
from daemon.cli.jobview import Outside, find_job, open_ledger, read_files
from daemon.cli.read import Json, job_status, outside_facts, remark, step_now

FACTS_SHOWN = (
    ("duration_s", "{:.1f} s"), ("tempo_bpm", "{:.2f} BPM"), ("key", "{}"), ("integrated_lufs", "{:.1f} LUFS"), ("true_peak_dbtp", "{:.1f} dBTP"),
)  # fmt: skip


def show(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id, start of an id, number, name, or latest.")],
    json: Json = False,
) -> None:
    """Show a job: its steps, its finished files and where they lie, what it waits for, why it failed.

    Files of a running job lie in the outbox's staging folder and can be played there; when the job is done they are
    in its own folder. JSON: the keys of `status JOB`, and document, attempts, files (step, run, item, kind, label,
    size_bytes, name, path, there, kept, facts).

    Example: ./drophammer show latest
    """
    from daemon.settings import locate

    paths = locate()
    connection = open_ledger(paths)
    found = find_job(paths, connection, job)
    if isinstance(found, Outside):
        facts = outside_facts(found)
        document = found.path.read_text(encoding="utf-8", errors="replace") if found.path.exists() else None
        facts.update(steps=[], remaining_s=None, completion_at=None, document=document, attempts=[], files=[])
    else:
        facts = job_status(connection, found)
        facts["document"] = connection.execute("SELECT document FROM jobs WHERE id = ?", (found,)).fetchone()[0]
        facts["attempts"] = _attempts(connection, found)
        facts["files"] = read_files(connection, paths, facts)
    if json:
        terminal.print_json(facts)
    else:
        _print(facts)


def _attempts(connection: Any, job_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT steps.name AS step, runs.ordinal AS run, attempts.number, outcome, meaning, message, traceback, warnings,"
        " attempts.started_at, attempts.ended_at FROM attempts JOIN runs ON runs.id = attempts.run_id JOIN steps ON steps.id = runs.step_id"
        " WHERE attempts.job_id = ? ORDER BY attempts.id",
        (job_id,),
    )
    return [{**dict(row), "warnings": jsonlib.loads(row["warnings"] or "[]")} for row in rows]


def _print(facts: dict[str, Any]) -> None:
    terminal.print_facts(
        [
            ("job", facts["id"]), ("state", facts["state"]), ("why", remark(facts)), ("seed", None if facts["seeds"] else facts["seed"]),
            ("seeds", ", ".join(map(str, facts["seeds"]))), ("from", facts["from_job"]),
            ("accepted", terminal.local(facts["accepted_at"])), ("started", terminal.local(facts["started_at"])),
            ("finished", terminal.local(facts["finished_at"])),
            ("ready", facts["completion_at"] and f"about {terminal.local(facts['completion_at'])}"), ("folder", facts["folder"]),
        ]
    )  # fmt: skip
    for step in facts["steps"]:
        now = step_now(step)
        print(
            f"\n{terminal.safe(step['name'])}: {step['handler']}, {step['state']}{', ' + terminal.safe(now) if now else ''}"
        )
        for attempt in facts["attempts"]:
            if attempt["step"] == step["name"]:
                _print_attempt(attempt)
        for file in facts["files"]:
            if file["step"] == step["name"] and file["kind"] != "sidecar":
                gone = "" if file["there"] else "  (gone)"
                kept = "  (kept)" if file["kept"] and file["kind"] == "primary" else ""
                print(f"  {terminal.safe(file['path'])}{gone}{kept}  {_measurements(file)}".rstrip())


def _print_attempt(attempt: dict[str, Any]) -> None:
    if attempt["outcome"] not in (None, "done"):
        print(
            f"  attempt {attempt['number']} {attempt['outcome']}: {terminal.safe(attempt['message'] or attempt['meaning'] or '')}"
        )
    for warning in attempt["warnings"]:
        print(f"  warning: {terminal.safe(warning)}")


def _measurements(file: dict[str, Any]) -> str:
    said = [terminal.size(file["size_bytes"])]
    for key, form in FACTS_SHOWN:
        value = file["facts"].get(key)
        if isinstance(value, int | float | str):
            said.append(terminal.safe(form.format(value) if not (isinstance(value, str) and form != "{}") else value))
    return ", ".join(said)
