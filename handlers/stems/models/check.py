"""What stands against a request because of its model: unknown, not allowed, not here, damaged. Light.

The daemon asks this at intake, and again, while a job waits, until nothing is missing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from handlers.contract import Finding, World
from handlers.stems.models.manifest import Manifest, Model, ModelsError, read_manifest
from handlers.stems.models.weights import Shelves, describe_size, missing_libraries, shelves
from handlers.stems.params import StemsParams

OTHERWISE = "`fallback: procedural` lets the built-in instrument stand in"


def check_model(params: StemsParams, world: World) -> Iterator[Finding]:
    """Yield what stands against a request's `model` and `commercial`.

    An `error` is the request's: no such model, or one whose licence forbids what the job demands. `missing` passes:
    libraries or weights that are not here, or not whole; the message holds the command that brings them.
    """
    try:
        manifest = read_manifest(world.config_dir / "models.yaml")
        key, model = manifest.resolve(params.model)
    except ModelsError as error:
        yield Finding("error", "model", str(error))
        return
    if params.commercial and not model.commercial:
        allowed = [name for name, other in manifest.models.items() if other.commercial and not other.not_played]
        yield Finding(
            "error",
            "commercial",
            f"{key!r} may not be used commercially: its licence is {model.licence}. "
            f"Models that may: {', '.join(allowed) or 'none in config/models.yaml'}; or leave `commercial` out",
        )
    elif model.not_played:
        yield Finding("missing", "model", f"{key!r} cannot be played: {model.not_played}. {OTHERWISE}")
    else:
        yield from _check_here(key, model, manifest, shelves(world.config_dir))


def _check_here(key: str, model: Model, manifest: Manifest, places: Shelves) -> Iterator[Finding]:
    commands, fetched = [], []
    if model.weights and missing_libraries():
        commands += [entry.run for entry in manifest.setup]
        fetched += [entry.fetches for entry in manifest.setup]
    missing, wrong = places.missing(model), places.damaged(model)
    wrong += [f"{weights.local} does not hold {', '.join(weights.files)}" for weights in missing if weights.local]
    if wrong or missing:
        commands.append(fetch_command(key))
        fetched += [describe_size(weights) for weights in missing if weights.repository]
    if commands:
        state = "not here yet" if missing or not wrong else "damaged"
        sizes = f" - which fetches {', '.join(fetched)}" if fetched else ""
        message = f"{': '.join([f'{key!r} is {state}', *wrong])}. In the checkout, run: {' && '.join(commands)}{sizes}"
        yield Finding("missing", "model", f"{message}. {OTHERWISE}")


def examine(world: World) -> Iterator[Finding]:
    """Yield which models can be played here, which cannot and why, and what brings the first of them."""
    try:
        manifest = read_manifest(world.config_dir / "models.yaml")
        places = shelves(world.config_dir)
    except ModelsError as error:
        yield Finding("warning", "models", str(error), "put the shipped config/models.yaml back")
        return
    played = {key: model for key, model in manifest.models.items() if not model.not_played}
    found = {key: list(_check_here(key, model, manifest, places)) for key, model in played.items()}
    here = [key for key in played if not found[key]]
    yield Finding("ok", "models", f"here: {', '.join(here)}")
    if absent := [key for key in played if found[key]]:
        bring = [entry.run for entry in manifest.setup if missing_libraries()]
        bring.append(fetch_command(absent[0]))
        yield Finding("missing", "models", f"not here: {', '.join(absent)}", f"such as: {' && '.join(bring)}")
    for key in played:
        for fault in places.damaged(played[key]):
            yield Finding("warning", "models", f"{key}: {fault}", fetch_command(key))
    for key, model in manifest.models.items():
        if model.not_played:
            yield Finding("ok", "models", f"{key} cannot be played: {model.not_played}")


def fetch_command(key: str) -> str:
    """The command, for a shell in the checkout, that brings a model here."""
    return f"./drophammer models fetch {shlex.quote(key)}"
