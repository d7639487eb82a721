"""What will come out of a job, before it runs: items, lengths, sizes, and what nobody uses. Asks the handlers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from daemon.documents.grammar import Draft
from daemon.documents.model import Document, ForEach
from daemon.documents.problems import Report
from daemon.documents.references import (
    AnyReference,
    EachReference,
    PathReference,
    ReferenceRefused,
    StepReference,
    parse,
)
from handlers.contract import Estimate, Handler, Params, load
from handlers.registry import Registry

MOST_ITEMS = 10_000
"""A step that yields more counts as one whose items are not known."""


class HandlerFault(Exception):
    """A handler's own `check` or `estimate` broke; the message names it."""


def ask(target: str, handler: Handler, *arguments: Any) -> Any:
    """Call what a handler offers to the reader.

    Raises
    ------
    HandlerFault
        Whatever it raised. A stranger's handler must not take the daemon's one thread with it.
    """
    try:
        answer = load(target)(*arguments)
        return answer if isinstance(answer, Estimate) else list(answer)
    except Exception as error:
        raise HandlerFault(
            f"the handler {handler.name} cannot judge this ({target} raised {type(error).__name__}: {error})"
        ) from error


def yields(
    handler: Handler, params: Params, sources: Mapping[str, AnyReference], over: AnyReference | None,
    for_each: ForEach | None, known: Mapping[str, Estimate],
) -> Estimate:  # fmt: skip
    """What a step will yield, from what the steps it reads will yield."""
    each = None if over is None else _inputs(over, known, None)
    inputs = {text: _inputs(reference, known, each[0] if each else None) for text, reference in sources.items()}
    one = ask(handler.estimate, handler, params, inputs) if handler.estimate else Estimate()
    if for_each is None:
        return replace(one, table=handler.surveys)
    gone_over = known.get(over.step) if isinstance(over, StepReference) else None
    count = None if gone_over is None or gone_over.table else gone_over.items
    if count is None:
        return Estimate(None, one.duration_s, None)
    runs = max(0, count - for_each.start)
    runs = runs if for_each.limit is None else min(runs, for_each.limit)
    return Estimate(
        None if one.items is None else one.items * runs,
        one.duration_s,
        None if one.size_bytes is None else one.size_bytes * runs,
    )


def _inputs(reference: AnyReference, known: Mapping[str, Estimate], each: Estimate | None) -> list[Estimate]:
    if isinstance(reference, EachReference):
        return [each or Estimate(items=1)]
    if not isinstance(reference, StepReference):
        single = isinstance(reference, PathReference) or reference.item is not None
        return [Estimate(items=1 if single else None)]
    step = known.get(reference.step, Estimate())
    if reference.item is None and (step.items is None or step.items > MOST_ITEMS):
        return [Estimate(None, step.duration_s)]
    item = Estimate(1, step.duration_s)
    return [item] if reference.item is not None else [item] * (step.items or 0)


def check_items(draft: Draft, known: Mapping[str, Estimate], report: Report) -> None:
    """Report items past the last one, where it is known how many there will be."""
    for key, text in draft.named:
        try:
            reference = parse(text)
        except ReferenceRefused:
            continue
        if not isinstance(reference, StepReference) or reference.item is None or reference.step not in known:
            continue
        count = known[reference.step].items
        if count is not None and reference.item > count:
            step = reference.step
            last = f"{step}/1 to {step}/{count}" if count > 1 else f"{step}/1" if count else "none"
            report.add(
                *draft.at(key), f"{step} yields {count} item{'' if count == 1 else 's'} ({last}), found '{text}'"
            )


def check_kept(draft: Draft, own: Estimate | None, report: Report) -> None:
    """Report kept items past the last one that the step yields."""
    count = None if own is None else own.items
    for number in draft.keys.keep or {}:
        if count is not None and number.isdigit() and int(number) > count:
            place = draft.at(f"keep.{number}")
            report.add(
                *place, f"{draft.name} yields {count} item{'' if count == 1 else 's'}; there is no item {number}"
            )


def estimates(document: Document, registry: Registry) -> dict[str, Estimate]:
    """What each step will yield, by its name; `None` in it where that cannot be known.

    Raises
    ------
    HandlerFault
        When a handler's own estimate breaks.
    """
    known: dict[str, Estimate] = {}
    left = list(document.steps)
    while left:
        step = next(step for step in left if all(need in known for need in step.needs))
        left.remove(step)
        handler = registry[step.handler]
        params = handler.params.model_validate_json(json.dumps(step.params))
        over = parse(step.for_each.over) if step.for_each else None
        known[step.name] = yields(
            handler, params, {text: parse(text) for text in step.inputs}, over, step.for_each, known
        )
    return known


def unused(document: Document, registry: Registry) -> list[str]:
    """What no step uses, as references: `beds/5`, `grid`. The last step of the file is what the job is for."""
    read: dict[str, set[int | None]] = {}
    for step in document.steps:
        for text in (*step.inputs, *([step.for_each.over] if step.for_each else [])):
            reference = parse(text)
            if isinstance(reference, StepReference):
                read.setdefault(reference.step, set()).add(reference.item)
    known = estimates(document, registry)
    found: list[str] = []
    for step in document.steps[:-1]:
        items = read.get(step.name, set())
        count = known[step.name].items
        if not items:
            found.append(step.name)
        elif None not in items and count is not None and count <= MOST_ITEMS:
            found.extend(f"{step.name}/{item}" for item in range(1, count + 1) if item not in items)
    return found
