"""What `drophammer models` shows: each model in a row, and a plan before it is carried out. Light."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handlers.stems.models.fetch import Plan
from handlers.stems.models.manifest import Manifest
from handlers.stems.models.meter import size
from handlers.stems.models.weights import Shelves, files_of

COLUMNS = ("model", "here", "size", "licence", "commercial", "memory")


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
        "size_bytes": None if missing else sum(sizes),
        "size_computed_gb": None if None in computed else round(sum(filter(None, computed)), 1),
        "licence": model.licence,
        "commercial": model.commercial,
        "sample_rate": model.sample_rate,
        "channels": model.channels,
        "window_s": model.window_s,
        "memory_gb": model.memory_gb,
        "aliases": [alias for alias, meant in manifest.aliases.items() if meant == key],
    }


def row(described: dict[str, Any]) -> tuple[str, ...]:
    """The same under :data:`COLUMNS`."""
    memory, computed = described["memory_gb"], described["size_computed_gb"]
    weight = "not known" if computed is None else f"about {computed:g} GB"
    if described["size_bytes"] is not None:
        weight = size(described["size_bytes"]) if described["places"] else "none"
    return (
        described["key"],
        described["here"],
        weight,
        described["licence"].partition(":")[0],
        "yes" if described["commercial"] else "no",
        "" if memory is None else f"{memory:g} GB",
    )


def describe_plan(plan: Plan, places: Shelves) -> Iterator[str]:
    """What will be fetched, in all and each, and what is used where it lies."""
    if plan.size:
        begun = f" ({size(plan.begun)} of it are here from before)" if plan.begun else ""
        yield f"to fetch: {size(plan.size)}{begun}, into {places.own}"
    for delivery in plan.deliveries.values():
        parts = [f"{file.name} {size(file.size)}" for file in delivery.fetched]
        parts += [f"{name} (in the hub's cache, linked)" for name in delivery.linked]
        yield f"  {delivery.repository.name} at {delivery.repository.commit[:12]}: {', '.join(parts) or 'all here'}"
    for weights, place in plan.here.values():
        yield f"  {weights.name}: here, {place}"
