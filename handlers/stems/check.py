"""What can be said about a `stems` request before it runs, and about a result in words. Light: no audio libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handlers.audio.delivery.choices import MP3_VBR, FormatChoice
from handlers.contract import Estimate, Finding, ItemRecord, World
from handlers.stems.instrument.check import check as check_instrument
from handlers.stems.models.check import check_model
from handlers.stems.models.manifest import ModelsError, read_manifest
from handlers.stems.musicgen.check import check as check_musicgen
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style, StyleError, load_style

LAYERS = ("drums", "bass", "harmony", "noise")
MP3_VBR_KBPS = (245, 225, 190, 175, 165, 130, 115, 100, 85, 65)
"""What LAME's qualities 0 to 9 come to for music, by its own documentation."""
OGG_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)
"""What Vorbis' qualities 0 to 10 come to, by its own documentation."""
FLAC_SHARE = 0.7
"""Of the samples' own bytes; music in 24 bits keeps about so much."""


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
    each = sum(_size_bytes(choice, params) for choice in params.formats)
    if params.layers:
        each += len(LAYERS) * _size_bytes(params.formats[0], params, layer=True)
    return Estimate(params.count, params.duration, round(params.count * each))


def _size_bytes(choice: FormatChoice, params: StemsParams, *, layer: bool = False) -> float:
    samples = 2 * round(params.duration * params.sample_rate)
    if choice.wav or (layer and not choice.flac):
        bits = (choice.wav and choice.wav.bits) or 24
        return 44 + samples * max(bits, 24 if layer else bits) / 8
    if choice.flac:
        return FLAC_SHARE * samples * (choice.flac.bits or 24) / 8
    if choice.ogg:
        return _between(OGG_KBPS, choice.ogg.quality) * params.duration * 125
    assert choice.mp3 is not None, "there are four formats"
    if choice.mp3.kbps:
        return choice.mp3.kbps * params.duration * 125
    return _between(MP3_VBR_KBPS, MP3_VBR if choice.mp3.vbr is None else choice.mp3.vbr) * params.duration * 125


def _between(steps: tuple[int, ...], place: float) -> float:
    below = min(int(place), len(steps) - 2)
    return steps[below] + (place - below) * (steps[below + 1] - steps[below])


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
