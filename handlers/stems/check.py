"""What can be said about a `stems` request before it runs, and about a result in words. Light: no audio libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handlers.audio.delivery.choices import FormatChoice, WavSettings
from handlers.audio.delivery.sizes import bytes_per_s
from handlers.contract import Estimate, Finding, ItemRecord, World
from handlers.stems.instrument.check import check as check_instrument
from handlers.stems.models.check import check_model
from handlers.stems.models.manifest import ModelsError, read_manifest
from handlers.stems.musicgen.check import check as check_musicgen
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style, StyleError, load_style

LAYERS = ("drums", "bass", "harmony", "noise")


def check(params: StemsParams, world: World) -> Iterator[Finding]:
    """Yield what stands against the request: an unknown style or model, a model that is not here, what it cannot do."""
    style: Style | None = None
    try:
        style = load_style(world.config_dir / "styles", params.style)
    except StyleError as error:
        yield Finding("error", "style", str(error))
    yield from check_model(params, world)
    try:
        _, model = read_manifest(world.config_dir / "models.yaml").resolve(params.model)
    except ModelsError:
        return  # Said by the line above.
    if model.backend == "audiocraft":
        yield from check_musicgen(params, model)
    elif style:
        yield from check_instrument(params, style)


def estimate(params: StemsParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    """Return how many stems, how long, and the bytes of all their files."""
    rate = params.sample_rate
    each = sum(bytes_per_s(choice, rate) for choice in params.formats)
    if params.layers:
        layer = (
            params.formats[0] if params.formats[0].wav or params.formats[0].flac else FormatChoice(wav=WavSettings())
        )
        each += len(LAYERS) * bytes_per_s(layer, rate, least_bits=24)
    return Estimate(params.count, params.duration, round(params.count * params.duration * each))


def describe(item: ItemRecord) -> str:
    """Return a stem in a few lines: what it is, how it measures, whether it passed its checks."""
    facts = item.facts
    tempo = f"{facts['tempo_bpm']:g} BPM, " if "tempo_bpm" in facts else ""
    key = f"{facts['key']}, " if "key" in facts else ""
    lines = [
        f"stem {item.item}: {facts['style']}, {tempo}{key}{facts['duration_s']:g} s",
        f"  {facts['integrated_lufs']} LUFS, true peak {facts['true_peak_dbtp']} dBTP, model {facts['model']}",
    ]
    if heard := _describe_heard(facts):
        lines.append(f"  {heard}")
    if gate := facts.get("gate"):
        takes = f"take {facts.get('take', 0) + 1} of {gate['takes']}"
        verdict = "passed its checks" if gate["passed"] else f"DID NOT PASS: {', '.join(gate['failed'])}"
        lines.append(f"  {verdict} ({takes})")
    if sections := ", ".join(section["label"] for section in facts.get("sections", ())):
        lines.append(f"  {sections}")
    return "\n".join(lines)


def _describe_heard(facts: Mapping[str, object]) -> str:
    words = []
    if measured := facts.get("tempo_measured_bpm"):
        asked = facts.get("asked_tempo_bpm")
        words.append(f"measured {measured:.4g} BPM" + (f" where {asked:g} were asked for" if asked else ""))
    if key := facts.get("key_measured"):
        words.append(f"in {key}")
    return ", ".join(words)
