"""Everything beside a mix agrees with it: times, places, licences; loops have no seam."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import numpy as np
import opentimelineio as otio
import pytest
import rpp
import soundfile as sf
from PIL import Image
from pyrekordbox.rbxml import RekordboxXml
from wavinfo import WavInfoReader

from handlers.audio import files
from handlers.contract import InputFile, ItemRecord
from handlers.mix.mixdown import run
from handlers.mix.outlook import describe
from handlers.mix.params import MixParams
from tests.fixtures.sound import noise, tone

RATE = 8_000
FRAME_S = 1 / 25


def beaten(folder: Path, name: str, tempo_bpm: float, bars: int = 8, **facts: Any) -> InputFile:
    """Hits on every beat, and the grid that says so."""
    beats_s = np.arange(bars * 4) * 60 / tempo_bpm
    audio = noise(bars * 240 / tempo_bpm, RATE, level_db=-60, seed=len(name))
    for time_s in beats_s:
        place = round(time_s * RATE)
        audio[:, place : place + 200] += 0.5 * np.exp(-np.arange(200) / 40).astype(np.float32)[: audio.shape[1] - place]
    path = folder / f"{name}.wav"
    sf.write(path, audio.T, RATE, subtype="FLOAT")
    grid = {"tempo_bpm": tempo_bpm, "beats_s": beats_s.tolist(), "downbeats_s": beats_s[::4].tolist(),
            "sections": [{"start_s": 0.0, "end_s": bars * 240 / tempo_bpm, "label": "drop"}]}  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(grid), encoding="utf-8")
    return InputFile(path, name, "0" * 64, {"tempo_bpm": tempo_bpm, **facts}, {"grid": folder / f"{name}.json"})


@pytest.fixture
def mixed(tmp_path: Path, context_factory: Callable[..., Any]) -> Callable[..., Any]:
    def make(*pieces: InputFile, **keys: Any) -> Any:
        context = context_factory({piece.label: piece for piece in pieces}, step="mix")
        run(MixParams.model_validate({"order": [piece.label for piece in pieces], **keys}), context)
        return context

    return make


def file_of(context: Any, label: str) -> Path:
    return next(one.path for one in context.emitted if one.label == label)


def test_all_that_is_beside_a_mix_tells_its_times(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    pieces = [beaten(tmp_path, "one", 120.0), beaten(tmp_path, "two", 126.0), beaten(tmp_path, "three", 122.0)]
    context = mixed(
        *pieces, transition={"kind": "beatmatch", "bars": 2}, extras=["aligned", "reaper", "teaser"], tags={"artist": "Me"}
    )  # fmt: skip
    facts = context.delivered().facts
    starts = [track["start_s"] for track in facts["tracks"]]
    document = json.loads((context.workdir / "tracklist.json").read_text(encoding="utf-8"))
    assert [track["start_s"] for track in document["tracks"]] == starts
    assert (context.workdir / "tracklist.md").read_text(encoding="utf-8").count("\n| ") == 4

    cues = WavInfoReader(str(context.delivered().path)).cues
    assert [cue.sample_offset / RATE for cue in cues.cues] == pytest.approx(starts, abs=1 / RATE)
    assert [label.text for label in cues.labels] == ["one", "two", "three"]

    (track,) = RekordboxXml(file_of(context, "rekordbox")).get_tracks()
    assert track.Location.endswith("test_mix_1.wav")
    assert [mark.Start for mark in track.marks] == pytest.approx(starts, abs=0.001)
    grid = json.loads(file_of(context, "grid").read_text(encoding="utf-8"))
    assert min(abs(track.tempos[0].Inizio - beat) for beat in grid["beats_s"]) < 0.001

    edl = otio.adapters.read_from_file(str(file_of(context, "edl")), rate=25)
    cuts = np.array([clip.source_range.start_time.to_seconds() for clip in edl.audio_tracks()[0]])
    for start_s in [*starts, *(section["start_s"] for section in grid["sections"]), *grid["downbeats_s"][::4]]:
        assert np.abs(cuts - start_s).min() <= FRAME_S / 2 + 1e-6

    project = rpp.loads(file_of(context, "reaper").read_text(encoding="utf-8"))
    items = [one.find("ITEM") for one in project.findall("TRACK")]
    assert [float(item.find("POSITION")[1]) for item in items] == pytest.approx(starts, abs=1e-6)
    assert [item.find("SOURCE").find("FILE")[1] for item in items] == [str(piece.path) for piece in pieces]

    with Image.open(file_of(context, "picture")) as image:
        assert image.height > 420  # with a strip of loudness below
    assert sf.SoundFile(context.delivered().path).artist == "Me"


def test_aligned_pieces_are_as_long_as_the_mix_and_lie_on_its_beats(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    pieces = [beaten(tmp_path, "one", 120.0), beaten(tmp_path, "two", 126.0)]
    context = mixed(*pieces, transition={"kind": "beatmatch", "bars": 2}, extras=["aligned"])
    aligned = [one for one in context.emitted if one.label.startswith("aligned-")]
    assert [one.path.name.split("_")[:2] for one in aligned] == [["001", "one"], ["002", "two"]]
    assert all(one.facts["published"].startswith("mix_aligned/") and "bpm" in one.path.name for one in aligned)
    frames = context.delivered().facts["frames"]
    first, second = (files.read(one.path)[0] for one in aligned)
    assert first.shape == second.shape == (2, frames)
    start = round(context.delivered().facts["tracks"][1]["start_s"] * RATE)
    end = round(context.delivered().facts["tracks"][0]["end_s"] * RATE)
    assert not second[:, :start].any() and not first[:, end:].any()
    beats = np.array(json.loads(file_of(context, "grid").read_text(encoding="utf-8"))["beats_s"])
    for audio, span in ((first, beats[beats < end / RATE - 0.3]), (second, beats[beats > start / RATE + 0.3])):
        for beat in span:
            place = round(beat * RATE)
            near = np.abs(audio[0, place - 160 : place + 160]) if place > 160 else None
            assert near is None or abs(int(np.argmax(near)) - 160) <= 0.01 * RATE

    mapped = mido.MidiFile(file_of(context, "tempo-map"))
    ticks, now_s, tempo, times = 0, 0.0, 500_000, []
    changes = {0: 500_000}
    for message in mapped.tracks[0]:
        ticks += message.time
        if message.type == "set_tempo":
            changes[ticks] = message.tempo
    for tick in range(0, round(ticks + 1)):
        if tick in changes:
            tempo = changes[tick]
        if tick % mapped.ticks_per_beat == 0:
            times.append(now_s)
        now_s += tempo / 1e6 / mapped.ticks_per_beat
    for time_s in times[1:]:
        assert np.abs(beats - time_s).min() < 0.002


def test_a_teaser_is_half_a_minute_around_the_best_transition(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    pieces = [beaten(tmp_path, name, 120.0, bars=12) for name in ("one", "two", "three")]
    context = mixed(
        *pieces, transition={"kind": "cut"}, transitions=[{"after": 2, "kind": "beatmatch", "bars": 2}], extras=["teaser"]
    )  # fmt: skip
    teaser = next(one for one in context.emitted if one.label == "teaser")
    assert (teaser.facts["after"], teaser.facts["transition"]) == (2, "beatmatch")
    audio, _ = files.read(teaser.path)
    mix, _ = files.read(context.delivered().path)
    first = round(teaser.facts["start_s"] * RATE)
    assert audio.shape[1] == 30 * RATE
    whole = slice(RATE, 29 * RATE)
    assert np.array_equal(audio[:, whole], mix[:, first : first + 30 * RATE][:, whole])
    assert not audio[:, 0].any() and not audio[:, -1].any()


@pytest.mark.parametrize("kind", ["crossfade", "cut", "beatmatch"])
def test_a_loop_leads_from_its_end_into_its_beginning(tmp_path: Path, mixed: Callable[..., Any], kind: str) -> None:
    keys = {"crossfade": {"duration": 1}, "cut": {}, "beatmatch": {"bars": 2}}[kind]
    # Of 400 Hz, and whole periods long: what follows is what came before, wherever it is cut at a whole period.
    for name in ("one", "two"):
        beaten(tmp_path, name, 120.0)
        sf.write(tmp_path / f"{name}.wav", tone(400, 16.0, RATE).T, RATE, subtype="FLOAT")
    pieces = [
        InputFile(tmp_path / f"{name}.wav", name, "0" * 64, {}, {"grid": tmp_path / f"{name}.json"})
        for name in ("one", "two")
    ]
    context = mixed(
        *pieces, transition={"kind": kind, **keys}, loop=True, match="none", formats=[{"wav": {"bits": 32}}]
    )
    audio, _ = files.read(context.delivered().path)
    assert np.abs(np.diff(np.concatenate([audio, audio], axis=1), axis=1)).max() < 1.05 * np.abs(np.diff(audio)).max()
    overlap = {"crossfade": 1.0, "cut": 0.0, "beatmatch": 4.0}[kind]
    assert context.delivered().facts["duration_s"] == pytest.approx(32.0 - 2 * overlap)
    assert len(context.delivered().facts["tracks"]) == 2
    points = json.loads(file_of(context, "loop").read_text(encoding="utf-8"))
    assert (points["loop_start"], points["loop_end"]) == (0, audio.shape[1])
    (loop,) = WavInfoReader(str(context.delivered().path)).smpl.sample_loops
    assert (loop.start, loop.end) == (0, audio.shape[1] - 1)


def test_a_game_loop_of_one_piece_has_no_seam(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(12.0, RATE, seed=3).T, RATE)
    context = mixed(InputFile(path, "a", "0" * 64), preset="game-loop", transition={"duration": 3})
    audio, _ = files.read(context.delivered().path)
    assert audio.shape[1] == 9 * RATE
    assert context.delivered().facts["integrated_lufs"] == pytest.approx(-18, abs=0.1)
    steps = np.abs(np.diff(audio, axis=1))
    assert np.abs(audio[:, 0] - audio[:, -1]).max() <= np.quantile(steps, 0.999)
    levels = 10 * np.log10(np.mean(audio.reshape(2, 9, -1) ** 2, axis=(0, 2)))
    assert np.ptp(levels) < 0.6


def test_a_licence_that_forbids_commercial_use_is_named(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    free, bound = tmp_path / "free.wav", tmp_path / "tagged.flac"
    sf.write(free, noise(2.0, RATE).T, RATE)
    with sf.SoundFile(bound, "w", RATE, 2) as file:
        file.license = "Attribution-NonCommercial"
        file.write(noise(2.0, RATE).T)
    pieces = [
        InputFile(free, "beds/1", "0" * 64, {"licence": "CC-BY-NC-4.0"}),
        InputFile(free, "beds/2", "0" * 64, {"licence": "MIT"}),
        InputFile(bound, "./tagged.flac", "0" * 64),
        InputFile(free, "beds/3", "0" * 64, {"licence": "SYNC-1"}),
        InputFile(tmp_path / "stem.wav", "./stem.wav", "0" * 64),
    ]
    with sf.SoundFile(tmp_path / "stem.wav", "w", RATE, 2) as file:
        file.comment = json.dumps({"drophammer": {"licence": "CC-BY-NC-4.0"}})
        file.write(noise(2.0, RATE).T)
    context = mixed(*pieces, transition={"kind": "cut"})
    assert context.warnings == [
        "licence: beds/1, stem stand under CC-BY-NC-4.0, which forbids commercial use; so does this mix",
        "licence: tagged stands under Attribution-NonCommercial, which forbids commercial use; so does this mix",
    ]
    facts = context.delivered().facts
    assert facts["licence"] == "CC-BY-NC-4.0, MIT, Attribution-NonCommercial, SYNC-1"
    said = describe(ItemRecord(1, context.delivered().path, facts))
    assert "not for commercial use (CC-BY-NC-4.0): beds/1, stem" in said and "MIT" not in said


def test_opus_is_delivered_of_a_mix_of_another_rate(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    sf.write(tmp_path / "a.wav", tone(440, 3.0, 44_100).T, 44_100)
    context = mixed(
        InputFile(tmp_path / "a.wav", "a", "0" * 64), formats=["flac", {"opus": {"kbps": 96}}], loudness=-20
    )
    opus = context.delivered("rendition")
    audio, rate = files.read(opus.path)
    assert (rate, audio.shape[1]) == (48_000, 3 * 48_000)
    assert opus.facts["integrated_lufs"] == pytest.approx(-20, abs=0.15)
    assert files.probe(context.delivered().path).sample_rate == 44_100


def test_rekordbox_is_told_where_the_mix_will_lie(tmp_path: Path, context_factory: Callable[..., Any]) -> None:
    context = context_factory({"a": beaten(tmp_path, "a", 120.0)}, step="mix")
    run(MixParams.model_validate({"order": ["a"], "formats": ["flac"]}), context)
    (track,) = RekordboxXml(file_of(context, "rekordbox")).get_tracks()
    assert Path("/" + track.Location.lstrip("/")) == context.published_path(1, ".flac")
    assert Path("/" + track.Location.lstrip("/")).name == "test_mix_1.flac"


def test_files_of_one_name_are_told_apart(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    pieces = []
    for folder in ("beds", "peaks"):
        path = tmp_path / folder / "take_1.wav"
        path.parent.mkdir()
        sf.write(path, tone(440, 3.0, 44_100).T, 44_100)
        pieces.append(InputFile(path, str(path), "0" * 64))
    context = mixed(*pieces, pieces[0], transition={"kind": "cut"})
    labels = [track["label"] for track in context.delivered().facts["tracks"]]
    assert labels == ["beds/take_1", "peaks/take_1", "beds/take_1"]


def test_pieces_of_one_seed_are_found_beside_the_order(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, tone(440, 3.0, 44_100).T, 44_100)
    context = mixed(InputFile(path, "beds/1", "0" * 64, published="published/test_beds_1.wav"), extras=["reaper"])
    assert "file 'test_beds_1.wav'" in file_of(context, "order").read_text()
    assert '"published/' not in file_of(context, "reaper").read_text()
