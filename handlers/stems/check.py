"""What can be said about a `stems` request before it runs, and about a result in words. Light: no audio libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handlers.contract import Estimate, Finding, ItemRecord, World
from handlers.stems.models import ModelsError, read_models
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
    elif model.backend != "procedural":
        yield Finding(
            "missing",
            "model",
            f"{params.model!r} needs its weights and the {model.backend} backend; neither is part of this installation. "
            "Write `model: procedural` for the built-in instrument, or add `fallback: procedural` to the job",
        )
    elif params.prompt:
        yield Finding("warning", "prompt", PROMPT_NOT_READ)


PROMPT_NOT_READ = "the procedural backend does not read prompts: the style alone steers it; the prompt is only recorded"


def estimate(params: StemsParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return how many stems, how long, and the bytes of their WAV files."""
    frames = round(params.duration * SAMPLE_RATE)
    return Estimate(params.count, params.duration, params.count * (44 + frames * BYTES_PER_FRAME))


def describe(item: ItemRecord) -> str:
    """Return a stem in three lines: what it is, how it measures, how it runs."""
    facts = item.facts
    sections = ", ".join(section["label"] for section in facts.get("sections", ()))
    return (
        f"stem {item.item}: {facts['style']}, {facts['tempo_bpm']:g} BPM, {facts['key']}, {facts['duration_s']:g} s\n"
        f"  {facts['integrated_lufs']} LUFS, true peak {facts['true_peak_dbtp']} dBTP, model {facts['model']}\n"
        f"  {sections}"
    )
