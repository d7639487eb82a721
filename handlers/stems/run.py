"""The `stems` handler: hands a request to the model's backend.

The built-in instrument is played here: each stem is rendered, measured, and delivered with its grid and its picture.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from handlers.audio import files, picture
from handlers.audio.loudness import measure
from handlers.contract import Context, Invalid
from handlers.stems.check import PROMPT_NOT_READ
from handlers.stems.instrument.render import Rendered, render
from handlers.stems.models.manifest import Model, ModelsError, read_models
from handlers.stems.models.weights import missing_libraries
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style, StyleError, load_style

_RENDERED = 0.6
"""Share of an item's time that rendering takes; the rest is measuring, drawing and writing."""


def run(params: StemsParams, context: Context) -> None:
    """Make `params.count` stems; items that an earlier attempt finished are skipped and change nothing for the rest."""
    try:
        style = load_style(context.config_dir / "styles", params.style)
        model = read_models(context.config_dir / "models.yaml").get(params.model)
    except (StyleError, ModelsError) as error:
        raise Invalid(str(error)) from error
    if model is None:
        raise Invalid(f"no model {params.model!r} in config/models.yaml; write `model: procedural`")
    if model.backend == "audiocraft":
        _run_audiocraft(params, style, model, context)
        return
    if params.prompt:
        context.warn(PROMPT_NOT_READ)
    for item in range(1, params.count + 1):
        if item not in context.completed:
            _make(item, params, style, model, context)
    context.progress("working", params.count, params.count, "stems")


def _run_audiocraft(params: StemsParams, style: Style, model: Model, context: Context) -> None:
    if model.not_played:
        raise Invalid(f"model {params.model!r} cannot be played: {model.not_played}; write `model: procedural`")
    if missing := missing_libraries():
        raise Invalid(f"model {params.model!r} needs {', '.join(missing)}; run `make setup-musicgen` in the checkout")
    from handlers.stems.musicgen import backend as musicgen  # torch, which only this needs.

    musicgen.run(params, style, model, context)


def _make(item: int, params: StemsParams, style: Style, model: Model, context: Context) -> None:
    def pulse(done: float) -> None:
        context.check_cancelled()
        context.progress("working", item - 1 + _RENDERED * done, params.count, "stems")

    changes = {"tempo": params.tempo, "keys": params.key and (params.key,)}
    stem = render(
        replace(style, **{name: change for name, change in changes.items() if change}),
        params.duration,
        context.seed,
        step=context.step,
        index=item,
        pulse=pulse,
    )
    pulse(1.0)
    facts = _facts(stem, params, style, model, context.seed)
    grid, image, audio = (context.workdir / f"{item}{suffix}" for suffix in (".grid.json", ".png", ".wav"))
    grid.write_text(json.dumps(stem.grid, indent=1) + "\n", encoding="utf-8")
    context.check_cancelled()
    _draw(image, stem, f"{style.name}  {stem.grid['tempo_bpm']:g} BPM  {stem.grid['key']}  seed {context.seed}/{item}")
    context.check_cancelled()
    tags = {
        "title": f"{context.job_name} {context.step} {item}",
        "comment": f"style {style.name}, model {params.model}, seed {context.seed}, step {context.step}, item {item}, "
        f"{stem.grid['tempo_bpm']:g} BPM, {stem.grid['key']}",
        "license": model.licence,
    }
    files.write(audio, stem.audio, stem.sample_rate, subtype="PCM_24", tags=tags)
    context.emit(item, grid, "sidecar", label="grid")
    context.emit(item, image, "sidecar", label="picture")
    context.emit(item, audio, **facts)
    context.progress("working", item, params.count, "stems")


def _facts(stem: Rendered, params: StemsParams, style: Style, model: Model, seed: int) -> dict[str, object]:
    loudness = measure(stem.audio, stem.sample_rate).facts()
    return {
        "duration_s": stem.audio.shape[1] / stem.sample_rate,
        "sample_rate": stem.sample_rate,
        "channels": stem.audio.shape[0],
        "tempo_bpm": stem.grid["tempo_bpm"],
        "key": stem.grid["key"],
        "style": style.name,
        "model": params.model,
        "prompt": params.prompt or style.character.prompt,
        "seed": seed,
        "integrated_lufs": loudness["integrated_lufs"],
        "true_peak_dbtp": loudness["true_peak_dbtp"],
        "sections": [{name: entry[name] for name in ("start_s", "end_s", "label")} for entry in stem.grid["sections"]],
        "licence": model.licence,
    }


def _draw(path: Path, stem: Rendered, title: str) -> None:
    sections = [(entry["start_s"], entry["end_s"], entry["label"]) for entry in stem.grid["sections"]]
    picture.draw(
        path,
        stem.audio,
        stem.sample_rate,
        beats_s=stem.grid["beats_s"],
        downbeats_s=stem.grid["downbeats_s"],
        sections=sections,
        title=title,
    )
