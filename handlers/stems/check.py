"""What can be said about a `stems` request before it runs, and about a result in words. Light: no audio libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handlers.contract import Estimate, Finding, ItemRecord, World
from handlers.stems.models.manifest import Model, ModelsError, read_models, read_setup
from handlers.stems.models.weights import (
    describe_size,
    fetch_command,
    missing_libraries,
    missing_weights,
    models_folder,
)
from handlers.stems.params import StemsParams
from handlers.stems.styles import StyleError, load_style, nearest

SAMPLE_RATE = 44_100
BYTES_PER_FRAME = 2 * 3
"""Stereo, 24 bits."""


def check(params: StemsParams, world: World) -> Iterator[Finding]:
    """Yield what stands against the request: an unknown style or model, a model that is not here."""
    try:
        load_style(world.config_dir / "styles", params.style)
    except StyleError as error:
        yield Finding("error", "style", str(error))
    try:
        models = read_models(world.config_dir / "models.yaml")
    except ModelsError as error:
        yield Finding("error", "model", str(error))
        return
    model = models.get(params.model)
    if model is None:
        known = ", ".join(models)
        yield Finding(
            "error", "model", f"no model {params.model!r}{nearest(params.model, list(models))} (there are: {known})"
        )
    elif model.backend == "audiocraft":
        yield from _check_audiocraft(params, model, world)
    elif params.prompt:
        yield Finding("warning", "prompt", PROMPT_NOT_READ)


def _check_audiocraft(params: StemsParams, model: Model, world: World) -> Iterator[Finding]:
    for key in ("tempo", "key"):
        if getattr(params, key) is not None:
            yield Finding(
                "error",
                key,
                f"{params.model!r} cannot be held to a {key}: it reads words only. Leave `{key}` out and say it in "
                "`prompt`, or write `model: procedural`",
            )
    otherwise = "`fallback: procedural` lets the built-in instrument stand in"
    if model.not_played:
        yield Finding("missing", "model", f"{params.model!r} cannot be played: {model.not_played}. {otherwise}")
        return
    commands, fetched = [], []
    if missing_libraries():
        for entry in read_setup(world.config_dir / "models.yaml"):
            commands.append(entry.run)
            fetched.append(entry.fetches)
    folder = models_folder(world.config_dir)
    for weights in missing_weights(model, folder):
        commands.append(fetch_command(weights, folder))
        fetched.append(describe_size(weights))
    if commands:
        yield Finding(
            "missing",
            "model",
            f"{params.model!r} is not here yet. In the checkout, run: {' && '.join(commands)} "
            f"- which fetches {', '.join(fetched)}. {otherwise}",
        )


PROMPT_NOT_READ = "the procedural backend does not read prompts: the style alone steers it; the prompt is only recorded"


def estimate(params: StemsParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return how many stems, how long, and the bytes of their WAV files."""
    frames = round(params.duration * SAMPLE_RATE)
    return Estimate(params.count, params.duration, params.count * (44 + frames * BYTES_PER_FRAME))


def describe(item: ItemRecord) -> str:
    """Return a stem in two or three lines: what it is, how it measures, and how it runs where that is known."""
    facts = item.facts
    played = f"{facts['tempo_bpm']:g} BPM, {facts['key']}, " if "tempo_bpm" in facts else ""
    lines = [
        f"stem {item.item}: {facts['style']}, {played}{facts['duration_s']:g} s",
        f"  {facts['integrated_lufs']} LUFS, true peak {facts['true_peak_dbtp']} dBTP, model {facts['model']}",
    ]
    if sections := ", ".join(section["label"] for section in facts.get("sections", ())):
        lines.append(f"  {sections}")
    return "\n".join(lines)
