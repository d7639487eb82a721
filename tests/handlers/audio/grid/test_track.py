"""The grid that is found, against music whose every beat is known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from handlers.audio.grid.drift import moving_clock
from handlers.audio.grid.features import features_of
from handlers.audio.grid.onsets import combined, onset_curves
from handlers.audio.grid.track import find_grid
from handlers.contract import Invalid
from training.beats.music import make_beatless
from training.beats.songs import make_song

RATE = 22_050
OFFSET_S = 0.002
"""The median beat is no further from the truth."""
TEMPO_BPM = 0.01


def strike(hz: float, decay_s: float, noisy: float = 0.0) -> np.ndarray:
    time = np.arange(round(5 * decay_s * RATE)) / RATE
    noise = np.random.default_rng(3).standard_normal(len(time))
    tone = np.sin(2 * np.pi * hz * time + 6 * np.exp(-time / 0.02))
    return ((1 - noisy) * tone + noisy * np.diff(noise, prepend=0)) * np.exp(-time / decay_s)


KICK, SNARE, HAT = strike(55, 0.09), strike(190, 0.05, 0.6), strike(6000, 0.01, 1.0)


def put(sound: np.ndarray, times_s: np.ndarray, where: np.ndarray, gain: float) -> None:
    for time_s in times_s:
        start = round(time_s * RATE)
        part = sound[: max(0, len(where) - start)]
        where[start : start + len(part)] += gain * part


def rock(beats_s: np.ndarray, duration_s: float, per_bar: int = 4) -> np.ndarray:
    """Kick on the first beat, snare on others in turn, hats in eighths, a bass that changes its note with the bar."""
    sound = np.zeros(round(duration_s * RATE))
    between = beats_s[:-1] + np.diff(beats_s) / 2
    number = np.arange(len(beats_s))
    put(KICK, beats_s[number % per_bar == 0], sound, 0.8)
    put(KICK, beats_s[number % per_bar == 2][: len(beats_s) if per_bar == 4 else 0], sound, 0.7)
    put(SNARE, beats_s[number % per_bar % 2 == 1], sound, 0.5)
    put(HAT, beats_s, sound, 0.12)
    put(HAT, between, sound, 0.08)
    for bar, start_s in enumerate(beats_s[::per_bar]):
        note = strike((82.4, 110.0, 73.4, 98.0)[bar % 4], 0.35)
        put(note, np.array([start_s]), sound, 0.35)
    return sound.astype(np.float32)


def even(tempo_bpm: float, duration_s: float, first_s: float = 0.31) -> np.ndarray:
    return np.arange(first_s, duration_s - 0.1, 60 / tempo_bpm)


def offset_s(found_s: np.ndarray, true_s: np.ndarray) -> float:
    inside = found_s[(found_s > true_s[0] - 0.05) & (found_s < true_s[-1] + 0.05)]
    assert len(inside) == len(true_s)
    return float(np.median(inside - true_s))


@pytest.mark.parametrize("tempo_bpm", [98.37, 111.0, 128.0, 151.62])
def test_an_even_tempo_is_found_to_a_hundredth_and_its_beats_to_two_milliseconds(tempo_bpm: float) -> None:
    beats = even(tempo_bpm, 62)
    grid = find_grid(rock(beats, 62), RATE)
    assert grid.tempo_bpm == pytest.approx(tempo_bpm, abs=TEMPO_BPM)
    assert abs(offset_s(grid.beats_s, beats)) <= OFFSET_S
    assert grid.has_beat and grid.steady and len(grid.segments) == 1 and grid.segments[0].end_s == 62


def test_downbeats_and_bar_numbers_follow_the_bass() -> None:
    beats = even(120, 50)
    grid = find_grid(rock(beats, 50), RATE)
    assert grid.meter == "4/4"
    assert grid.downbeats_s == pytest.approx(beats[::4], abs=0.005)
    assert list(grid.bars[grid.downbeats]) == list(range(1, len(grid.downbeats) + 1))


def test_a_waltz_has_three() -> None:
    beats = even(150, 50)
    grid = find_grid(rock(beats, 50, per_bar=3), RATE)
    assert grid.meter == "3/4"
    assert grid.downbeats_s == pytest.approx(beats[::3], abs=0.005)


@pytest.mark.parametrize("late_s", [0.0, 0.137, 0.5])
def test_silence_before_moves_the_grid_by_as_much(late_s: float) -> None:
    beats = even(126, 30, first_s=late_s)
    assert abs(offset_s(find_grid(rock(beats, 30), RATE).beats_s, beats)) <= OFFSET_S


def test_a_ramp_is_followed_in_segments() -> None:
    pace = np.linspace(110, 140, 150)
    beats = 0.2 + np.concatenate([[0], np.cumsum(60 / pace)])
    grid = find_grid(rock(beats, beats[-1] + 0.5), RATE)
    assert not grid.steady and len(grid.segments) > 2
    away = np.abs(grid.beats_s[:, None] - beats).min(axis=0)
    assert np.mean(away < 0.02) > 0.95
    assert grid.segments[0].tempo_bpm == pytest.approx(112, abs=5)
    assert grid.segments[-1].tempo_bpm == pytest.approx(138, abs=5)


def test_a_change_of_tempo_is_followed() -> None:
    beats = 0.2 + np.concatenate([np.arange(64) * 60 / 118, 64 * 60 / 118 + np.arange(70) * 60 / 133])
    grid = find_grid(rock(beats, beats[-1] + 0.5), RATE)
    assert not grid.steady
    away = np.abs(grid.beats_s[:, None] - beats).min(axis=0)
    assert np.mean(away < 0.03) > 0.9


def test_beats_go_on_after_a_pause() -> None:
    beats = even(124.0, 80.0)
    beats[90:] += 0.37
    beats = beats[beats < 79]
    grid = find_grid(rock(beats, 80.0), RATE)
    assert not grid.steady
    near = np.abs(grid.beats_s[:, None] - beats).min(axis=0)
    assert np.mean(near < 0.01) > 0.97


def test_a_path_of_tempo_that_fits_by_chance_is_not_believed() -> None:
    # Two pulses by turns, a fifth apart in tempo, where the beat is one all through.
    song = make_song(20_008)
    assert moving_clock(combined(onset_curves(features_of([song.audio], song.sample_rate)))) is not None
    assert find_grid(song.audio, song.sample_rate).steady


def noise(seed: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((2, 25 * RATE)).astype(np.float32)


def drone() -> np.ndarray:
    time = np.arange(40 * RATE) / RATE
    swell = 1 + 0.5 * np.sin(2 * np.pi * 0.07 * time)
    return (swell * (0.2 * np.sin(2 * np.pi * 110 * time) + 0.1 * np.sin(2 * np.pi * 165.3 * time))).astype(np.float32)


def lone_click() -> np.ndarray:
    sound = np.zeros(20 * RATE, np.float32)
    sound[5 * RATE] = 0.9
    return sound


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros((2, 10 * RATE), np.float32), noise(1)[:, : round(0.3 * RATE)], noise(2), noise(3), drone(), lone_click(),
        np.full((1, 10 * RATE), 0.5, np.float32), np.zeros((2, 0), np.float32),
    ],
    ids=["silence", "0.3 s", "noise", "more noise", "drone", "a click", "DC", "nothing"],
)  # fmt: skip
def test_what_has_no_beat_is_given_none(audio: np.ndarray) -> None:
    grid = find_grid(audio, RATE)
    assert not grid.has_beat and grid.tempo_bpm is None and grid.meter is None
    assert len(grid.beats_s) == len(grid.downbeats) == len(grid.segments) == 0
    assert 0.5 <= grid.confidence <= 1


@pytest.mark.parametrize("seed", [90_014, 90_021, 90_026, 90_036])
def test_lone_notes_have_no_beat_though_a_tempo_that_wanders_fits_them(seed: int) -> None:
    piece = make_beatless(seed)
    features = features_of([piece.audio], piece.sample_rate)
    assert moving_clock(combined(onset_curves(features))) is not None
    assert not find_grid(piece.audio, piece.sample_rate).has_beat


def test_what_is_no_number_is_named_with_its_place() -> None:
    audio = rock(even(120, 10), 10)
    audio[4 * RATE] = np.nan
    with pytest.raises(Invalid, match=r"NaN or infinity at 4\.0000 s"):
        find_grid(audio, RATE)


def other_form(audio: np.ndarray, form: str) -> tuple[np.ndarray, int]:
    from handlers.audio.resample import resample

    if form == "8 kHz mono":
        return resample(audio[None], RATE, 8000), 8000
    if form == "192 kHz":
        return resample(audio[None], RATE, 192_000), 192_000
    return np.repeat(audio[None], 8, axis=0), RATE


@pytest.mark.parametrize("form", ["8 kHz mono", "192 kHz", "8 channels"])
def test_any_rate_and_any_channels_give_the_same_beats(form: str) -> None:
    beats = even(132, 20)
    audio, sample_rate = other_form(rock(beats, 20), form)
    assert abs(offset_s(find_grid(audio, sample_rate).beats_s, beats)) <= 2 * OFFSET_S


def test_a_stated_tempo_chooses_the_octave() -> None:
    audio = rock(even(120, 30), 30)
    assert find_grid(audio, RATE, tempo_bpm=60).tempo_bpm == pytest.approx(60, abs=0.05)
    assert find_grid(audio, RATE, tempo_range_bpm=(200, 240)).tempo_bpm == pytest.approx(240, abs=0.2)


def test_a_stated_meter_and_downbeat_are_kept() -> None:
    beats = even(120, 30)
    grid = find_grid(rock(beats, 30), RATE, meter="3/4", first_downbeat_s=float(beats[2]))
    assert grid.meter == "3/4" and grid.meter_confidence == 1
    assert grid.downbeats_s == pytest.approx(beats[2::3], abs=0.005)


def test_runners_up_hold_the_half_or_the_double() -> None:
    grid = find_grid(rock(even(120, 30), 30), RATE)
    assert {round(bpm) for bpm, _ in grid.alternatives} & {60, 240}
    assert 0 <= grid.tempo_confidence <= 1


def test_the_path_needs_no_torch_sklearn_or_librosa() -> None:
    code = (
        "import sys, numpy as np\n"
        "from handlers.audio.grid.track import find_grid\n"
        "find_grid(np.random.default_rng(1).standard_normal(22050 * 5).astype('f4'), 22050)\n"
        "print([name for name in ('torch', 'sklearn', 'librosa', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
