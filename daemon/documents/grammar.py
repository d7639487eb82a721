"""The grammar of a job file: which keys stand where, and which step they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.documents import fields
from daemon.documents.keys import DEFAULT_KEYS, MOST_STEPS, RESERVED_NAMES, STEP_NAME, JobKeys, StepKeys
from daemon.documents.problems import Report, listed, nearest, nearest_word, show
from daemon.documents.tree import Node
from daemon.documents.wording import apply
from handlers.contract import Handler, Params, references
from handlers.registry import Registry

JOB_KEYS = tuple(fields.keys(JobKeys))
STEP_KEYS = tuple(fields.keys(StepKeys))


@dataclass
class Draft:
    """A step as far as it could be read."""

    name: str
    node: Node
    way: str
    """The dotted way to the step's mapping; empty for a job of one step."""
    handler: Handler | None = None
    keys: StepKeys = field(default_factory=StepKeys)
    params: Params | None = None
    """`None` when they are wrong; `named` then holds the references that could be read all the same."""
    named: list[tuple[str, str]] = field(default_factory=list)
    """Key and reference, in order."""

    def at(self, key: str) -> tuple[Node, str]:
        """Where a dotted key of the step stands (list positions from 0), and its full way."""
        node, way = self.node.find(tuple(int(word) if word.isdigit() else word for word in key.split(".")))
        return node, ".".join(filter(None, (self.way, way or key)))


def read_job(root: Node, registry: Registry, report: Report) -> tuple[JobKeys, list[Draft]]:
    """Split a job file into its own keys and its steps."""
    top = root.value
    if not isinstance(top, dict):
        raise report.stop(root, "", f"a job is `key: value` lines, such as `do: stems`; found {show(root.plain())}")
    if "do" in top and "steps" in top:
        raise report.stop(top["steps"], "steps", "a job is either one step (`do:`) or several (`steps:`), not both")
    if "do" not in top and "steps" not in top:
        close = [key for key in top if nearest(key, ("do", "steps"))]
        place = top[close[0]] if close else root
        hint = f"; did you mean {nearest_word(close[0], ('do', 'steps'))} in place of {close[0]}?" if close else ""
        raise report.stop(
            place, "", f"a job says what to `do:` ({listed(registry, 'or')}), or has named `steps:`{hint}"
        )
    job = _part(root, JOB_KEYS)
    job_keys = apply(JobKeys, job, "", report)[0] or JobKeys()
    if "do" in top:
        name = show(top["do"].value)[1:-1]
        draft = _read_step(
            name if re.fullmatch(STEP_NAME, name) else "step", root, "", StepKeys(), registry, report, JOB_KEYS
        )
        return job_keys, [draft]
    defaults = apply(StepKeys, _part(root, DEFAULT_KEYS), "", report)[0] or StepKeys()
    for key, node in top.items():
        if key not in (*JOB_KEYS, *DEFAULT_KEYS, "steps"):
            report.add(node, key, _misplaced(key, registry))
    return job_keys, _read_steps(top["steps"], defaults, registry, report)


def _misplaced(key: str, registry: Registry) -> str:
    owners = [name for name, handler in registry.items() if key in fields.keys(handler.params)]
    if key in STEP_KEYS or owners:
        hint = f" ({listed(owners, 'or')} knows it)" if owners else ""
        return f"belongs into a step, below its name{hint}"
    known = (*JOB_KEYS, *DEFAULT_KEYS, "steps")
    return f"unknown key{nearest(key, known) or f'; beside steps there can be {listed(known[:-1])}'}"


def _read_steps(node: Node, defaults: StepKeys, registry: Registry, report: Report) -> list[Draft]:
    example = "write them as `beds: {do: stems, ...}`, each under a name of its own"
    if not isinstance(node.value, dict):
        report.add(node, "steps", f"steps have names: {example}; found {show(node.plain())}")
        return []
    if not node.value:
        report.add(node, "steps", f"there is no step: {example}")
    if len(node.value) > MOST_STEPS:
        report.add(node, "steps", f"has at most {MOST_STEPS} steps, found {len(node.value)}")
        return []
    drafts = []
    for name, step in node.value.items():
        way = f"steps.{show(name)[1:-1]}"
        if name in RESERVED_NAMES:
            report.add(step, way, f"a step cannot be called {name}: the word has a meaning in references")
        elif not re.fullmatch(STEP_NAME, name):
            report.add(
                step,
                way,
                "a step's name is lower-case letters, digits, - and _, starts with a letter, at most 31 characters",
            )
        if not isinstance(step.value, dict):
            written = (
                step.value if isinstance(step.value, str) and step.value in registry else next(iter(registry), "stems")
            )
            report.add(step, way, f"a step says what to do: `{{do: {written}, ...}}`; found {show(step.plain())}")
            drafts.append(Draft(name, step, way))
            continue
        if "do" not in step.value:
            report.add(step, way, f"what to do is missing: `do:` with {listed(registry, 'or')}")
            drafts.append(Draft(name, step, way))
            continue
        drafts.append(_read_step(name, step, way, defaults, registry, report))
    return drafts


def _read_step(
    name: str,
    node: Node,
    way: str,
    defaults: StepKeys,
    registry: Registry,
    report: Report,
    job_keys: Iterable[str] = (),
) -> Draft:
    assert isinstance(node.value, dict)
    own = _part(node, STEP_KEYS)
    step_keys = apply(StepKeys, own, way, report)[0]
    if step_keys is None:
        step_keys = defaults
    else:
        given = {key: getattr(defaults, key) for key in DEFAULT_KEYS if key not in own.value}  # type: ignore[operator]
        step_keys = step_keys.model_copy(update=given)
    draft = Draft(name, node, way, keys=step_keys)
    if step_keys.for_each is None and "min_success" in node.value:
        report.add(*draft.at("min_success"), "means something only with for_each: it counts the runs that must succeed")
    do = node.value["do"]
    handler = registry.get(do.value) if isinstance(do.value, str) else None
    if handler is None:
        if isinstance(do.value, str):
            hint = nearest(do.value, registry) or f"; there are {listed(registry)}"
            report.add(do, draft.at("do")[1], f"there is no handler {show(do.value)}{hint}")
        else:
            report.add(do, draft.at("do")[1], f"expected one word ({listed(registry, 'or')}), found {show(do.plain())}")
        return draft
    draft.handler = handler
    known = fields.keys(handler.params)
    if not job_keys:  # inside `steps:`
        for key in node.value:
            if key in JOB_KEYS and key not in known:
                report.add(*draft.at(key), "belongs to the whole job: write it at the top, beside steps")
    taken = {"do", *STEP_KEYS, *JOB_KEYS}
    rest = Node({key: inner for key, inner in node.value.items() if key not in taken}, node.line, node.column)
    draft.params, wrong = apply(
        handler.params, rest, way, report, more_keys=(*STEP_KEYS, *job_keys), owner=handler.name
    )
    draft.named = list(references(draft.params or _salvage(handler.params, rest, wrong)))
    return draft


def _salvage(model: type[Params], node: Node, wrong: set[str]) -> Params:
    """The keys nothing is wrong with, unvalidated, so that their references are checked in the same pass."""
    assert isinstance(node.value, dict)
    nothing = dict.fromkeys(fields.keys(model))
    return model.model_construct(
        **nothing | {key: inner.plain() for key, inner in node.value.items() if key not in wrong}
    )


def _part(node: Node, keys: Iterable[str]) -> Node:
    assert isinstance(node.value, dict)
    return Node({key: inner for key in keys if (inner := node.value.get(key)) is not None}, node.line, node.column)
