"""Rows of a job that was published already, rebuilt from its folder in the outbox.

A ledger that comes back from a backup knows nothing of what was published since, or takes it for unfinished. What the
manifest says is written into the ledger, so that such a job is neither run nor published a second time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daemon.events import Identity
from daemon.jobs import DONE, ID_PATTERN
from daemon.ledger import Ledger


def published(outbox: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every job's folder in the outbox with its manifest, oldest first; what has no manifest is passed over."""
    names = sorted(entry.name for entry in os.scandir(outbox) if ID_PATTERN.fullmatch(entry.name))
    for name in names:
        if manifest := read_manifest(outbox / name):
            yield outbox / name, manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What made the job in a folder; None when this is no folder of a job that is done."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        job = manifest["job"]
        return manifest if job["state"] == DONE and job["id"] == folder.name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def adopt(ledger: Ledger, folder: Path, manifest: dict[str, Any]) -> None:
    """Inside a transaction: write the job as done, with its steps, runs and files."""
    job = manifest["job"]
    job_id = job["id"]
    for table in ("artifacts", "attempts", "runs"):
        ledger.connection.execute(f"DELETE FROM {table} WHERE job_id = ?", (job_id,))
    columns = {name: job[name] for name in ("seed", "reason", "failures", "started_at", "finished_at")}
    columns |= {
        "seeds": job["seeds"] or None,
        "procedural": int(job["procedural"]),
        "state": DONE,
        "folder": str(folder),
        "from_job": ledger.value("SELECT id FROM jobs WHERE id = ?", job["from_job"]),
    }
    if ledger.value("SELECT 1 FROM jobs WHERE id = ?", job_id):
        ledger.update("jobs", job_id, **columns)
    else:
        fixed = {name: job[name] for name in ("id", "name", "document", "origin", "accepted_at")}
        ledger.insert("jobs", number=int(job_id.rpartition("-")[2]), **fixed, **columns)
    for position, step in enumerate(manifest["steps"], 1):
        _adopt_step(ledger, job_id, position, step)
    if job["origin"] == "audio":
        _adopt_drop(ledger, job_id, manifest["steps"][0])


def _adopt_step(ledger: Ledger, job_id: str, position: int, step: dict[str, Any]) -> None:
    times = {name: step[name] for name in ("started_at", "finished_at")}
    step_id = ledger.value("SELECT id FROM steps WHERE job_id = ? AND name = ?", job_id, step["name"])
    if step_id is None:
        known = {name: step[name] for name in ("name", "handler", "params", "lane", "seed")}
        # What only a step that is still to run would need.
        idle: dict[str, Any] = {"needs": [], "inputs": [], "sources": {}, "retries": 0, "timeout_s": 0.0}
        idle["for_each"] = step.get("for_each")
        step_id = ledger.insert(
            "steps", job_id=job_id, position=position, state=step["state"], **known, **idle, **times
        )
    else:
        ledger.update("steps", step_id, state=step["state"], **times)
    names = {run["run"]: run["of"] for run in step.get("runs", ())}
    outcomes = {attempt["run"]: attempt for attempt in step["attempts"]}  # The last of each run.
    for ordinal, attempt in outcomes.items():
        run_id = ledger.insert(
            "runs", job_id=job_id, step_id=step_id, ordinal=ordinal, key="" if len(outcomes) == 1 else str(ordinal),
            each=names.get(ordinal), state=DONE if attempt["outcome"] == DONE else "failed", lane=step["lane"],
            started_at=attempt["started_at"], finished_at=attempt["ended_at"],
        )  # fmt: skip
        attempt_id = ledger.insert(
            "attempts", job_id=job_id, run_id=run_id, lane=step["lane"], folder="", worker_pid=0, worker_start=0, boot_id="",
            inputs=step["inputs"], **{name: value for name, value in attempt.items() if name != "run"},
        )  # fmt: skip
        for item in step["items"]:
            if item["run"] == ordinal:
                _adopt_item(ledger, job_id, run_id, attempt_id, item, attempt["ended_at"])


def _adopt_item(ledger: Ledger, job_id: str, run_id: int, attempt_id: int, item: dict[str, Any], at: str) -> None:
    for file in item["files"]:
        facts = item["facts"] if file["kind"] == "primary" else file.get("facts", {})
        ledger.insert(
            "artifacts", job_id=job_id, run_id=run_id, attempt_id=attempt_id, item=item["item"], kind=file["kind"],
            label=file["label"], path=f"{job_id}/{file['name']}", published=file["name"], size_bytes=file["size_bytes"],
            sha256=file["sha256"], facts=facts, created_at=at,
        )  # fmt: skip


def _adopt_drop(ledger: Ledger, job_id: str, step: dict[str, Any]) -> None:
    """The recording that a job was made of is not given to the same route again."""
    for entry in step["inputs"][:1]:
        try:
            identity: dict[str, Any] = asdict(Identity.of(os.stat(entry["path"])))
        except OSError:
            identity = {}  # It is known by its content all the same, wherever it turns up.
        ledger.insert(
            "drops", replace=True, path=entry["path"], identity=identity, sha256=entry["sha256"],
            route=step["handler"], job_id=job_id, seen_at=step["started_at"],
        )  # fmt: skip
