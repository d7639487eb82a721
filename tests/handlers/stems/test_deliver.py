"""What lies on disk in the end: formats, rates, tags, layers, and nothing else."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import soundfile

from handlers.audio import files
from handlers.audio.loudness import measure
from handlers.contract import ItemRecord
from handlers.stems.backend import Take
from handlers.stems.check import describe, estimate
from handlers.stems.params import StemsParams
from tests.handlers.stems.players import RATE, Player, beat
from tests.handlers.stems.test_takes import run

LAYERS = ("drums", "bass", "harmony", "noise")


def names(context) -> list[str]:
    return sorted(path.name for path in context.workdir.iterdir())


def layered(gain: float = 1.0) -> Take:
    parts = {
        name: beat(2.0, 90.0 + 10 * number, seed=number) * np.float32(gain / 4) for number, name in enumerate(LAYERS)
    }
    return Take(sum(parts.values()), RATE, {"prompt": "four"}, layers=parts)


@pytest.mark.parametrize(
    ("chosen", "subtype"),
    [
        ("wav", "PCM_24"), ({"wav": {"bits": 16}}, "PCM_16"), ({"wav": {"bits": 32}}, "FLOAT"), ("flac", "PCM_24"),
        ({"mp3": {"kbps": 192}}, "MPEG_LAYER_III"), ({"mp3": {"vbr": 4}}, "MPEG_LAYER_III"),
        ({"ogg": {"quality": 6}}, "VORBIS"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_every_format_at_both_rates_is_stereo_of_exact_length(stems_context, chosen, subtype, rate):
    context = stems_context()
    mono = Player(lambda request: Take(beat(1.5, rate=32_000)[:1], 32_000, {"prompt": "x"}))
    run(mono, context, duration=1.5, formats=[chosen], sample_rate=rate)
    info = files.probe(context.delivered().path)
    assert (info.subtype, info.sample_rate, info.channels, info.frames) == (subtype, rate, 2, round(1.5 * rate))
    assert context.delivered().facts["sample_rate"] == rate


def test_only_what_was_asked_for_is_left(stems_context):
    context = stems_context()
    run(Player(lambda request: beat(1.0)), context, formats=[{"ogg": {"quality": 6}}, {"mp3": {"kbps": 192}}])
    assert names(context) == ["1.mp3", "1.ogg", "1.png"]
    assert [(one.kind, one.path.suffix) for one in context.emitted] == [
        ("sidecar", ".png"), ("rendition", ".mp3"), ("primary", ".ogg"),
    ]  # fmt: skip


@pytest.mark.parametrize("chosen", [{"mp3": {"kbps": 64}}, {"ogg": {"quality": 0}}])
def test_a_lossy_file_is_under_the_ceiling_when_decoded(stems_context, chosen):
    loud = np.clip(2 * np.random.default_rng(0).standard_normal((2, 3 * RATE)), -1, 1).astype(np.float32)
    # Just under the ceiling, where an encoder goes over it.
    loud *= np.float32(10 ** ((-0.35 - measure(loud, RATE).true_peak_dbtp) / 20))
    context = stems_context()
    run(Player(lambda request: loud), context, duration=3, formats=[chosen])
    facts = context.delivered().facts
    assert facts["encoder_gain_db"] < 0, "this sound was chosen to go over"
    decoded, rate = files.read(context.delivered().path)
    peak = measure(decoded, rate).true_peak_dbtp
    assert -1.5 < peak <= -0.3
    assert facts["true_peak_dbtp"] == pytest.approx(peak, abs=0.01)


@pytest.mark.parametrize("chosen", ["wav", "flac", "mp3", "ogg"])
def test_a_file_says_itself_what_made_it(stems_context, chosen):
    context = stems_context(seed=7, step="beds")
    prompt = "Zwölf Schläge auf Stahl. " * 30
    facts = {"prompt": prompt, "tempo_bpm": 126.0, "key": "A minor"}
    run(Player(lambda request: Take(beat(1.0), RATE, facts)), context, formats=[chosen])
    with soundfile.SoundFile(context.delivered().path) as file:
        made = json.loads(file.comment)["drophammer"]
        assert file.title == "test beds 1"
    assert made["prompt"] == prompt
    assert (made["seed"], made["step"], made["item"], made["take"]) == (7, "beds", 1, 0)
    assert (made["model"], made["tempo_bpm"], made["key"]) == ("procedural", 126.0, "A minor")
    assert "no licence attached" in made["licence"]


def test_the_longest_prompt_is_whole_in_a_wav_file(stems_context):
    # libsndfile writes it, and reads no more than 2 KiB of it back; other programs read it all.
    prompt = "steel " * 666
    context = stems_context()
    run(Player(lambda request: Take(beat(1.0), RATE, {"prompt": prompt})), context)
    raw = context.delivered().path.read_bytes()
    place = raw.index(b"ICMT")
    (size,) = struct.unpack("<I", raw[place + 4 : place + 8])
    assert json.loads(raw[place + 8 : place + 8 + size].rstrip(b"\0"))["drophammer"]["prompt"] == prompt


@pytest.mark.parametrize(
    ("first", "suffix", "gain"),
    [("wav", ".wav", 1.0), ("flac", ".flac", 6.0), ("mp3", ".wav", 6.0), ({"wav": {"bits": 16}}, ".wav", 1.0)],
)
def test_layers_sum_to_the_mix(stems_context, first, suffix, gain):
    context = stems_context()
    run(
        Player(lambda request: layered(gain)),
        context,
        duration=2,
        layers=True,
        formats=[first, {"wav": {"bits": 24}}][: 1 + (suffix != ".wav")],
    )
    parts = [files.read(context.delivered("part", label=name).path)[0] for name in LAYERS]
    assert all(context.delivered("part", label=name).path.suffix == suffix for name in LAYERS)
    assert all(part.dtype == np.float32 and part.shape == (2, 2 * RATE) for part in parts)
    mix, total = layered(gain).audio.astype(np.float64), np.sum(parts, axis=0, dtype=np.float64)
    turned_down = np.vdot(mix, total) / np.vdot(mix, mix)
    assert 20 * np.log10(turned_down) == pytest.approx(context.delivered().facts["gain_db"], abs=0.006)
    assert 20 * np.log10(np.abs(total - turned_down * mix).max()) < -90
    if first in ("wav", "flac"):
        delivered = files.read(context.delivered().path)[0]
        assert 20 * np.log10(np.abs(total - delivered).max()) < -90


def test_sidecars_and_the_grid_lie_beside_the_stem(stems_context):
    grid = {"version": 1, "tempo_bpm": 120.0, "key": "A minor", "beats_s": [0.0, 0.5, 1.0, 1.5], "downbeats_s": [0.0],
            "sections": [{"start_s": 0.0, "end_s": 1.5, "label": "drop"}]}  # fmt: skip
    take = Take(beat(2.0), RATE, {"tempo_bpm": 120.0}, grid, sidecars={"midi": (".mid", b"MThd")}, log=("prompt: x",))
    context = stems_context()
    run(Player(lambda request: take), context, duration=1)
    assert names(context) == ["1.grid.json", "1.log", "1.midi.mid", "1.png", "1.wav"]
    assert context.delivered("sidecar", label="midi").path.read_bytes() == b"MThd"
    written = json.loads(context.delivered("sidecar", label="grid").path.read_text())
    assert (written["beats_s"], written["sections"][0]["end_s"], written["duration_s"]) == ([0.0, 0.5], 1.0, 1.0)


def test_facts_hold_what_a_comparison_shows(stems_context):
    context = stems_context()
    run(Player(lambda request: beat(1.0), facts={"device": "paper"}), context)
    facts = context.delivered().facts
    assert facts["device"] == "paper" and facts["gate"]["passed"]
    assert 0 < len(facts["energy_db"]) <= 64
    loud = context.delivered().facts["energy_db"]
    assert all(-120 <= level <= 0 for level in loud)


def test_a_stem_is_described_with_its_verdict(stems_context):
    context = stems_context()
    run(Player(lambda request: beat(1.0) + np.float32(0.1)), context, retakes=1)
    primary = context.delivered()
    text = describe(ItemRecord(1, primary.path, primary.facts))
    assert "DID NOT PASS: dc" in text and "of 2" in text


def test_the_estimate_covers_every_format_and_layer(stems_context):
    changes = {"duration": 2, "layers": True, "formats": [{"wav": {"bits": 16}}, {"mp3": {"kbps": 192}}]}
    context = stems_context()
    run(Player(lambda request: layered()), context, **changes)
    written = sum(one.path.stat().st_size for one in context.emitted if one.kind != "sidecar")
    expected = estimate(StemsParams.model_validate({"style": "techno/bed", **changes}), {})
    assert expected.size_bytes == pytest.approx(written, rel=0.02)


def test_a_loop_in_a_wav_file_carries_its_points(stems_context):
    context = stems_context()
    run(Player(lambda request: beat(4.0)), context, duration=2, loop=True)
    raw = context.delivered().path.read_bytes()
    place = raw.index(b"smpl")
    first, last = struct.unpack("<II", raw[place + 8 + 36 + 8 : place + 8 + 36 + 16])
    assert (first, last) == (0, 2 * RATE - 1)
