"""`drophammer models`: which models there are, what is here of them, and how the rest comes. Light: typer only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.stems.models.manifest import Manifest, read_manifest
from handlers.stems.models.weights import Shelves, files_of, missing_libraries, shelves

if TYPE_CHECKING:
    from handlers.contract import Desk

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def models(
    ctx: typer.Context,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the models of config/models.yaml: which are here, how large, under which licence.

    Example: ./drophammer models
    """
    if ctx.invoked_subcommand is not None:
        return
    desk: Desk = ctx.obj
    manifest, places = open_models(desk)
    rows = [describe(key, manifest, places) for key in manifest.models]
    if json_:
        print(
            json.dumps(
                {"models": rows, "aliases": manifest.aliases, "missing_libraries": missing_libraries()}, indent=2
            )
        )
        return
    shown = [
        (
            row["key"],
            row["here"],
            _size(row),
            row["licence"].partition(":")[0],
            "yes" if row["commercial"] else "no",
            "" if row["memory_gb"] is None else f"{row['memory_gb']:g} GB",
        )
        for row in rows
    ]
    print_table(("model", "here", "size", "licence", "commercial", "memory"), shown)
    for alias, key in manifest.aliases.items():
        print(f"{alias} stands for {key}")
    if missing_libraries():
        print(f"what plays MusicGen is not installed: {' && '.join(entry.run for entry in manifest.setup)}")


def open_models(desk: Desk) -> tuple[Manifest, Shelves]:
    """The manifest of this installation, and where it looks for weights."""
    return read_manifest(desk.world.config_dir / "models.yaml"), shelves(desk.world.config_dir)


def describe(key: str, manifest: Manifest, places: Shelves) -> dict[str, Any]:
    """One model, as JSON values."""
    model = manifest.models[key]
    needed = places.needed(model)
    found = {weights.folder: places.find(weights) for weights in needed}
    missing = [weights.name for weights in needed if found[weights.folder] is None]
    sizes = [file.stat().st_size for w in needed if (place := found[w.folder]) for file in files_of(w, place)]
    computed = [weights.about_gb for weights in needed]
    damaged = places.damaged(model)
    here = "damaged" if damaged else "yes" if not missing else "partly" if sizes else "no"
    return {
        "key": key,
        "summary": model.summary,
        "backend": model.backend,
        "here": "cannot be played" if model.not_played else here,
        "why": model.not_played,
        "missing": missing,
        "damaged": damaged,
        "places": {folder: str(place) for folder, place in found.items() if place},
        "size_bytes": sum(sizes) if not missing else None,
        "size_computed_gb": None if None in computed else round(sum(filter(None, computed)), 1),
        "licence": model.licence,
        "commercial": model.commercial,
        "sample_rate": model.sample_rate,
        "channels": model.channels,
        "window_s": model.window_s,
        "memory_gb": model.memory_gb,
        "aliases": [alias for alias, meant in manifest.aliases.items() if meant == key],
    }


def _size(row: dict[str, Any]) -> str:
    if row["size_bytes"] is not None:
        return size(row["size_bytes"]) if row["places"] else "none"
    return "not known" if row["size_computed_gb"] is None else f"about {row['size_computed_gb']:g} GB"


def size(count: float) -> str:
    """``512 B``, ``3.4 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings, aligned."""
    lines = [[name.upper() for name in columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
