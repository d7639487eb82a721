"""The `report` handler: gathers all runs of a step, failed ones included, into JSON, a summary, and a page to hear it on.

The textures themselves stay where their runs published them, `by_source/<track_slug>/`; the page links to them. Stated
behaviour: a batch of which nothing succeeded is reported like any other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from handlers.archaeology.gathering import Source, as_runs, batch_results, gather
from handlers.archaeology.page import clock, page_of, write_all
from handlers.archaeology.params import ReportParams
from handlers.contract import Context, Invalid

NAMED = 20
"""Failures named in the result; all are on the page."""


def run(params: ReportParams, context: Context) -> None:
    """Deliver the page as item 1, with everything else beside it."""
    if 1 in context.completed:
        return
    runs = context.runs.get(params.input) or as_runs(context.inputs.get(params.input, []))
    if not runs:
        raise Invalid(f"input: {params.input!r} went over nothing; name the step with `for_each`")
    sources = gather(runs)
    now = datetime.now(UTC)
    title = params.title or context.job_name
    document = batch_results(sources, now.isoformat(timespec="seconds"))
    _emit(context, "batch-results", "batch_results.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    _emit(context, "summary", "summary.md", summarise(sources, title))
    pages = write_all(sources, title, f"{now:%Y-%m-%d %H:%M} UTC")
    for number, source in enumerate(sources, 1):
        context.check_cancelled()
        if text := pages.get(page_of(source)):
            _emit(context, f"page-{number:04d}", page_of(source), text)
    path = context.workdir / "sources.html"
    path.write_text(pages["sources.html"], encoding="utf-8")
    failed = [source for source in sources if not source.ok]
    context.emit(
        1,
        path,
        published="sources.html",
        total=len(sources),
        successful=len(sources) - len(failed),
        failed=len(failed),
        failed_first=[{"rel_path": source.rel_path, "error": source.error} for source in failed[:NAMED]],
        textures=totals(sources),
    )


def totals(sources: Sequence[Source]) -> dict[str, int]:
    """How many textures of each kind all sources gave."""
    return {key: sum(source.stats[key] for source in sources) for key in (sources[0].stats if sources else ())}


def summarise(sources: Sequence[Source], title: str) -> str:
    """Return the text of `summary.md`: counts, a line for each source, failures with their reasons."""
    failed = [source for source in sources if not source.ok]
    counts = totals(sources)
    lines = [
        f"# {_plain(title)}",
        "",
        f"{len(sources) - len(failed)} of {len(sources)} recordings mined, {sum(counts.values())} textures: "
        + ", ".join(f"{count} {key.replace('_', ' ')}" for key, count in counts.items())
        + ".",
        "",
        f"| Source | Folder | Length | {' | '.join(key.replace('_', ' ') for key in counts)} | |",
        f"| --- | --- | ---: | {' | '.join('---:' for _ in counts)} | --- |",
    ]
    for source in sources:
        cells: list[Any] = [_plain(source.rel_path), f"by_source/{source.slug}", clock(source.duration_s)]
        lines.append(f"| {' | '.join(map(str, [*cells, *source.stats.values(), '' if source.ok else 'failed']))} |")
    if failed:
        lines += ["", "## Failed", "", *(f"- {_plain(source.rel_path)}: {_plain(source.error)}" for source in failed)]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that Markdown takes as it is, in one line."""
    one_line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\|<`*[" else letter for letter in one_line)


def _emit(context: Context, label: str, published: str, text: str) -> None:
    path = context.workdir / f"{label}.{published.rpartition('.')[2]}"
    path.write_text(text, encoding="utf-8")
    context.emit(1, path, "sidecar", label=label, published=published)
