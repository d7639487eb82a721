"""The tables at the foot of `index.html`: steps, files, parameters, inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from daemon.pages.cards import MOST_ROWS, files_of
from daemon.pages.formats import size, time_of_day, took
from daemon.pages.markup import Child, Html, tag
from daemon.pages.view import Page, Step

ALWAYS_THERE = ("report.md", "job.yaml", "manifest.json", "log.jsonl")


def sections(page: Page) -> Iterator[Html]:
    """Everything below the job file."""
    yield tag(
        "section",
        tag("div", tag("h2", "Steps"), class_="head"),
        _steps(page),
        _attempts(page),
        _parameters(page),
        _inputs(page),
        id="steps",
    )
    yield tag("section", tag("div", tag("h2", "Files"), class_="head"), _files(page), id="files")


def _table(head: Sequence[str], rows: Sequence[Sequence[Child]], label: str) -> Html:
    if len(rows) > MOST_ROWS:
        more = f"and {len(rows) - MOST_ROWS} more, all in manifest.json"
        rows = [*rows[:MOST_ROWS], [tag("td", more, colspan=str(len(head)), class_="dim")]]
    table = tag(
        "table",
        tag("thead", tag("tr", [tag("th", word, scope="col") for word in head])),
        tag("tbody", [tag("tr", [cell if isinstance(cell, Html) and cell.startswith("<td") else tag("td", cell) for cell in row])
                      for row in rows]),
    )  # fmt: skip
    # Focusable, so that a keyboard can scroll it on a narrow screen.
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def _steps(page: Page) -> Html:
    head = ("Step", "Handler", "State", "Lane", "Started (UTC)", "Took", "CPU time", "Peak memory", "Attempts")
    return _table(head, [_step(step) for step in page.steps], "Steps")


def _step(step: Step) -> tuple[Child, ...]:
    entry = step.entry
    version = f" {entry['handler_version']}" if entry["handler_version"] else ""
    state = tag("td", entry["state"], class_=entry["state"])
    return (
        step.name, step.handler + version, state, entry["lane"], time_of_day(entry["started_at"]), took(entry["took_s"]),
        took(entry["cpu_s"]), size(entry["peak_memory_bytes"]), str(len(entry["attempts"])),
    )  # fmt: skip


def _attempts(page: Page) -> Html | None:
    rows = [
        (step.name, step.run_name(attempt["run"]), attempt["number"], tag("td", attempt["outcome"] or "unknown", class_=attempt["outcome"]),
         (attempt["meaning"] or "").replace("_", " "), tag("td", attempt["message"] or "", class_="break"))
        for step in page.steps for attempt in step.entry["attempts"] if attempt["outcome"] != "done"
    ]  # fmt: skip
    return rows and _folded(
        "Attempts that did not end well", ("Step", "Run", "Attempt", "Outcome", "Meaning", "Message"), rows, opened=True
    )


def _parameters(page: Page) -> Html | None:
    rows = [
        (step.name, tag("td", tag("code", key)), tag("td", tag("code", json.dumps(value, ensure_ascii=False)), class_="break"))
        for step in page.steps for key, value in step.entry["params"].items()
    ]  # fmt: skip
    return rows and _folded("Parameters after defaults", ("Step", "Parameter", "Value"), rows)


def _inputs(page: Page) -> Html | None:
    rows = [
        (step.name, entry["label"], tag("td", tag("code", entry["sha256"]), class_="break"))
        for step in page.steps for entry in step.entry["inputs"]
    ]  # fmt: skip
    return rows and _folded("Inputs", ("Step", "Input", "SHA-256"), rows)


def _folded(title: str, head: Sequence[str], rows: Sequence[Sequence[Child]], *, opened: bool = False) -> Html:
    return tag("details", tag("summary", title), _table(head, rows, title), class_="plain", open=opened)


def _files(page: Page) -> Html:
    made: list[Sequence[Child]] = [
        (tag("td", tag("a", file.name, href=file.href), class_="break"), item.label, file.label or file.kind,
         tag("td", size(file.size_bytes), class_="right"))
        for item, file in files_of(page.steps)
    ]  # fmt: skip
    names = [*ALWAYS_THERE, *(["compare.md"] if page.seeds else []), *(["reason.txt"] if page.job["state"] != "done" else [])]
    rows = [(tag("td", tag("a", name, href=name)), "the job", "", tag("td", class_="right")) for name in names]
    rows = [*made, *rows] if len(made) < MOST_ROWS else [*rows, *made]  # The job's own are never cut off.
    return _table(("File", "Of", "What", "Size"), rows, "Files")
