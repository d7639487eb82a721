"""Every kind of transition does what it says: levels, seams, and who is heard when."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from handlers.audio import files
from handlers.contract import InputFile
from handlers.mix.mixdown import run
from tests.fixtures.sound import noise, tone
from tests.handlers.mix.conftest import parse

RATE = 44_100
LEVEL_TOLERANCE_DB = 0.2
FLOAT = [{"wav": {"bits": 32}}]


def mixed(context: Any) -> np.ndarray:
    return files.read(context.delivered().path)[0]


def level_db(audio: np.ndarray) -> np.ndarray:
    """In windows of half a second, in dBFS."""
    windows = audio[:, : audio.shape[1] // (RATE // 2) * (RATE // 2)].reshape(len(audio), -1, RATE // 2)
    return 10 * np.log10(np.mean(windows**2, axis=(0, 2)))


def flux(audio: np.ndarray) -> np.ndarray:
    """Rise of the log spectrum from frame to frame: what a click is seen by."""
    frames = np.lib.stride_tricks.sliding_window_view(audio.mean(axis=0), 1024)[::256]
    power = np.abs(np.fft.rfft(frames * np.hanning(1024), axis=1)) ** 2
    return np.maximum(np.diff(np.log(power + 1e-9), axis=0), 0).mean(axis=1)


@pytest.mark.parametrize(
    "transition",
    [
        {"duration": 6},
        {"duration": 6, "curve": "equal_power"},
        {"fade_out": 6, "fade_in": 2},
        {"kind": "filter", "duration": 6},
    ],
)
def test_unlike_pieces_keep_their_level_and_nothing_clicks(mix: Callable[..., Any], transition: dict[str, Any]) -> None:
    context = mix(noise(12, seed=1), noise(12, seed=2), transition=transition, formats=FLOAT)
    audio = mixed(context)
    assert audio.shape[1] == 18 * RATE and context.warnings == []
    assert np.abs(level_db(audio) + 20).max() < LEVEL_TOLERANCE_DB
    change = flux(audio)
    own = np.concatenate([change[: 5 * RATE // 256], change[13 * RATE // 256 :]])
    for seam_s in (6, 12):
        at = seam_s * RATE // 256
        assert change[at - 4 : at + 5].max() <= own.max()


def test_a_click_would_be_seen() -> None:
    audio = noise(4, seed=1)
    quiet = flux(audio)
    audio[:, 2 * RATE] += 1.0
    assert flux(audio)[2 * RATE // 256 - 4 : 2 * RATE // 256 + 5].max() > quiet.max()


def test_the_same_material_keeps_its_level_without_being_asked(mix: Callable[..., Any]) -> None:
    shared = noise(4, seed=3)
    first = np.concatenate([noise(4, seed=1), shared], axis=1)
    second = np.concatenate([shared, noise(4, seed=2)], axis=1)
    audio = mixed(mix(first, second, transition={"duration": 4}, formats=FLOAT))
    assert np.abs(audio[:, 4 * RATE : 8 * RATE] - shared).max() < 1e-4
    audio = mixed(mix(first, second, transition={"duration": 4, "curve": "equal_power"}, formats=FLOAT))
    assert level_db(audio)[12 - 1 : 12 + 1].max() > -20 + 2.5


def test_fades_of_two_lengths_overlap_as_the_longer_one(mix: Callable[..., Any]) -> None:
    low, high = tone(440, 10), tone(3_000, 10)
    transition = {"fade_out": 4, "fade_in": 1, "curve": "equal_power"}
    audio = mixed(mix(low, high, transition=transition, formats=FLOAT))
    assert audio.shape[1] == 16 * RATE
    # A second after the overlap's start the second piece is all there, the first still near its level.
    part = audio[0, 7 * RATE + 500 : 8 * RATE + 500] * np.hanning(RATE)
    spectrum = np.abs(np.fft.rfft(part))
    assert spectrum[3_000] / spectrum[440] == pytest.approx(1 / np.cos(np.pi / 2 * 1.51 / 4), rel=0.05)


def test_a_fade_that_has_no_room_shrinks_with_its_overlap(mix: Callable[..., Any]) -> None:
    context = mix(noise(4), noise(4, seed=1), transition={"fade_out": 8, "fade_in": 2})
    assert context.delivered().facts["duration_s"] == pytest.approx(6.0)
    assert context.warnings == ["crossfade from a to b: 2.00 s instead of 8 s, half of the shorter piece"]


def test_a_filter_hands_over_the_bass_first_and_the_treble_last(mix: Callable[..., Any]) -> None:
    def two_tones(offset: float) -> np.ndarray:
        return tone(60 + offset, 16) + tone(6_000 + offset, 16)

    audio = mixed(mix(two_tones(0), two_tones(10), transition={"kind": "filter", "duration": 8}, formats=FLOAT))
    heard = []
    for at_s in (8.5, 12, 15):
        spectrum = np.abs(np.fft.rfft(audio[0, round(at_s * RATE) :][:RATE] * np.hanning(RATE)))
        heard.append([spectrum[first] > spectrum[second] for first, second in ((60, 70), (6_000, 6_010))])
    assert heard == [[True, True], [False, True], [False, False]]
    # One bass at a time: never both at more than half their level.
    low = [
        np.abs(np.fft.rfft(audio[0, at : at + RATE] * np.hanning(RATE)))[[60, 70]] for at in range(0, 23 * RATE, RATE)
    ]
    assert max(min(pair) for pair in low) < 0.75 * max(max(pair) for pair in low)


def test_outside_a_filter_both_pieces_are_their_own_samples(mix: Callable[..., Any]) -> None:
    first, second = noise(6, seed=1), noise(6, seed=2)
    audio = mixed(mix(first, second, transition={"kind": "filter", "duration": 2}, formats=FLOAT))
    assert np.array_equal(audio[:, : 4 * RATE], first[:, : 4 * RATE])
    assert np.array_equal(audio[:, 6 * RATE :], second[:, 2 * RATE :])


def with_grid(
    folder: Path, name: str, audio: np.ndarray, tempo_bpm: float, *, lead_s: float = 0.0, **more: Any
) -> InputFile:
    """A piece in 4/4 that brings its grid."""
    sf.write(folder / f"{name}.wav", audio.T, RATE, subtype="FLOAT")
    beats_s = np.arange(lead_s, audio.shape[1] / RATE, 60 / tempo_bpm).tolist()
    grid = {"tempo_bpm": tempo_bpm, "beats_s": beats_s, "downbeats_s": beats_s[::4], **more}
    (folder / f"{name}.json").write_text(json.dumps(grid), encoding="utf-8")
    return InputFile(folder / f"{name}.wav", name, "0" * 64, sidecars={"grid": folder / f"{name}.json"})


def test_an_echo_repeats_the_last_beat_on_the_beat_and_dies_away(tmp_path: Path, context_factory: Any) -> None:
    click = np.zeros((2, 16 * RATE), np.float32)
    click[:, : 16 * RATE : RATE // 2] = 0.5  # On every beat of 120 BPM.
    pieces = [
        with_grid(tmp_path, "a", np.concatenate([click, click[:, :RATE]], axis=1), 120),
        with_grid(tmp_path, "b", np.zeros((2, 20 * RATE), np.float32), 120),
    ]
    context = context_factory({"set": pieces})
    run(parse(["set"], transition={"kind": "echo_out", "bars": 2}, formats=FLOAT), context)
    audio, joint = mixed(context), context.delivered().facts["transitions"][0]
    # The piece has a second more than eight whole bars: it stops on the downbeat 4 s before their end.
    assert (joint["kind"], joint["start_s"], joint["end_s"]) == ("echo_out", 12.0, 16.0)
    peaks = [
        np.abs(audio[0, round(at_s * RATE) - 300 : round(at_s * RATE) + 300]).max() for at_s in np.arange(12, 16, 0.5)
    ]
    falls_db = 20 * np.log10(np.array(peaks[1:]) / peaks[:-1])
    # Forty dB over eight echoes.
    assert falls_db[1:] == pytest.approx(-5.0, abs=0.3)
    assert np.abs(audio[:, 16 * RATE :]).max() == 0.0


def test_echoes_have_no_bass_and_the_next_piece_enters_at_once(tmp_path: Path, context_factory: Any) -> None:
    first, second = tone(60, 16) + tone(2_000, 16), tone(500, 16)
    pieces = [with_grid(tmp_path, "a", first, 120), with_grid(tmp_path, "b", second, 128, lead_s=0.25)]
    context = context_factory({"set": pieces})
    run(parse(["set"], transition={"kind": "echo_out", "bars": 2}, formats=FLOAT), context)
    audio = mixed(context)
    start = round(context.delivered().facts["transitions"][0]["start_s"] * RATE)
    spectrum = np.abs(np.fft.rfft(audio[0, start + 2_205 : start + 2_205 + RATE] * np.hanning(RATE)))
    assert 20 * np.log10(spectrum[60] / spectrum[2_000]) < -40
    # From its first downbeat on, and from the overlap's end its own samples.
    end = round(context.delivered().facts["transitions"][0]["end_s"] * RATE)
    own = second[:, round(0.25 * RATE) + end - start :]
    assert np.array_equal(audio[:, end:], own)


def test_an_echo_without_beats_keeps_a_time_of_its_own_and_says_so(mix: Callable[..., Any]) -> None:
    context = mix(noise(3), noise(3, seed=1), transition={"kind": "echo_out", "duration": 1})
    assert context.delivered().facts["duration_s"] == pytest.approx(5.0)
    assert "an echo every 0.5 s, because the beats of the piece before are not known" in context.warnings[0]


def test_a_grid_that_is_not_sure_is_not_trusted(tmp_path: Path, context_factory: Any) -> None:
    pieces = [
        with_grid(tmp_path, "a", noise(20), 120),
        with_grid(tmp_path, "b", noise(20, seed=1), 120, tempo_confidence=0.3),
    ]
    context = context_factory({"set": pieces})
    run(parse(["set"], transition={"kind": "beatmatch", "bars": 2}), context)
    because = "a crossfade instead, because the beats of the piece after are not known"
    assert context.warnings == [f"beatmatch from a to b: {because}"]
    (listed,) = context.delivered().facts["transitions"]
    assert (listed["kind"], listed["asked"], listed["because"]) == ("crossfade", "beatmatch", because)


def test_a_held_tempo_is_the_leaving_pieces_through_the_overlap(tmp_path: Path, context_factory: Any) -> None:
    pieces = [with_grid(tmp_path, "a", noise(14), 120), with_grid(tmp_path, "b", noise(14, seed=1), 126)]
    lengths = {}
    for tempo in ("hold", "ramp"):
        context = context_factory({"set": pieces})
        run(parse(["set"], transition={"kind": "beatmatch", "bars": 4, "tempo": tempo}), context)
        joint = context.delivered().facts["transitions"][0]
        lengths[tempo] = joint["end_s"] - joint["start_s"]
        grid = json.loads(context.delivered("sidecar", label="grid").path.read_text(encoding="utf-8"))
        beats_s = np.array(grid["beats_s"])
        inside = np.diff(beats_s[(beats_s > joint["start_s"] - 0.01) & (beats_s < joint["end_s"] + 0.01)])
        after = np.diff(beats_s[beats_s > joint["end_s"]])
        assert after == pytest.approx(60 / 126, abs=1e-5)
        if tempo == "hold":
            assert inside == pytest.approx(0.5, abs=1e-4)
        else:
            assert (np.diff(inside) < 0).all()
    assert lengths["hold"] == pytest.approx(8.0, abs=1e-3)
    assert lengths["ramp"] == pytest.approx(4 * 4 * (60 / 120 + 60 / 126) / 2, abs=1e-3)


@pytest.mark.parametrize("bits", [16, 24])
def test_a_cut_between_crossfades_is_where_it_was_asked_for(mix: Callable[..., Any], bits: int) -> None:
    softly = [np.round(noise(1.5, seed=seed) * 2.0 ** (bits - 1)).astype(np.int32) for seed in (1, 2, 3)]
    pieces = [samples << (32 - bits) for samples in softly]
    context = mix(
        *pieces, subtype=f"PCM_{bits}", transition={"kind": "cut"}, transitions=[{"after": 1, "duration": 0.5}],
    )  # fmt: skip
    listed = context.delivered().facts["transitions"]
    assert [one["kind"] for one in listed] == ["crossfade", "cut"]
    samples = sf.read(context.delivered().path, dtype="int32")[0].T
    assert np.array_equal(samples[:, -pieces[2].shape[1] :], pieces[2])
