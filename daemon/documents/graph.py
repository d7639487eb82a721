"""How the steps of a job feed each other: what each reference means, and circles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.documents.grammar import Draft
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
    resolve_folder,
)
from handlers.contract import folders

if TYPE_CHECKING:
    from daemon.settings_model import Settings


@dataclass
class Edges:
    """What one step reads."""

    needs: list[str] = field(default_factory=list)
    sources: dict[str, AnyReference] = field(default_factory=dict)
    """By reference as written, each once, in order."""
    folders: list[str] = field(default_factory=list)
    """As written, each once, in order."""


def connect(
    drafts: list[Draft], from_job: str | None, settings: Settings, inbox: Path | None, report: Report
) -> dict[str, Edges]:
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
                report.add(
                    *draft.at("for_each.in"), f"goes over the items of a step: write its name, found '{for_each.in_}'"
                )
            if draft.params is not None and not any(text == "each" for _, text in draft.named):
                report.add(*draft.at("for_each"), "nothing in this step reads `each`, the item that a run is for")
        for number, text in (draft.keys.keep or {}).items():
            _read_keep(draft, number, text, names, from_job, report)
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
        for key, text in folders(draft.params) if draft.params is not None else ():
            try:
                resolve_folder(text, settings, inbox=inbox)
            except ReferenceRefused as error:
                report.add(*draft.at(key), f"'{text}' {error}")
            if text not in edge.folders:
                edge.folders.append(text)
    return edges


def _read(
    draft: Draft, key: str, text: str, names: list[str], from_job: str | None, report: Report
) -> AnyReference | None:
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
        hint = nearest(reference.step, others)
        if not hint:
            hint = f"{f'; there are {listed(others)}' if 0 < len(others) <= 12 else ''} (a file is written ./{text})"
        report.add(*draft.at(key), f"there is no step '{reference.step}'{hint}")
        return None
    return reference


def _read_keep(draft: Draft, number: str, text: str, names: list[str], from_job: str | None, report: Report) -> None:
    key = f"keep.{number}"
    if draft.keys.for_each is not None:
        report.add(*draft.at("keep"), "a step with for_each makes its items anew: it can keep none")
    elif not re.fullmatch(r"[1-9][0-9]{0,5}", number):
        report.add(*draft.at(key), f"says which item it stands for by its number: `{{3: from/{draft.name}/3}}`")
    else:
        reference = _read(draft, key, text, names, from_job, report)
        if reference is not None and not (isinstance(reference, FromReference) and reference.item is not None):
            report.add(*draft.at(key), f"names one item of an earlier job, such as from/{draft.name}/3; found '{text}'")


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
                report.add(
                    draft.node, draft.way, f"the steps wait for each other in a circle: {' -> '.join([*turned, first])}"
                )
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


def source_of(reference: AnyReference, inbox: Path) -> dict[str, Any]:
    """A reference as JSON, for the ledger."""
    if isinstance(reference, PathReference):
        return {"kind": "path", "path": absolute(reference.path, inbox)}
    if isinstance(reference, EachReference):
        return {"kind": "each"}
    kind = "from" if isinstance(reference, FromReference) else "step"
    return {"kind": kind, "step": reference.step, "item": reference.item}
