"""A job's steps run here and now, in this process, without daemon or ledger: what `drophammer do` is made of.

The steps go through :class:`daemon.execution.Execution`, the same code the workers run. Results appear in a folder of
the person's choice, each whole, and never over a file that is there.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.execution import Execution, Request
from daemon.jobs import file_name
from daemon.outbox import WORK
from handlers.contract import Invalid, ItemRecord
from handlers.registry import Registry

if TYPE_CHECKING:
    from daemon.documents import Document, Step
    from daemon.settings_model import Settings

Progress = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Result:
    """What a step delivered: its files where they lie now, and its items' facts."""

    step: str
    handler: str
    files: list[Path]
    items: list[ItemRecord]
    warnings: list[str]
    sidecars: dict[int, dict[str, str]] = field(default_factory=dict)
    labels: list[dict[str, Any]] = field(default_factory=list)
    """For steps that read this one: number, path, label, sha256, facts, sidecars of each item."""
    published: dict[int, dict[str, str]] = field(default_factory=dict)
    """The sidecars' places below the folder of the results, by item and label."""


def run(
    settings: Settings, registry: Registry, document: Document, output: Path, on_progress: Progress,
    *, replace: bool = False,
) -> list[Result]:  # fmt: skip
    """Run every step of a document in this process.

    Parameters
    ----------
    output
        The folder that results are put into; made if it is not there.
    on_progress
        Called with the step's name and each message of the run (`progress`, `log`).
    replace
        Put results in the place of files of the same names.

    Raises
    ------
    HandlerError
        As the handler raised it. Items that were finished before are in `output`.
    """
    if document.seeds:
        raise Invalid("seeds: needs the daemon; submit the job")
    for step in document.steps:
        if step.keep:
            raise Invalid(f"step {step.name}: keep needs the daemon; submit the job")
        if step.for_each is not None:
            raise Invalid(f"step {step.name}: for_each needs the daemon; submit the job")
        if missing := [finding.message for finding in step.findings if finding.kind == "missing"]:
            raise Invalid(f"step {step.name}: {'; '.join(missing)}")
    output.mkdir(parents=True, exist_ok=True)
    seed = secrets.randbelow(2**32) if document.seed is None else document.seed
    done: dict[str, Result] = {}
    left = list(document.steps)
    # On the results' own filesystem, so that they are moved by a rename.
    with tempfile.TemporaryDirectory(prefix=".drophammer-", dir=output) as scratch:
        while left:
            step = next(step for step in left if all(need in done for need in step.needs))
            left.remove(step)
            done[step.name] = _run_step(
                settings, registry, document, step, seed, done, Path(scratch), output, on_progress, replace
            )
        if document.keep_work:
            shutil.copytree(scratch, output / WORK, dirs_exist_ok=True)
    return [done[step.name] for step in document.steps]


def _run_step(
    settings: Settings, registry: Registry, document: Document, step: Step, seed: int, done: dict[str, Result],
    scratch: Path, output: Path, on_progress: Progress, replace: bool,
) -> Result:  # fmt: skip
    handler = registry[step.handler]
    workdir = scratch / step.name
    result = Result(step.name, step.handler, [], [], [])

    def say(message: dict[str, Any]) -> None:
        if message["say"] == "item":
            _deliver(result, message, workdir, output, document.name, replace)
        else:
            on_progress(step.name, message)

    request = Request(
        handler=step.handler, params=json.dumps(step.params), inputs={text: _inputs(text, step.sources[text], done) for text in step.inputs},
        completed=[], workdir=str(workdir), seed=seed, job_id=document.name, job_name=document.name, step=step.name,
        publishes={"folder": os.path.abspath(output)},
        folders={text: {"path": source["path"]} for text, source in step.sources.items() if source["kind"] == "folder"},
        config_dir=str(settings.paths.config), cache_dir=str(settings.paths.cache / step.handler), umask=int(settings.umask, 8),
    )  # fmt: skip
    held = None
    if settings.lane_of(step.handler, handler.lane) == "gpu":
        held = _claim_device(settings, lambda message: on_progress(step.name, message))
    try:
        outcome = Execution(request, say, models={}, cancelled=lambda: False).run(handler)
    finally:
        if held is not None:
            os.close(held)
    result.warnings.extend(outcome.warnings)
    return result


def _claim_device(settings: Settings, say: Callable[[dict[str, Any]], None]) -> int:
    """The device's lock that the gpu lane's worker takes: one step at a time, whoever runs it."""
    from daemon.worker import claim_device

    settings.paths.state.mkdir(parents=True, exist_ok=True)
    return claim_device(settings.paths.state / "gpu.lock", None, say)


def _inputs(reference: str, source: dict[str, Any], done: dict[str, Result]) -> list[dict[str, Any]]:
    if source["kind"] == "path":
        return [{"path": source["path"], "label": reference, "sha256": None}]
    if source["kind"] != "step":
        raise Invalid(
            f"{reference}: only steps of the same file and paths can be read in the foreground; submit the job"
        )
    items = done[source["step"]].labels
    # By its number, not its place: a run may leave one out.
    return [item for item in items if source["item"] in (None, item["item"])]


def _deliver(result: Result, message: dict[str, Any], workdir: Path, output: Path, job: str, replace: bool) -> None:
    source = workdir / message["file"]
    usual = file_name(job, result.step, 1, 1, message["item"], message["label"], source.suffix)
    name = message["facts"].get("published", usual)
    target = output / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if replace:
        new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        _place(source, new)
        os.replace(new, target)
    else:
        _place(source, target)
    result.files.append(target)
    item = message["item"]
    if message["kind"] == "sidecar":
        result.sidecars.setdefault(item, {})[message["label"]] = str(target)
        result.published.setdefault(item, {})[message["label"]] = name
    elif message["kind"] == "primary":
        result.items.append(ItemRecord(item, target, message["facts"]))
        entry = {
            "item": item,
            "path": str(target),
            "label": f"{result.step}/{item}",
            "sha256": message["sha256"],
            "facts": message["facts"],
            "published": name,
            "published_sidecars": result.published.get(item, {}),
        }
        result.labels.append({**entry, "sidecars": result.sidecars.get(item, {})})


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise Invalid(f"{target} is there already; choose another folder with --output") from None
    except OSError:  # A filesystem without hard links, such as exFAT.
        if target.exists():
            raise Invalid(f"{target} is there already; choose another folder with --output") from None
        shutil.copyfile(source, target)
