"""`reason.txt` of a job that failed or was cancelled: what, which value, what to do. Plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

from daemon.pages.formats import date, one_line, visible
from daemon.pages.markdown import MOST_ROWS
from daemon.pages.view import Page, Step

RETRY = "./drophammer retry {id}"
ADVICE = {
    "invalid": "The request itself is wrong, so trying again would not help. Correct {place}/job.yaml where the\n"
    "message says, and drop it into the inbox as a new job.",
    "invalid audio": "What was dropped cannot be worked on as it is, so trying again would not help. Put another recording in its place:\n"
    "new content starts a new job by itself. Or drop a job file with other values; {place}/job.yaml is a start.",
    "transient": "Something around the job was in the way. Mend what the message names, then\n    " + RETRY,
    "out_of_memory": "Memory ran out. Ask for less at once (shorter or fewer items, a smaller model), or free memory and\n    " + RETRY,
    "timeout": "The step took longer than it was given. Give it more with `timeout:` in the job file and drop it again, or\n    " + RETRY,
    "bug": "This is an error in the program and not in the job. The traceback:\n    ./drophammer logs {id}\nTry again with\n    " + RETRY,
    "crashed": "The process that did the work died. If it was killed for its memory, ask for less at once; else\n    " + RETRY,
    "interrupted": "The daemon was stopped while the step ran, time and again. Once it stays up:\n    " + RETRY,
    "cancelled": "A person asked for this. To go on where it stopped:\n    " + RETRY,
}
NEVER_BEGAN = (
    "It never began, since what it needs was not there. Put it where the message says (or correct\n"
    "{place}/job.yaml and drop that into the inbox), then\n    " + RETRY
)
OTHERWISE = "Read the message and the log ({place}/log.jsonl), mend what they name, then\n    " + RETRY


def write(page: Page) -> str:
    """Return the text of `reason.txt`."""
    return "\n".join(_lines(page)) + "\n"


def headline(page: Page) -> str:
    """Why the job ended as it did, in one line."""
    return one_line(page.job["reason"] or f"{page.job['state']}, and no reason was recorded")


def advice(page: Page) -> str:
    """What to do about it."""
    began = any(step.entry["attempts"] for step in page.steps)
    text = ADVICE.get(_meaning(page), OTHERWISE if began else NEVER_BEGAN)
    return text.format(id=page.job["id"], place=page.place)


def _lines(page: Page) -> Iterator[str]:
    job = page.job
    yield f"{page.name} ({one_line(job['id'])}): {job['state']} on {date(job['finished_at'])}"
    if job["procedural"]:
        yield "PROCEDURAL: the built-in instrument stood in for a model that is not here."
    if job["failures"]:
        yield f"failures: {job['failures']}"
    yield ""
    yield headline(page)
    for step, attempt in _bad_ends(page):
        yield ""
        yield f"Step {step.name}, run {step.run_name(attempt['run'])}, attempt {attempt['number']}: {_how(attempt)}"
        if attempt["message"] and attempt["message"] not in headline(page):
            yield indent(visible(attempt["message"]), "    ")
    yield ""
    yield "What to do"
    yield advice(page)
    yield ""
    made = [(item.label, file.name) for step in page.steps for item in step.items for file in item.files if file.kind == "primary"]
    yield "Finished before that, and kept here:" if made else "Nothing was finished before that."
    for label, file_name in made[:MOST_ROWS]:
        yield f"    {label}: {one_line(file_name)}"
    if len(made) > MOST_ROWS:
        yield f"    and {len(made) - MOST_ROWS} more, all in manifest.json"


def _bad_ends(page: Page) -> Iterator[tuple[Step, Mapping[str, Any]]]:
    """The last attempt of every run that did not end well, the newest ten."""
    last: dict[tuple[str, int], tuple[Step, Mapping[str, Any]]] = {}
    for step in page.steps:
        for attempt in step.entry["attempts"]:
            last[step.name, attempt["run"]] = step, attempt
    bad = [(step, attempt) for step, attempt in last.values() if attempt["outcome"] not in ("done", None)]
    yield from bad[-10:]


def _meaning(page: Page) -> str:
    if page.job["state"] == "cancelled":
        return "cancelled"
    ends = [attempt for _, attempt in _bad_ends(page) if attempt["outcome"] != "cancelled"]
    meaning = (ends[-1]["meaning"] or ends[-1]["outcome"]) if ends else ""
    return "invalid audio" if meaning == "invalid" and page.job["origin"] == "audio" else meaning


def _how(attempt: Mapping[str, Any]) -> str:
    meaning = attempt["meaning"]
    return f"{attempt['outcome']} ({meaning.replace('_', ' ')})" if meaning and meaning != attempt["outcome"] else str(attempt["outcome"])
