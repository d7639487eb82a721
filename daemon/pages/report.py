"""`report.md`: the job on paper. What was asked, what was made, how it measures, how long it took, how to repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from daemon.pages import reason, repeat
from daemon.pages.formats import date, grouped, size, time_of_day, took
from daemon.pages.markdown import MOST_ROWS, code, escape, fenced, table
from daemon.pages.view import FIRST, File, Item, Mark, Page, Step

PROMPT, PROMPT_UNREAD = "prompt", "prompt (for models that read; the built-in instrument goes by the style's settings)"
PROCEDURAL = "the built-in instrument stood in for a model that is not here"


def write(page: Page) -> str:
    """Return the text of `report.md`."""
    blocks = [*_opening(page), *_results(page), *_steps(page), *_files(page), *_parameters(page), *_request(page), *_origin(page)]
    return "\n\n".join(blocks) + "\n"


def _opening(page: Page) -> Iterator[str]:
    job = page.job
    yield f"# {escape(page.name)}"
    if job["procedural"]:
        yield f"**PROCEDURAL**: {PROCEDURAL}."
    if job["state"] != "done":
        yield f"**{escape(job['state'])}**: {escape(reason.headline(page))}\n\n{fenced(reason.advice(page), 'text')}"
    length = page.headliner.length if page.headliner and job["state"] == "done" else ""
    rows = [
        ("Job", code(job["id"])),
        ("State", escape(job["state"]) + (f", failures: {job['failures']}" if job["failures"] else "")),
        ("Finished", escape(date(job["finished_at"]))),
        ("Took", took(page.took_s)),
        ("Length", length),
        ("Seed", f"{job['seed']}" + (" (drawn: the job file named none)" if page.seed_drawn else "") if page.one_seed else ""),
        ("Seeds", f"{', '.join(map(str, page.seeds))} ([side by side](compare.md))" if page.seeds else ""),
        ("Made from", code(job["from_job"]) if job["from_job"] else ""),
        ("Licence", ", ".join(map(escape, page.licences))),
    ]
    yield table(("Drophammer", escape(page.version)), [row for row in rows if row[1]])


def _results(page: Page) -> Iterator[str]:
    steps = [step for step in page.steps if step.items]
    yield "## Results"
    if not steps:
        yield "Nothing was made."
    for step in steps:
        yield f"### {escape(step.name)}"
        yield table(
            ("Item", "File", "Length", "Tempo", "Key", "Loudness", "True peak", "Seed"),
            [
                (escape(item.label), _link(item.primary), item.length, *(escape(item.measured(key)) for key in FIRST), escape(item.seed))
                for item in step.items
            ],
        )
        if step.prompt:
            read = all(item.prompt_read for item in step.items)
            yield f"{PROMPT if read else PROMPT_UNREAD} of all: {escape(step.prompt)}"
        details = [line for item in step.items[:MOST_ROWS] for line in _details(item, step.prompt)]
        if details:
            yield "\n".join(details)


def _details(item: Item, shared: str) -> Iterator[str]:
    rest = "; ".join(f"{escape(entry.name)} {escape(entry.text)}" for entry in item.measurements if entry.key not in FIRST)
    lines = {
        "PROCEDURAL": PROCEDURAL if item.procedural else "",
        "kept": f"as it was, from {escape(item.kept_from)}" if item.kept_from else "",
        PROMPT if item.prompt_read else PROMPT_UNREAD: "" if item.prompt == shared else escape(item.prompt),
        "sections": _marks(item, item.sections),
        "tracks": _marks(item, item.tracks),
        "measured": rest,
    }
    if any(lines.values()):
        yield f"- **{escape(item.label)}**"
        yield from (f"  - {name}: {text}" for name, text in lines.items() if text)


def _marks(item: Item, marks: tuple[Mark, ...]) -> str:
    return " · ".join(escape(mark.label if mark.start_s is None else f"{item.clock(mark.start_s)} {mark.label}") for mark in marks)


def _steps(page: Page) -> Iterator[str]:
    yield "## Steps"
    yield table(
        ("Step", "Handler", "State", "Lane", "Started (UTC)", "Took", "CPU time", "Peak memory", "Attempts"),
        [_step_row(step) for step in page.steps],
    )
    for title, lines in (("Warnings", list(_warnings(page))), ("Attempts that did not end well", list(_bad_attempts(page)))):
        if lines:
            yield f"### {title}"
            rest = [f"- and {len(lines) - MOST_ROWS} more, all in manifest.json"] if len(lines) > MOST_ROWS else []
            yield "\n".join([*lines[:MOST_ROWS], *rest])


def _step_row(step: Step) -> tuple[str, ...]:
    entry = step.entry
    version = f" {entry['handler_version']}" if entry["handler_version"] else ""
    return (
        escape(step.name),
        escape(step.handler + version),
        escape(entry["state"]),
        escape(entry["lane"]),
        escape(time_of_day(entry["started_at"])),
        took(entry["took_s"]),
        took(entry["cpu_s"]),
        size(entry["peak_memory_bytes"]),
        str(len(entry["attempts"])),
    )


def _warnings(page: Page) -> Iterator[str]:
    for step in page.steps:
        yield from (f"- {escape(step.name)}: {escape(warning)}" for warning in step.warnings)


def _bad_attempts(page: Page) -> Iterator[str]:
    for step in page.steps:
        for attempt in step.entry["attempts"]:
            if attempt["outcome"] != "done":
                how = f"run {step.run_name(attempt['run'])}, attempt {attempt['number']}: {attempt['outcome'] or 'unknown'}"
                yield f"- {escape(step.name)}, {escape(how)}: {escape(attempt['message'] or 'no message')}"


def _files(page: Page) -> Iterator[str]:
    files = [file for step in page.steps for item in step.items for file in item.files]
    if files:
        yield "## Files"
        total = sum(file.size_bytes or 0 for file in files)
        yield f"{len(files)} {'file' if len(files) == 1 else 'files'}, {size(total)} ({grouped(total)} bytes)."
        yield table(
            ("File", "What", "Size", "Bytes"),
            [
                (_link(file), escape(_what(file)), size(file.size_bytes), "" if file.size_bytes is None else grouped(file.size_bytes))
                for file in files
            ],
        )


def _what(file: File) -> str:
    return f"{file.kind}: {file.label}" if file.label else file.kind


def _link(file: File | None) -> str:
    return "" if file is None else f"[{escape(file.name)}]({file.href})"


def _parameters(page: Page) -> Iterator[str]:
    yield "## Parameters"
    yield "Every one, after defaults."
    rows = [(escape(step.name), code(key), code(_plain(value))) for step in page.steps for key, value in step.entry["params"].items()]
    # A step's name stands on its first row only.
    firsts = [True, *(one[0] != other[0] for one, other in pairwise(rows))]
    yield table(("Step", "Parameter", "Value"), [(row[0] if first else "", *row[1:]) for first, row in zip(firsts, rows, strict=False)])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _request(page: Page) -> Iterator[str]:
    job, seed = page.job, page.job["seed"]
    yield "## Request"
    yield fenced(job["document"], "yaml")
    yield "## Repeat"
    if page.seeds:
        yield "The job file names its seeds, so the same comes out when it is dropped again. With one of them as its `seed:` that one alone does."
        yield fenced(repeat.resubmit(page.place), "sh")
        return
    if not page.seeded:
        yield "Nothing in it was drawn: the same job file makes the same of the same recordings."
        yield fenced(repeat.resubmit(page.place), "sh")
        return
    line = repeat.command(page.place, page.name, seed, page.text)
    if page.text is None:
        yield f"Write `seed: {seed}` at the top level of the job file above, and drop it into the inbox."
        return
    if page.seed_drawn:
        yield f"The job file names no seed; {seed} was drawn for this job. With it written down, the same comes out:"
    else:
        yield "The job file names its seed, so the same comes out when it is dropped again:"
    if line:
        yield fenced(line, "sh")
    if page.seed_drawn:
        yield "Or save this as a file and drop it into the inbox; another seed makes a variation."
        yield fenced(page.text.with_seed(seed), "yaml")


def _origin(page: Page) -> Iterator[str]:
    yield "## Made on"
    host = page.host
    rows = [(name, escape(host.get(key) or "none")) for name, key in HOST]
    libraries = dict(pair for step in page.steps for pair in step.entry.get("versions", {}).items())
    if libraries:
        rows.append(("Libraries", escape(", ".join(f"{name} {version}" for name, version in libraries.items() if name != "python"))))
    yield table(("", ""), [row for row in rows if row[1]])
    inputs = [(escape(step.name), escape(entry["label"]), code(entry["sha256"])) for step in page.steps for entry in step.entry["inputs"]]
    if inputs:
        yield "## Inputs"
        yield table(("Step", "Input", "SHA-256"), inputs)


HOST = (("Host", "hostname"), ("System", "platform"), ("Python", "python"), ("CPU", "cpu"), ("GPU", "gpu"))
