"""A mix is exactly what was asked: samples, lengths, levels, formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from handlers.audio import files
from handlers.audio.loudness import measure
from handlers.contract import Cancelled, InputFile, Invalid, ItemRecord
from handlers.mix.mixdown import run
from tests.fixtures.sound import integers, noise, tone
from tests.handlers.mix.conftest import parse

RATE = 44_100
LOUDNESS_TOLERANCE_LU = 0.1
LEVEL_TOLERANCE_DB = 0.2

Factory = Callable[..., Any]


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_cut_is_the_samples_of_its_pieces_bit_for_bit(mix: Callable[..., Any], bits: int) -> None:
    pieces = [integers(frames, bits, seed=frames) for frames in (70_000, 1, 131_072)]
    context = mix(*pieces, subtype=f"PCM_{bits}", transition={"kind": "cut"}, formats=["wav"])
    primary = context.delivered()
    assert primary.facts["subtype"] == f"PCM_{bits}" and primary.facts["frames"] == 201_073
    assert np.array_equal(sf.read(primary.path, dtype="int32")[0].T, np.concatenate(pieces, axis=1))


def test_cut_to_flac_keeps_depth_and_samples(mix: Callable[..., Any]) -> None:
    pieces = [integers(50_000, 16, seed=1), integers(50_000, 16, seed=2)]
    context = mix(*pieces, subtype="PCM_16", transition={"kind": "cut"}, formats=["flac"])
    assert context.delivered().facts["subtype"] == "PCM_16"
    assert np.array_equal(sf.read(context.delivered().path, dtype="int32")[0].T, np.concatenate(pieces, axis=1))


def test_crossfade_takes_its_length_off_once_per_pair(mix: Callable[..., Any]) -> None:
    context = mix(noise(3), noise(2.5, seed=1), noise(4, seed=2), transition={"duration": "0.75s"})
    frames = round((3 + 2.5 + 4) * RATE) - 2 * round(0.75 * RATE)
    primary = context.delivered()
    assert primary.facts["frames"] == frames == files.probe(primary.path).frames
    starts = [track["start_s"] for track in primary.facts["tracks"]]
    assert starts == pytest.approx([0, 3 - 0.75, 3 + 2.5 - 1.5], abs=1 / RATE)
    assert primary.facts["tracks"][-1]["end_s"] == pytest.approx(frames / RATE, abs=1e-6)


def test_outside_its_crossfades_a_piece_is_its_samples(mix: Callable[..., Any]) -> None:
    first, second = noise(3, seed=1), noise(3, seed=2)
    context = mix(first, second, transition={"duration": 1}, formats=[{"wav": {"bits": 32}}])
    mixed, _ = files.read(context.delivered().path)
    assert np.array_equal(mixed[:, : 2 * RATE], first[:, : 2 * RATE])
    assert np.array_equal(mixed[:, 3 * RATE :], second[:, RATE:])


def test_equal_power_keeps_the_level_through_the_fade(mix: Callable[..., Any]) -> None:
    context = mix(noise(12, seed=1), noise(12, seed=2), transition={"duration": 8})
    mixed, _ = files.read(context.delivered().path)
    windows = mixed[:, : 16 * RATE].reshape(2, 32, -1)
    levels_db = 10 * np.log10(np.mean(windows**2, axis=(0, 2)))
    assert np.abs(levels_db + 20).max() < LEVEL_TOLERANCE_DB


def test_linear_keeps_the_same_material(mix: Callable[..., Any]) -> None:
    # 441 Hz: a second is a whole number of periods, so both pieces are in phase where they overlap.
    piece = tone(441, 3)
    mixed, _ = files.read(mix(piece, piece, transition={"duration": 1, "curve": "linear"}).delivered().path)
    assert np.abs(mixed - tone(441, 5)).max() < 1e-5


def test_loudness_is_reached_on_the_delivered_file(mix: Callable[..., Any]) -> None:
    context = mix(noise(6, level_db=-40), noise(6, level_db=-34, seed=1), loudness=-23, transition={"duration": 2})
    audio, rate = files.read(context.delivered().path)
    assert measure(audio, rate).integrated_lufs == pytest.approx(-23, abs=LOUDNESS_TOLERANCE_LU)
    assert context.delivered().facts["integrated_lufs"] == pytest.approx(-23, abs=LOUDNESS_TOLERANCE_LU)
    assert not context.warnings


def test_peaks_that_stand_in_the_way_are_limited_and_the_loudness_is_reached(mix: Callable[..., Any]) -> None:
    click = noise(5, level_db=-40)
    click[:, RATE] = 0.5
    context = mix(click, loudness=-14, ceiling=-2)
    audio, rate = files.read(context.delivered().path)
    found = measure(audio, rate)
    assert found.true_peak_dbtp <= -2
    assert found.integrated_lufs == pytest.approx(-14, abs=0.1)
    assert context.delivered().facts["limiter_db"] < -10
    assert context.warnings == []


def test_a_loudness_beyond_reach_is_approached_and_said(mix: Callable[..., Any]) -> None:
    clicks = np.zeros((2, 5 * RATE), np.float32)
    clicks[:, :: RATE // 2] = 0.5
    context = mix(clicks, loudness=-8, ceiling=-2)
    audio, rate = files.read(context.delivered().path)
    found = measure(audio, rate)
    assert found.true_peak_dbtp <= -2
    (warning,) = context.warnings
    assert f"loudness: {found.integrated_lufs:.1f} LUFS instead of -8" in warning


def test_pieces_that_add_up_over_full_scale_are_lowered_not_clipped(mix: Callable[..., Any]) -> None:
    loud = tone(441, 3, level_db=-0.2)
    context = mix(loud, loud, transition={"duration": 1, "curve": "equal_power"})
    audio, _ = files.read(context.delivered().path)
    assert np.abs(audio).max() == pytest.approx(10 ** (-1 / 20), rel=1e-3)
    assert "would clip" in context.warnings[0]


def test_every_format_is_readable_and_of_exact_length(mix: Callable[..., Any]) -> None:
    formats = [{"flac": {"bits": 16}}, {"mp3": {"kbps": 192}}, {"ogg": {"quality": 6}}, "wav"]
    context = mix(tone(300, 3), tone(400, 3), formats=formats, title="Night shift")
    renditions = [one for one in context.emitted if one.kind == "rendition"]
    assert [one.path.suffix for one in renditions] == [".mp3", ".ogg", ".wav"]
    whole, _ = files.read(context.delivered().path)
    for one in renditions:
        audio, rate = files.read(one.path)
        assert (audio.shape, rate) == (whole.shape, RATE)
        # The same sound at the same place: nothing was shifted by an encoder's delay.
        assert np.sqrt(np.mean((audio - whole) ** 2)) < 0.02
        with sf.SoundFile(one.path) as file:
            assert file.title == "Night shift"


def test_rates_and_channels_are_converted_once_and_named(mix: Callable[..., Any]) -> None:
    pieces = tone(440, 2, 48_000), tone(440, 2, 11_025, channels=1)
    context = mix(*pieces, rates=(48_000, 11_025), transition={"duration": 0.5})
    primary = context.delivered()
    assert (primary.facts["sample_rate"], primary.facts["channels"]) == (48_000, 2)
    assert primary.facts["frames"] == round(3.5 * 48_000)
    mixed, _ = files.read(primary.path)
    second = mixed[:, 2 * 48_000 + 100 : -2_000]
    # 1.5 s into the mix the second piece starts, at the phase of its own start.
    assert np.abs(second - tone(440, 4, 48_000)[:, 24_100 : 24_100 + second.shape[1]]).max() < 1e-4
    assert [facts["source"] for _, _, facts in context.logged] == ["b"]
    assert "soxr VHQ" in context.logged[0][1]


def test_asked_rate_is_delivered(mix: Callable[..., Any]) -> None:
    context = mix(tone(440, 1), sample_rate=48_000)
    assert files.probe(context.delivered().path).sample_rate == 48_000
    assert context.delivered().facts["frames"] == 48_000


def test_crossfade_longer_than_a_piece_is_shortened_and_said(mix: Callable[..., Any]) -> None:
    context = mix(noise(5), noise(1, seed=1), noise(5, seed=2), transition={"duration": 3})
    assert context.delivered().facts["duration_s"] == pytest.approx(11 - 2 * 0.5)
    assert context.warnings == [
        "crossfade from a to b: 0.50 s instead of 3 s, half of the shorter piece",
        "crossfade from b to c: 0.50 s instead of 3 s, half of the shorter piece",
    ]


def test_one_track_alone_is_itself(mix: Callable[..., Any]) -> None:
    piece = integers(30_000, 24)
    primary = mix(piece, subtype="PCM_24").delivered()
    assert np.array_equal(sf.read(primary.path, dtype="int32")[0].T, piece)


def test_silence_is_mixed_and_its_loudness_left_alone(mix: Callable[..., Any]) -> None:
    silence = np.zeros((2, 3 * RATE), np.float32)
    context = mix(silence, silence, loudness=-14, transition={"duration": 1})
    assert not files.read(context.delivered().path)[0].any()
    assert context.delivered().facts["integrated_lufs"] is None
    assert "silent" in context.warnings[0]


def test_sidecars_come_before_the_primary_and_progress_never_falls_back(mix: Callable[..., Any]) -> None:
    context = mix(noise(4), noise(4, seed=1), loudness=-23, formats=["wav", "ogg"])
    kinds = [one.kind for one in context.emitted]
    assert kinds == ["sidecar"] * (len(kinds) - 2) + ["rendition", "primary"]
    labels = {one.label for one in context.emitted if one.kind == "sidecar"}
    assert labels == {"tracklist", "cue", "labels", "chapters", "edl", "order", "picture"}
    phases = list(dict.fromkeys(phase for phase, *_ in context.progressed))
    assert phases == ["loading", "warming up", "working", "encoding", "checking"]
    for phase in ("warming up", "working", "encoding", "checking"):
        told = [(done, total) for name, done, total, _ in context.progressed if name == phase]
        assert told == sorted(told) and told[-1][0] == pytest.approx(told[-1][1])
    assert context.cancel_checks > len(context.progressed) / 2
    listing = (context.workdir / "tracklist.txt").read_text(encoding="utf-8")
    assert listing == "test\n\n0:00  a\n0:02  b\n"
    with Image.open(context.delivered("sidecar", label="picture").path) as image:
        assert image.format == "PNG"


def _with_grid(tmp_path: Path, name: str, tempo_bpm: float, *, own_names: bool = True, seconds: int = 6) -> InputFile:
    sf.write(tmp_path / f"{name}.wav", noise(seconds).T, RATE)
    beats = np.arange(0, seconds, 60 / tempo_bpm).tolist()
    if own_names:
        grid = {"tempo_bpm": tempo_bpm, "beats_s": beats, "downbeats_s": beats[::4],
                "sections": [{"start_s": 0, "end_s": seconds, "label": "drop"}]}  # fmt: skip
    else:
        grid = {"tempo": tempo_bpm, "beats": beats, "onsets": beats}
    (tmp_path / f"{name}.json").write_text(json.dumps(grid), encoding="utf-8")
    facts = {"tempo_bpm": tempo_bpm, "key": "A minor"}
    return InputFile(tmp_path / f"{name}.wav", name, "0" * 64, facts, {"grid": tmp_path / f"{name}.json"})


def test_grids_move_with_their_pieces(tmp_path: Path, context_factory: Factory) -> None:
    context = context_factory({"set": [_with_grid(tmp_path, "a", 120.0), _with_grid(tmp_path, "b", 120.0)]})
    run(parse(["set"], transition={"duration": 2}), context)
    grid = json.loads(context.delivered("sidecar", label="grid").path.read_text(encoding="utf-8"))
    # Piece b starts at 4 s and counts from the fade's middle at 5 s; beats lie every half second in both.
    assert grid["beats_s"] == pytest.approx(np.arange(0, 10, 0.5).tolist())
    assert grid["downbeats_s"] == pytest.approx([0, 2, 4, 6, 8])
    assert grid["sections"] == [
        {"start_s": 0, "end_s": 5, "label": "drop"},
        {"start_s": 5, "end_s": 10, "label": "drop"},
    ]
    assert (grid["tempo_bpm"], context.delivered().facts["tempo_bpm"]) == (120.0, 120.0)
    assert context.delivered().facts["key"] == "A minor"


def test_an_analysed_piece_beside_a_rendered_one_gives_what_both_know(tmp_path: Path, context_factory: Factory) -> None:
    pieces = [_with_grid(tmp_path, "a", 120.0), _with_grid(tmp_path, "b", 120.0, own_names=False)]
    context = context_factory({"set": pieces})
    run(parse(["set"], transition={"kind": "cut"}), context)
    grid = json.loads(context.delivered("sidecar", label="grid").path.read_text(encoding="utf-8"))
    assert grid["beats_s"] == pytest.approx(np.arange(0, 12, 0.5).tolist())
    assert "downbeats_s" not in grid and "onsets_s" not in grid


def test_a_piece_without_grid_leaves_the_mix_without(tmp_path: Path, context_factory: Factory) -> None:
    sf.write(tmp_path / "b.wav", noise(6).T, RATE)
    context = context_factory({"a": _with_grid(tmp_path, "a", 120.0), "b": tmp_path / "b.wav"})
    run(parse(["a", "b"]), context)
    assert "grid" not in [one.label for one in context.emitted]


def test_a_damaged_grid_is_refused_by_name(tmp_path: Path, context_factory: Factory) -> None:
    piece = _with_grid(tmp_path, "a", 120.0)
    piece.sidecars["grid"].write_text("{", encoding="utf-8")
    with pytest.raises(Invalid, match=r"a: its grid .*a\.json cannot be read"):
        run(parse(["a"]), context_factory({"a": piece}))


def test_pieces_of_two_tempi_have_none_in_common(tmp_path: Path, context_factory: Factory) -> None:
    context = context_factory({"set": [_with_grid(tmp_path, "a", 120.0), _with_grid(tmp_path, "b", 128.0)]})
    run(parse(["set"], transition={"kind": "cut"}), context)
    assert "tempo_bpm" not in context.delivered().facts


def test_a_finished_mix_is_not_made_again(tmp_path: Path, context_factory: Factory) -> None:
    context = context_factory(completed={1: ItemRecord(1, tmp_path / "x")})
    run(parse(["a"]), context)
    assert context.emitted == []


def test_a_vanished_file_fails_by_name_and_leaves_nothing_delivered(tmp_path: Path, context_factory: Factory) -> None:
    for name in ("a", "b"):
        sf.write(tmp_path / f"{name}.wav", noise(4).T, RATE)
    context = context_factory({name: tmp_path / f"{name}.wav" for name in ("a", "b")})
    context.log = context.progress = lambda *_, **__: (tmp_path / "b.wav").unlink(missing_ok=True)
    with pytest.raises(Invalid, match=r"b\.wav: there is no such file"):
        run(parse(["a", "b"]), context)
    assert context.emitted == []


def test_a_file_that_changes_between_planning_and_reading_is_noticed(tmp_path: Path, context_factory: Factory) -> None:
    for name in ("a", "b"):
        sf.write(tmp_path / f"{name}.wav", noise(4).T, RATE)
    context = context_factory({name: tmp_path / f"{name}.wav" for name in ("a", "b")})
    recorded = context.progress

    def overwrite(phase: str, *amounts: Any) -> None:
        recorded(phase, *amounts)
        if phase == "encoding":
            sf.write(tmp_path / "b.wav", noise(3).T, RATE)

    context.progress = overwrite
    with pytest.raises(Invalid, match="b: .* changed while it was being mixed"):
        run(parse(["a", "b"]), context)


def test_a_step_without_items_is_refused(context_factory: Factory) -> None:
    with pytest.raises(Invalid, match=r"order\.1: 'beds' holds no audio"):
        run(parse(["beds"]), context_factory({"beds": []}))


def test_surround_beside_stereo_is_refused_by_name(mix: Callable[..., Any]) -> None:
    with pytest.raises(Invalid, match="b has 6 channels"):
        mix(noise(1), noise(1, channels=6))


def test_rate_that_a_format_cannot_hold_is_refused_before_work(mix: Callable[..., Any]) -> None:
    with pytest.raises(Invalid, match="mp3 cannot hold 96000 Hz"):
        mix(noise(1, 96_000), rates=(96_000,), formats=["mp3"])


def test_a_wav_over_four_gibibytes_is_refused_before_work(tmp_path: Path, context_factory: Factory) -> None:
    sf.write(tmp_path / "a.wav", np.zeros((60 * RATE, 2)), RATE)
    # 280 minutes of 24-bit stereo are 4.4 GB.
    context = context_factory({"a": tmp_path / "a.wav"})
    with pytest.raises(Invalid, match="4 GiB that a WAV file holds; ask for flac"):
        run(parse(["a"] * 280, transition={"kind": "cut"}), context)
    assert {phase for phase, *_ in context.progressed} == {"loading"}


def test_cancelling_stops_within_a_block(tmp_path: Path, context_factory: Factory) -> None:
    sf.write(tmp_path / "a.wav", noise(20).T, RATE)
    context = context_factory({"a": tmp_path / "a.wav"}, cancel_at=4)
    with pytest.raises(Cancelled):
        run(parse(["a"]), context)
    assert context.emitted == [] and context.cancel_checks == 4
