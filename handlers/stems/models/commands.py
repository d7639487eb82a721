"""`drophammer models`: which models there are, what is here of them, and how the rest comes. Light: typer only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.contract import Invalid
from handlers.stems.models.fetch import carry_out, make_plan
from handlers.stems.models.holdings import bring_in, remove, verify
from handlers.stems.models.listing import COLUMNS, describe, describe_plan, row
from handlers.stems.models.manifest import Manifest, ModelsError, read_manifest
from handlers.stems.models.weights import Shelves, missing_libraries, shelves
from handlers.stems.table import print_table

if TYPE_CHECKING:
    from handlers.contract import Desk

app = typer.Typer(add_completion=False)
KEY_HELP = "Of config/models.yaml, or an alias."
Key = Annotated[str, typer.Argument(metavar="KEY", help=KEY_HELP)]


@app.callback(invoke_without_command=True)
def models(
    ctx: typer.Context,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the models of config/models.yaml: which are here, how large, under which licence.

    Sizes that begin with "about", and memory, are computed from the number of parameters.

    Example: ./drophammer models
    """
    if ctx.invoked_subcommand is not None:
        return
    manifest, places = _open(ctx.obj)
    rows = [describe(key, manifest, places) for key in manifest.models]
    if json_:
        everything = {"models": rows, "aliases": manifest.aliases, "missing_libraries": missing_libraries()}
        print(json.dumps(everything, indent=2))
        return
    print_table(COLUMNS, [row(described) for described in rows])
    for alias, key in manifest.aliases.items():
        print(f"{alias} stands for {key}")
    if missing_libraries():
        print(f"what plays MusicGen is not installed: {_setup(manifest)}")


@app.command("fetch")
def fetch_models(
    ctx: typer.Context,
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help=KEY_HELP)] = None,
    job: Annotated[str | None, typer.Option("--for", metavar="JOB", help="What this job, or job file, needs.")] = None,
) -> None:
    """Fetch all that models need: their own weights, their codec, their text model; shared ones once.

    The size is said first. What is here already, in a configured folder or in the hub's cache too, is checked and used
    in place. Run again after a break, it goes on where it was. Every file is compared with its hash.

    Example: ./drophammer models fetch musicgen-small

    Example: ./drophammer models fetch --for config/jobs/industrial-set.yaml
    """
    manifest, places = _open(ctx.obj)
    names = [*(keys or []), *(_models_of(ctx.obj, job) if job is not None else [])]
    if not names and job is None:
        raise Invalid("name a model, or a job with --for; `./drophammer models` lists the models")
    wanted = list(dict.fromkeys(_resolve(name, manifest) for name in names))
    plan = make_plan(wanted, manifest, places, _say)
    for line in describe_plan(plan, places):
        _say(line)
    if plan.deliveries or plan.here:
        carry_out(plan, places, _say)
    if missing_libraries():
        _say(f"still to be run before they play: {_setup(manifest)}")
    _say(f"here: {', '.join(wanted)}; a job that waits goes on by itself" if wanted else f"{job} names no model")


@app.command("verify")
def verify_models(
    ctx: typer.Context,
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help=KEY_HELP)] = None,
) -> None:
    """Compare every file of models, or of all that are here, with its hash. Exit code 1 when one is damaged.

    A file whose hash nobody knew (it was put there by hand) is recorded as it is now.

    Example: ./drophammer models verify musicgen-small
    """
    manifest, places = _open(ctx.obj)
    wanted = [_resolve(name, manifest) for name in keys] if keys else list(manifest.models)
    absent = [key for key in wanted if keys and places.missing(manifest.models[key])]
    damaged = False
    for verdict in verify(wanted, manifest, places):
        if verdict.wrong:
            damaged = True
            for fault in verdict.wrong:
                _say(fault)
        else:
            how = "whole" if verdict.compared else "no hash was known; recorded as it is"
            _say(f"{verdict.weights.name}: {how}: {verdict.place}")
    for key in absent:
        _say(f"{key} is not here, or not all of it: ./drophammer models fetch {key}")
    if damaged:
        _say("what is damaged is mended by: ./drophammer models fetch KEY")
    if damaged or absent:
        raise typer.Exit(1)


@app.command("remove")
def remove_model(ctx: typer.Context, key: Key) -> None:
    """Remove a model's weights from models/; says what stays because another model needs it.

    Example: ./drophammer models remove musicgen-small
    """
    manifest, places = _open(ctx.obj)
    remove(_resolve(key, manifest), manifest, places, _say)


@app.command("import")
def import_model(
    ctx: typer.Context,
    key: Key,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With its files, or laid out as models/ is.")],
) -> None:
    """Copy a model's weights from a folder, for machines without a network; compared with their hashes first.

    Example: ./drophammer models import musicgen-small /media/stick/models
    """
    manifest, places = _open(ctx.obj)
    resolved = _resolve(key, manifest)
    bring_in(resolved, folder, manifest, places, _say)
    _say(f"here: {resolved}; a job that waits goes on by itself")


def _open(desk: Desk) -> tuple[Manifest, Shelves]:
    """The manifest of this installation, and where it looks for weights."""
    try:
        return read_manifest(desk.world.config_dir / "models.yaml"), shelves(desk.world.config_dir)
    except ModelsError as error:
        raise Invalid(str(error)) from error


def _models_of(desk: Desk, job: str) -> list[str]:
    """The models that the stems of a job name."""
    return [params["model"] for handler, params in desk.steps_of(job) if handler == "stems" and "model" in params]


def _resolve(name: str, manifest: Manifest) -> str:
    try:
        return manifest.resolve(name)[0]
    except ModelsError as error:
        raise Invalid(str(error)) from error


def _setup(manifest: Manifest) -> str:
    return " && ".join(entry.run for entry in manifest.setup)


def _say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
