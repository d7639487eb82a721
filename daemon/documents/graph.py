"""How the steps of a job feed each other: what each reference means, circles, and items that do not exist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.documents.grammar import Draft
from daemon.documents.model import Document, ForEach
from daemon.documents.problems import Report, listed, nearest
from daemon.documents.references import (
    AnyReference,
    EachReference,
    FromReference,
    PathReference,
    ReferenceRefused,
    StepReference,
    absolute,
    parse,
    resolve,
)
from handlers.contract import Estimate, Handler, Params, load
from handlers.registry import Registry

if TYPE_CHECKING:
    from daemon.settings_model import Settings

MOST_ITEMS = 10_000
"""A step that yields more counts as one whose items are not known."""


@dataclass
class Edges:
    """What one step reads."""

    needs: list[str] = field(default_factory=list)
    sources: dict[str, AnyReference] = field(default_factory=dict)
    """By reference as written, each once, in order."""


def connect(drafts: list[Draft], from_job: str | None, settings: Settings, inbox: Path | None, report: Report) -> dict[str, Edges]:
    """Read every reference of every step; what means nothing is reported."""
    names = [draft.name for draft in drafts]
    edges: dict[str, Edges] = {}
    for draft in drafts:
        edge = edges.setdefault(draft.name, Edges())
        for_each = draft.keys.for_each
        if for_each is not None:
            over = _read(draft, "for_each.in", for_each.in_, names, from_job, report)
            if isinstance(over, StepReference | FromReference) and over.item is None:
                if isinstance(over, StepReference):
                    edge.needs.append(over.step)
            elif over is not None:
                report.add(*draft.at("for_each.in"), f"goes over the items of a step: write its name, found '{for_each.in_}'")
            if draft.params is not None and not any(text == "each" for _, text in draft.named):
                report.add(*draft.at("for_each"), "nothing in this step reads `each`, the item that a run is for")
        for key, text in draft.named:
            reference = _read(draft, key, text, names, from_job, report)
            if reference is None:
                continue
            if isinstance(reference, EachReference) and for_each is None:
                report.add(*draft.at(key), "`each` has a meaning only in a step with for_each")
            if isinstance(reference, PathReference):
                try:
                    resolve(reference.path, settings, inbox=inbox)
                except ReferenceRefused as error:
                    report.add(*draft.at(key), f"'{text}' {error}")
            edge.sources.setdefault(text, reference)
            if isinstance(reference, StepReference) and reference.step not in edge.needs:
                edge.needs.append(reference.step)
    return edges


def _read(draft: Draft, key: str, text: str, names: list[str], from_job: str | None, report: Report) -> AnyReference | None:
    try:
        reference = parse(text)
    except ReferenceRefused as error:
        first, _, rest = text.partition("/")
        hint = nearest(first, names) if not rest or rest.isdigit() else ""
        report.add(*draft.at(key), f"'{text[:100]}' {error}{hint}")
        return None
    if isinstance(reference, FromReference) and from_job is None:
        report.add(*draft.at(key), f"'{text}' needs `from:` at the top of the file: a finished job's id or name")
        return None
    if isinstance(reference, StepReference) and reference.step not in names:
        others = [name for name in names if name != draft.name]
        hint = nearest(reference.step, others) or (f"; there are {listed(others)}" if 0 < len(others) <= 12 else "")
        report.add(*draft.at(key), f"there is no step '{reference.step}'{hint}{'' if hint.endswith('?') else f' (a file is written ./{text})'}")
        return None
    return reference


def find_circles(drafts: list[Draft], edges: Mapping[str, Edges], report: Report) -> list[str]:
    """Report every circle, once, at its first step; returns the names in an order in which they can run."""
    order: list[str] = []
    waiting = {draft.name: [need for need in edges[draft.name].needs if need in edges] for draft in drafts}
    places = {draft.name: draft for draft in drafts}
    while waiting:
        ready = [name for name, needs in waiting.items() if not any(need in waiting for need in needs)]
        if not ready:
            circle = _circle(waiting)
            first = min(circle, key=list(places).index)
            turned = circle[circle.index(first) :] + circle[: circle.index(first)]
            draft = places[first]
            if len(turned) == 1:
                report.add(draft.node, draft.way or "do", f"{first} reads itself")
            else:
                report.add(draft.node, draft.way, f"the steps wait for each other in a circle: {' -> '.join([*turned, first])}")
            # What merely waits for this circle is left out of the search for others.
            ready = circle
        for name in ready:
            order.append(name)
            del waiting[name]
    return order


def _circle(waiting: Mapping[str, list[str]]) -> list[str]:
    """One circle, each step followed by one it waits for. Every step here waits for another that is here."""
    path: list[str] = []
    name = next(iter(waiting))
    while name not in path:
        path.append(name)
        name = next(need for need in waiting[name] if need in waiting)
    return path[path.index(name) :]


# --- What will come out -----------------------------------------------------------------------------------------


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
        raise HandlerFault(f"the handler {handler.name} cannot judge this ({target} raised {type(error).__name__}: {error})") from error


def yields(
    handler: Handler, params: Params, sources: Mapping[str, AnyReference], over: AnyReference | None,
    for_each: ForEach | None, known: Mapping[str, Estimate],
) -> Estimate:  # fmt: skip
    """What a step will yield, from what the steps it reads will yield."""
    each = None if over is None else _inputs(over, known, None)
    inputs = {text: _inputs(reference, known, each[0] if each else None) for text, reference in sources.items()}
    one = ask(handler.estimate, handler, params, inputs) if handler.estimate else Estimate()
    if for_each is None:
        return one
    count = known[over.step].items if isinstance(over, StepReference) and over.step in known else None
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
            report.add(*draft.at(key), f"{step} yields {count} item{'' if count == 1 else 's'} ({last}), found '{text}'")


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
        known[step.name] = yields(handler, params, {text: parse(text) for text in step.inputs}, over, step.for_each, known)
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


def source_of(reference: AnyReference, inbox: Path) -> dict[str, Any]:
    """A reference as JSON, for the ledger."""
    if isinstance(reference, PathReference):
        return {"kind": "path", "path": absolute(reference.path, inbox)}
    if isinstance(reference, EachReference):
        return {"kind": "each"}
    kind = "from" if isinstance(reference, FromReference) else "step"
    return {"kind": kind, "step": reference.step, "item": reference.item}
