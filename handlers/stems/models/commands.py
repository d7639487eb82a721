"""`drophammer models`: which models there are, what is here of them, and how the rest comes. Light: typer only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.contract import Invalid
from handlers.stems.models.fetch import Plan, carry_out, make_plan
from handlers.stems.models.holdings import bring_in, remove, verify
from handlers.stems.models.manifest import Manifest, ModelsError, read_manifest
from handlers.stems.models.meter import size
from handlers.stems.models.weights import Shelves, files_of, missing_libraries, shelves

if TYPE_CHECKING:
    from handlers.contract import Desk

app = typer.Typer(add_completion=False)
Key = Annotated[str, typer.Argument(metavar="KEY", help="A model of config/models.yaml, or an alias.")]


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


@app.command("fetch")
def fetch(
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Models of config/models.yaml, or aliases.")
    ] = None,
    job: Annotated[
        str | None, typer.Option("--for", metavar="JOB", help="All that a job file, or a job, needs.")
    ] = None,
) -> None:
    """Fetch all that models need: their own weights, their codec, their text model; shared ones once.

    The size is said first. What is here already, in a configured folder or in the hub's cache too, is checked and used
    in place. Run again after a break, it goes on where it was. Every file is compared with its hash.

    Example: ./drophammer models fetch musicgen-small

    Example: ./drophammer models fetch --for config/jobs/industrial-set.yaml
    """
    desk: Desk = ctx.obj
    manifest, places = open_models(desk)
    names = [*(keys or []), *(models_of(desk, job) if job is not None else [])]
    if not names and job is None:
        raise Invalid("name a model, or a job with --for; `./drophammer models` lists the models")
    wanted = list(dict.fromkeys(_resolve(name, manifest) for name in names))
    plan = make_plan(wanted, manifest, places, say)
    print_plan(plan, places)
    if plan.deliveries or plan.here:
        carry_out(plan, places, say)
    if missing_libraries():
        say(f"still to be run before they play: {' && '.join(entry.run for entry in manifest.setup)}")
    say(
        f"here: {', '.join(wanted)}; a job that waits goes on by itself"
        if wanted
        else f"{job} names no model with weights"
    )


@app.command("verify")
def verify_models(
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Which; all that are here if none is named.")
    ] = None,
) -> None:
    """Compare every file of models that are here with its hash. Exit code 1 when one is damaged.

    A file whose hash nobody knew (it was put there by hand) is recorded as it is now.

    Example: ./drophammer models verify musicgen-small
    """
    manifest, places = open_models(ctx.obj)
    wanted = [_resolve(name, manifest) for name in keys] if keys else list(manifest.models)
    absent = [name for key in wanted if keys for name in map(str, places.missing(manifest.models[key]) and [key])]
    damaged = False
    for verdict in verify(wanted, manifest, places):
        damaged |= bool(verdict.wrong)
        for fault in verdict.wrong:
            say(fault)
        if not verdict.wrong:
            say(
                f"{verdict.weights.name}: {'whole' if verdict.compared else 'no hash was known; recorded as it is'}: {verdict.place}"
            )
    for key in absent:
        say(f"{key} is not here, or not all of it: ./drophammer models fetch {key}")
    if damaged:
        say("what is damaged is mended by: ./drophammer models fetch KEY")
    if damaged or absent:
        raise typer.Exit(1)


@app.command("remove")
def remove_model(ctx: typer.Context, key: Key) -> None:
    """Remove a model's weights from models/; says what stays because another model needs it.

    Example: ./drophammer models remove musicgen-small
    """
    manifest, places = open_models(ctx.obj)
    remove(_resolve(key, manifest), manifest, places, say)


@app.command("import")
def import_model(
    ctx: typer.Context,
    key: Key,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Holds the model's files, or folders named as in models/.")
    ],
) -> None:
    """Copy a model's weights from a folder, for machines without a network; compared with their hashes first.

    Example: ./drophammer models import musicgen-small /media/stick/models
    """
    manifest, places = open_models(ctx.obj)
    resolved = _resolve(key, manifest)
    bring_in(resolved, folder, manifest, places, say)
    say(f"here: {resolved}; a job that waits goes on by itself")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def print_plan(plan: Plan, places: Shelves) -> None:
    """Say what will be fetched, in all and each, and what is used where it lies."""
    if plan.size:
        begun = f" ({size(plan.begun)} of it are here from before)" if plan.begun else ""
        say(f"to fetch: {size(plan.size)}{begun}, into {places.own}")
    for delivery in plan.deliveries.values():
        names = ", ".join(f"{file.name} {size(file.size)}" for file in delivery.fetched)
        links = ", ".join(f"{name} (in the hub's cache, linked)" for name in delivery.linked)
        say(
            f"  {delivery.repository.name} at {delivery.repository.commit[:12]}: {', '.join(filter(None, (names, links))) or 'all here'}"
        )
    for weights, place in plan.here.values():
        say(f"  {weights.name}: here, {place}")


def models_of(desk: Desk, job: str) -> list[str]:
    """The models that the stems of a job name."""
    return [params["model"] for handler, params in desk.steps_of(job) if handler == "stems" and "model" in params]


def _resolve(name: str, manifest: Manifest) -> str:
    try:
        return manifest.resolve(name)[0]
    except ModelsError as error:
        raise Invalid(str(error)) from error


def open_models(desk: Desk) -> tuple[Manifest, Shelves]:
    """The manifest of this installation, and where it looks for weights."""
    try:
        return read_manifest(desk.world.config_dir / "models.yaml"), shelves(desk.world.config_dir)
    except ModelsError as error:
        raise Invalid(str(error)) from error


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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings, aligned."""
    lines = [[name.upper() for name in columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
