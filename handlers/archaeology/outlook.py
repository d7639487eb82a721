"""What these steps will yield, what is wrong with a selection, and results in a few lines. Light: no audio library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handlers.archaeology.params import SelectParams
from handlers.archaeology.rules import load_rules, merge
from handlers.contract import Estimate, Finding, ItemRecord, Params, World


def estimate_catalogue(params: Params, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return one item: how many recordings it will hold is known when they are found."""
    return Estimate(items=1)


def check_selection(params: SelectParams, world: World) -> Iterator[Finding]:
    """Yield an error for rules that are not there, not well written, or contradict the step's own keys."""
    try:
        merge(load_rules(world.config_dir, params.rules), params)
    except ValueError as error:
        yield Finding("error", "rules", str(error))


def describe_discovery(item: ItemRecord) -> str:
    """Return what was found and what was passed over."""
    facts = item.facts
    read = f"{facts['read']} read, {facts['unchanged']} known from before"
    lines = [
        f"{_some(facts['files'], 'recording')}, {facts['hours']:.2f} hours, {facts['size_mb']:g} MB "
        f"in {_some(facts['folders'], 'folder')}: {_counted(facts['codecs'])} ({read})"
    ]
    if facts["broken"]:
        lines.append(f"{facts['broken']} could not be used:")
        lines += [f"  {one['rel_path']}: {one['reason']}" for one in facts["broken_first"]]
    if facts["unsupported"]:
        lines.append(f"cannot be read here: {_counted(facts['unsupported'])}")
    if facts["skipped"]:
        lines.append(f"skipped: {_counted(facts['skipped'])}")
    if facts["links"]:
        lines.append(f"links not followed: {facts['links']}")
    return "\n  ".join(lines)


def describe_selection(item: ItemRecord) -> str:
    """Return counts, hours, mean, the top five, and which rule removed how many."""
    facts = item.facts
    lines = [
        f"{facts['selected']} of {_some(facts['of'], 'recording')} selected by {facts['rules']}, {facts['hours']:.2f} hours, "
        f"{facts['mean_s']:.0f} s and {facts['mean_score']:g} points in the mean"
    ]
    lines += [
        f"{one['selection_score']:>3} {one['rel_path']}" + (f" ({one['reasons']})" if one["reasons"] else "")
        for one in facts["top"]
    ]
    if facts["rejected"]:
        lines.append(f"rejected by {_counted(facts['rejected'])}")
    return "\n  ".join(lines)


def describe_report(item: ItemRecord) -> str:
    """Return how many recordings were mined, what came out, and what failed."""
    facts = item.facts
    lines = [f"{facts['successful']} of {_some(facts['total'], 'recording')} mined: {_counted(facts['textures'])}"]
    lines += [f"failed: {one['rel_path']}: {one['error']}" for one in facts["failed_first"]]
    return "\n  ".join(lines)


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _counted(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing"
