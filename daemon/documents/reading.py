"""Bytes to a job: every guard in order, every problem in one report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.documents.grammar import Draft, read_job
from daemon.documents.graph import Edges, connect, find_circles, source_of
from daemon.documents.keys import JobKeys
from daemon.documents.model import Deliver, Document, ForEach, Step
from daemon.documents.outlook import HandlerFault, ask, check_items, check_kept, yields
from daemon.documents.problems import Report, nearest
from daemon.documents.references import PathReference, absolute, parse
from daemon.documents.text import decode
from daemon.documents.tree import Node
from daemon.documents.tree import parse as parse_tree
from daemon.jobs import slug
from handlers.contract import Estimate, Finding, World
from handlers.registry import Registry

if TYPE_CHECKING:
    from daemon.settings_model import Settings


def read(
    text: bytes, registry: Registry, settings: Settings, *, default_name: str, inbox: Path | None = None
) -> Document:
    """Read a job file.

    Parameters
    ----------
    text
        The file as it is.
    default_name
        The job's name where the file gives none: usually the file's stem.
    inbox
        Where relative paths start; by default the first inbox.

    Raises
    ------
    DocumentError
        With every problem found.
    """
    report = Report()
    inbox = inbox or settings.paths.inboxes[0]
    root = parse_tree(decode(text), report)
    job, drafts = read_job(root, registry, report)
    edges = connect(drafts, job.from_, settings, inbox, report)
    _check_deliver(job, root, edges, settings, report)
    order = find_circles(drafts, edges, report)
    findings = _consult(drafts, edges, order, settings, report)
    if report:
        raise report.error()
    return Document(
        name=job.name or slug(default_name),
        seed=job.seed,
        seeds=tuple(job.seeds or ()),
        priority=job.priority,
        steps=tuple(_step(draft, edges[draft.name], findings.get(draft.name, ()), inbox) for draft in drafts),
        from_job=job.from_,
        input_timeout_s=job.input_timeout,
        deliver=Deliver(job.deliver.to, job.deliver.as_, job.deliver.beside) if job.deliver else None,
        keep_work=job.keep_work,
    )


def _check_deliver(job: JobKeys, root: Node, edges: dict[str, Edges], settings: Settings, report: Report) -> None:
    deliver = job.deliver
    if deliver is None:
        return
    if deliver.to is None and not deliver.beside:
        report.add(*root.find(("deliver",)), "says neither where to (`to:` a configured folder) nor `beside: true`")
    if deliver.to is not None and deliver.to not in settings.deliver:
        hint = nearest(deliver.to, settings.deliver)
        line = f"deliver: {{{deliver.to}: ~/a/folder}}"
        message = f"no folder is configured under the name '{deliver.to}'{hint}"
        report.add(
            *root.find(("deliver", "to")), message if hint else f"{message}; add to config/drophammer.yaml: {line}"
        )
    if deliver.beside and not any(
        isinstance(source, PathReference) for edge in edges.values() for source in edge.sources.values()
    ):
        report.add(*root.find(("deliver", "beside")), "no step reads a file, so there is nothing to lie beside")


def _consult(
    drafts: list[Draft], edges: dict[str, Edges], order: list[str], settings: Settings, report: Report
) -> dict[str, tuple[Finding, ...]]:
    """Ask every handler what it says of its parameters, and how many items will come out."""
    world = World(settings.paths.config, settings.paths.state)
    by_name = {draft.name: draft for draft in drafts}
    known: dict[str, Estimate] = {}
    findings: dict[str, tuple[Finding, ...]] = {}
    for name in order:
        draft = by_name[name]
        check_items(draft, known, report)
        handler, params = draft.handler, draft.params
        if handler is None or params is None:
            continue
        try:
            found = ask(handler.check, handler, params, world) if handler.check else []
            for finding in found:
                if finding.kind == "error":
                    report.add(*draft.at(finding.key), finding.message)
            findings[name] = tuple(finding for finding in found if finding.kind != "error")
            if not report:
                for_each = _for_each(draft)
                over = parse(for_each.over) if for_each else None
                known[name] = yields(handler, params, edges[name].sources, over, for_each, known)
            elif handler.estimate and not edges[name].sources:
                known[name] = ask(handler.estimate, handler, params, {})
            check_kept(draft, known.get(name), report)
        except HandlerFault as error:
            report.add(*draft.at("do"), str(error))
    return findings


def _for_each(draft: Draft) -> ForEach | None:
    keys = draft.keys.for_each
    return None if keys is None else ForEach(keys.in_, keys.start, keys.limit)


def _step(draft: Draft, edge: Edges, findings: tuple[Finding, ...], inbox: Path) -> Step:
    assert draft.handler is not None and draft.params is not None
    return Step(
        name=draft.name,
        handler=draft.handler.name,
        params=draft.params.model_dump(mode="json", by_alias=True),
        needs=tuple(edge.needs),
        inputs=tuple(edge.sources),
        sources={
            **{text: source_of(reference, inbox) for text, reference in edge.sources.items()},
            **{text: {"kind": "folder", "path": absolute(text, inbox)} for text in edge.folders},
        },
        retries=draft.keys.retries,
        timeout_s=draft.keys.timeout,
        fallback=draft.keys.fallback,
        for_each=_for_each(draft),
        min_success=draft.keys.min_success,
        keep=dict(draft.keys.keep or {}),
        findings=findings,
    )
