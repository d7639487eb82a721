"""The `select` handler: judges every row of a catalogue, and writes those that stay, best first.

Stated behaviour: rules that need no listening come first, so that only what they leave is decoded for measured ones;
a recording that cannot be decoded then is rejected for that. Where nothing stays the step fails, and says which rule
removed how many.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from handlers.archaeology.params import SelectParams, Wishes
from handlers.archaeology.rules import Verdict, judge, judge_measured, load_rules, measured_rules, merge
from handlers.audio.delivery import catalogue
from handlers.audio.delivery.catalogue import Row
from handlers.contract import Context, InputFile, Invalid

TOP = 5
UNREADABLE = "unreadable"
"""The rule by which recordings go that cannot be listened to."""

Rejected = list[tuple[Row, Verdict]]


def run(params: SelectParams, context: Context) -> None:
    """Deliver the chosen rows as item 1, with the rejected ones beside them."""
    if 1 in context.completed:
        return
    try:
        wishes = merge(load_rules(context.config_dir, params.rules), params)
    except ValueError as error:
        raise Invalid(str(error)) from error
    rows = _read(params, context.inputs[params.catalog])
    folders = _folders(params, context)
    chosen, rejected = _judge(rows, wishes, folders, context)
    chosen.sort(key=lambda row: (-row["selection_score"], row["rel_path"].casefold(), row["rel_path"]))
    if params.verbose:
        for row in chosen:
            context.log(f"{row['rel_path']}: {row['selection_score']} points", reasons=row["selection_reasons"])
        for row, verdict in rejected:
            context.log(f"{row['rel_path']}: rejected by {verdict.rule}", reason=verdict.reason)
    if not chosen:
        raise Invalid(_nothing(rows, rejected))
    _deliver(params, context, chosen, rejected, folders)


def _read(params: SelectParams, inputs: list[InputFile]) -> list[Row]:
    if len(inputs) != 1:
        raise Invalid(f"catalog: {params.catalog!r} holds {len(inputs)} files; name one catalogue")
    listing = inputs[0].sidecars.get("rows")
    rows = catalogue.read_rows(listing) if listing else catalogue.read(inputs[0].path)
    if not rows:
        raise Invalid(f"catalog: {params.catalog!r} holds no recordings; look with `do: discover` at other folders")
    return rows


def _folders(params: SelectParams, context: Context) -> list[Path]:
    """Where recordings may lie that are listened to. A catalogue is a file like any other: what it names proves nothing."""
    if params.root is not None:
        return [context.folders[params.root]]
    listed = context.inputs[params.catalog][0]
    return [Path(root) for root in listed.facts.get("roots", ())] or [listed.path.parent]


def _judge(rows: list[Row], wishes: Wishes, folders: list[Path], context: Context) -> tuple[list[Row], Rejected]:
    """What stays, with its score, and what goes."""
    left: list[Row] = []
    rejected: Rejected = []
    for row in rows:
        verdict = judge(row, wishes)
        if verdict.rule:
            rejected.append((row, verdict))
        else:
            left.append({**row, "selection_score": verdict.score, "selection_reasons": "; ".join(verdict.reasons)})
    if not measured_rules(wishes):
        return left, rejected
    # Listening needs the heavy libraries; most selections do without.
    from handlers.archaeology.listening import measure

    chosen = []
    for number, row in enumerate(left, 1):
        context.check_cancelled()
        try:
            if not any(Path(row["path"]).resolve().is_relative_to(folder.resolve()) for folder in folders):
                named = ", ".join(map(str, folders))
                raise Invalid(f"does not lie below {named}; name the folder of the recordings with `root`")
            heard = measure(row, list(measured_rules(wishes)), context)
            verdict = judge_measured(heard, wishes)
        except Invalid as error:
            heard, verdict = {}, Verdict(UNREADABLE, str(error))
        if verdict.rule:
            rejected.append((row, verdict))
        else:
            chosen.append({**row, **heard})
        context.progress("working", number, len(left), "recordings")
    return chosen, rejected


def _deliver(
    params: SelectParams, context: Context, chosen: list[Row], rejected: Rejected, folders: list[Path]
) -> None:
    name = params.name("selected_sources")
    stem = Path(name).stem
    path = context.workdir / name
    catalogue.write(path, chosen, format=params.form, title=f"{len(chosen)} selected recordings")
    listing = context.workdir / f"{stem}_rows.jsonl"
    catalogue.write_rows(listing, chosen)
    context.emit(1, listing, "sidecar", label="rows", published=listing.name)
    # An empty list too: one of an earlier run must not stay beside a catalogue that is written anew.
    listing = context.workdir / f"{stem}_rejected.csv"
    lines = [(row["id"], row["rel_path"], verdict.rule, verdict.reason) for row, verdict in rejected]
    catalogue.write_table(listing, ("id", "rel_path", "rule", "reason"), lines)
    context.emit(1, listing, "sidecar", label="rejected", published=listing.name)
    lengths_s = [row["duration_sec"] or 0.0 for row in chosen]
    context.emit(
        1,
        path,
        published=name,
        rules=params.rules,
        roots=[str(folder) for folder in folders],
        selected=len(chosen),
        of=len(chosen) + len(rejected),
        hours=round(sum(lengths_s) / 3600, 3),
        mean_s=round(sum(lengths_s) / len(lengths_s), 2),
        mean_score=round(sum(row["selection_score"] for row in chosen) / len(chosen), 2),
        top=[
            {"rel_path": row["rel_path"], "selection_score": row["selection_score"], "reasons": row["selection_reasons"]}
            for row in chosen[:TOP]
        ],
        rejected=dict(Counter(verdict.rule for _, verdict in rejected).most_common()),
    )  # fmt: skip


def _nothing(rows: list[Row], rejected: Rejected) -> str:
    """Which rule removed how many, and what it asks for."""
    parts = []
    for rule, count in Counter(verdict.rule for _, verdict in rejected).most_common():
        example = next(row["rel_path"] for row, verdict in rejected if verdict.rule == rule)
        reason = next(verdict.reason for _, verdict in rejected if verdict.rule == rule)
        parts.append(f"{rule} removed {count} (such as {example}: {reason})")
    return f"nothing selected of {len(rows)}: {', '.join(parts)}; loosen that rule, or choose other `rules`"
