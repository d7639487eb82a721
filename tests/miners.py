"""Three handlers for tests of `for_each`: one lists a folder's files, one mines a file, one gathers what was mined.

What is to become of a file stands in it: `invalid`, `crash`, `hang`, `transient`; anything else is mined.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from handlers.contract import Folder, Handler, Invalid, Params, Reference, Transient


class ListParams(Params):
    root: Folder
    stray: str = ""
    stray_key: str = "stray"
    """One more row, with this path."""
    garbled: bool = False
    """Write a table that is none."""


class MineParams(Params):
    input: Reference
    stamp: str = ""
    """A file that gets the label of every file whose mining begins."""
    seconds: float = 0.0
    items: int = 1
    leaves: str = ""
    """A file that is left in the working folder."""


class GatherParams(Params):
    input: Reference


LIST = Handler(name="list", summary="lists files", params=ListParams, run="tests.miners:list_files", surveys=True)
MINE = Handler(name="mine", summary="mines a file", params=MineParams, run="tests.miners:mine")
GATHER = Handler(name="gather", summary="gathers runs", params=GatherParams, run="tests.miners:gather")
ALL = ["tests.miners:LIST", "tests.miners:MINE", "tests.miners:GATHER", "tests.probes:HANDLER"]


def list_files(params: ListParams, context) -> None:
    folder = context.folders[params.root]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [
        {
            "id": f"audio_{number:04d}",
            "path": str(path),
            "label": str(path.relative_to(folder)),
            "key": hashlib.sha256(path.read_bytes()).hexdigest(),
            "slug": path.stem,
        }
        for number, path in enumerate(files)
    ]
    if params.stray:
        rows.append({"id": "stray", "path": params.stray, "label": "stray", "key": params.stray_key, "slug": "stray"})
    table, catalogue = context.workdir / "rows.jsonl", context.workdir / "catalogue.csv"
    table.write_text("no table" if params.garbled else "".join(json.dumps(row) + "\n" for row in rows))
    catalogue.write_text("\n".join(row["label"] for row in rows))
    context.emit(1, table, "sidecar", label="rows", published="files_rows.jsonl")
    context.emit(1, catalogue, published="files.csv")


def mine(params: MineParams, context) -> None:
    (file,) = context.inputs[params.input]
    word = file.path.read_text().split()[0]
    if params.stamp:
        descriptor = os.open(params.stamp, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{file.label}\n".encode())
        os.close(descriptor)
    if params.leaves:
        (context.workdir / params.leaves).write_text("half done")
    slug = file.facts.get("slug", "none")
    for item in range(1, params.items + 1):
        if item in context.completed:
            continue
        until = time.monotonic() + params.seconds
        while time.monotonic() < until:
            context.check_cancelled()
            time.sleep(0.01)
        if item == params.items:
            match word:
                case "invalid":
                    raise Invalid("this file is silent; take another")
                case "crash":
                    os._exit(3)
                case "hang":
                    time.sleep(3600)
                case "transient":
                    raise Transient("the disk is busy")
        note = context.workdir / f"{item}.log"
        note.write_text("a note")
        context.emit(item, note, "sidecar", label="note", published=f"by_source/{slug}/notes/{slug}_{item:02d}.log")
        path = context.workdir / f"{item}.txt"
        path.write_text(f"mined from {file.label}\n")
        context.emit(item, path, published=f"by_source/{slug}/pads/{slug}_pad{item:02d}.txt", source=file.label)


def gather(params: GatherParams, context) -> None:
    told = [
        {
            "label": run.row["label"],
            "id": run.row["id"],
            "ok": run.ok,
            "reason": run.reason,
            "took_s": run.took_s,
            "items": [
                [item.label, item.published, item.published_sidecars, Path(item.path).read_text()] for item in run.items
            ],
        }
        for run in context.runs[params.input]
    ]
    assert [item for run in context.runs[params.input] for item in run.items] == context.inputs[params.input]
    path = context.workdir / "gathered.json"
    path.write_text(json.dumps(told))
    context.emit(1, path, published="gathered.json", total=len(told))
