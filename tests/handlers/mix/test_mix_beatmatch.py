"""Matched beats: downbeat on downbeat through the whole overlap, one bass at a time, both pieces untouched outside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import firwin, oaconvolve

from handlers.audio import files
from handlers.audio.crossover import lows
from handlers.contract import InputFile, Invalid
from handlers.mix.bars import find_bars
from handlers.mix.beatmatch import Match, match
from handlers.mix.mixdown import run
from handlers.mix.params import MixParams

RATE = 44_100
PHASE_MEDIAN_S, PHASE_WORST_S = 0.003, 0.008
_rng = np.random.default_rng(3)
_noises = {name: _rng.standard_normal(700) * np.exp(-np.arange(700) / 150) for name in "ab"}
HITS = {name: (hit / np.abs(hit).max()).astype(np.float32) for name, hit in _noises.items()}
"""One hit for each piece: a correlation with one does not hear the other."""


def piece(name: str, tempo_bpm: float, bars: int, lead_s: float = 0.0, rate: int = RATE) -> tuple[np.ndarray, dict]:
    """Hits on every beat, twice as loud on downbeats; and the truth about them."""
    beats_s = lead_s + np.arange(bars * 4) * 60 / tempo_bpm
    duration_s = lead_s + bars * 240 / tempo_bpm
    audio = np.zeros((2, round(duration_s * rate)), np.float32)
    for number, time_s in enumerate(beats_s):
        place = round(time_s * rate)
        room = audio.shape[1] - place
        audio[:, place : place + 700] += HITS[name][:room] * (0.3 if number % 4 else 0.6)
    grid = {"tempo_bpm": tempo_bpm, "beats_s": beats_s.tolist(), "downbeats_s": beats_s[::4].tolist()}
    return audio, grid


@pytest.fixture
def matched(tmp_path: Path, context_factory: Callable[..., Any]) -> Callable[..., Any]:
    """Mix pieces that bring their grids; return the context, the audio and the mix's grid."""

    def make(*pieces: tuple[np.ndarray, dict | None], rates: tuple[int, ...] = (), **keys: Any) -> Any:
        inputs = {}
        for number, (audio, grid) in enumerate(pieces):
            path = tmp_path / f"{number}.wav"
            sf.write(path, audio.T, (rates or (RATE,) * len(pieces))[number], subtype="FLOAT")
            sidecars = {}
            if grid:
                sidecars["grid"] = tmp_path / f"{number}.json"
                sidecars["grid"].write_text(json.dumps(grid))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            inputs[f"p{number}"] = [InputFile(path, f"p{number}", digest, sidecars=sidecars)]
        context = context_factory()
        context.inputs = inputs
        transition = {"kind": "beatmatch", "bars": 4, **keys.pop("transition", {})}
        params = {"order": list(inputs), "transition": transition, "formats": [{"wav": {"bits": 32}}], **keys}
        run(MixParams.model_validate(params), context)
        audio, _ = files.read(context.delivered().path)
        listed = [one for one in context.emitted if one.label == "grid"]
        return context, audio, json.loads(listed[0].path.read_text()) if listed else None

    return make


def places_of(name: str, audio: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Where the hits of one piece are, in samples: the best fit within 40 ms of where they should be."""
    fit = np.abs(np.correlate(audio[0], HITS[name], "valid"))
    found = []
    for place in np.round(near).astype(int):
        first = max(0, place - 1764)
        found.append(first + int(np.argmax(fit[first : place + 1764])))
    return np.array(found)


@pytest.mark.parametrize(("before", "after"), [(128, 132), (126, 131), (140, 138), (130, 130)])
def test_beats_lie_on_beats_through_the_whole_overlap(matched: Callable[..., Any], before: float, after: float) -> None:
    context, audio, _ = matched(piece("a", before, 16), piece("b", after, 16, lead_s=0.37))
    start = context.delivered().facts["tracks"][1]["start_s"] * RATE
    beats = 16
    blend = (np.arange(beats) + 0.5) / beats
    steps = RATE * (60 / before * (1 - blend) + 60 / after * blend)
    due = start + np.concatenate([[0.0], np.cumsum(steps)])
    # At the edges one of the two is silent: the leaving piece is heard well until three quarters, the entering one after.
    off_a = places_of("a", audio, due[:13]) - due[:13]
    off_b = places_of("b", audio, due[4:]) - due[4:]
    for off in (off_a, off_b):
        assert np.median(np.abs(off)) / RATE <= PHASE_MEDIAN_S
        assert np.abs(off).max() / RATE <= PHASE_WORST_S
    assert context.warnings == []


def test_it_is_downbeats_that_meet_and_not_only_beats(matched: Callable[..., Any]) -> None:
    context, audio, _ = matched(piece("a", 128, 16), piece("b", 130, 16, lead_s=0.9), transition={"bass_swap": False})
    start = round(context.delivered().facts["tracks"][1]["start_s"] * RATE)
    fit = {name: np.abs(np.correlate(audio[0], HITS[name], "valid")) for name in "ab"}
    middle = start + round(2 * 4 * RATE * 60 / 129)  # Two bars in, where both are as loud.
    for name in "ab":
        heights = [
            fit[name][max(0, place - 800) : place + 800].max() for place in middle + np.arange(4) * RATE * 60 // 129
        ]
        assert int(np.argmax(heights)) == 0, f"{name}: the loudest of four beats is not the first"


def test_outside_the_overlap_both_pieces_are_their_own_samples(matched: Callable[..., Any]) -> None:
    (first, grid_a), (second, grid_b) = piece("a", 128, 16), piece("b", 132, 16, lead_s=0.37)
    context, audio, _ = matched((first, grid_a), (second, grid_b))
    start = round(context.delivered().facts["tracks"][1]["start_s"] * RATE)
    assert start == round(12 * 4 * 60 / 128 * RATE)
    assert np.array_equal(audio[:, :start], first[:, :start])
    rest = second.shape[1] - round((0.37 + 4 * 240 / 132) * RATE)
    assert np.array_equal(audio[:, -rest:], second[:, -rest:])


def test_pieces_of_one_tempo_are_not_stretched_at_all(matched: Callable[..., Any]) -> None:
    (first, grid_a), (second, grid_b) = piece("a", 125, 12), piece("b", 125, 12)
    _, audio, _ = matched((first, grid_a), (second, grid_b), transition={"bass_swap": False})
    start, length = 8 * 4 * 21168, 4 * 4 * 21168
    angle = (np.arange(length) + 0.5) / length * np.pi / 2
    due = first[:, start : start + length] * np.cos(angle) + second[:, :length] * np.sin(angle)
    assert np.abs(audio[:, start : start + length] - due).max() < 1e-5


def test_one_bass_at_a_time(matched: Callable[..., Any]) -> None:
    def tone(hertz: float) -> tuple[np.ndarray, dict]:
        _, grid = piece("a", 120, 16)
        time = np.arange(32 * RATE) / RATE
        return (0.4 * np.sin(2 * np.pi * hertz * time)[None].repeat(2, 0)).astype(np.float32), grid

    _, audio, _ = matched(tone(50), tone(70))
    start, bar = 24 * RATE, 2 * RATE
    power = []
    for at in (start + bar // 2, start + 3 * bar + bar // 2):
        spectrum = np.abs(np.fft.rfft(audio[0, at : at + RATE] * np.hanning(RATE))) ** 2
        power.append((spectrum[48:53].sum(), spectrum[68:73].sum()))
    (early_a, early_b), (late_a, late_b) = power
    assert 10 * np.log10(early_a / early_b) > 40
    assert 10 * np.log10(late_b / late_a) > 40
    low = oaconvolve(audio[0], firwin(4001, 150, fs=RATE), mode="same")
    level = np.sqrt(np.convolve(low[start : start + 4 * bar] ** 2, np.ones(4410) / 4410, "valid"))
    assert level.max() < 1.15 * 0.4 / np.sqrt(2), "both basses at once"


def test_the_mixs_grid_follows_what_was_done(matched: Callable[..., Any]) -> None:
    context, audio, grid = matched(piece("a", 128, 16), piece("b", 132, 16, lead_s=0.37))
    beats = np.array(grid["beats_s"])
    start = context.delivered().facts["tracks"][1]["start_s"]
    assert np.all(np.diff(beats) > 0.44)
    late = beats[beats > start + 9] * RATE
    off = places_of("b", audio, late) - late
    assert np.abs(off).max() / RATE < 0.001
    assert len(grid["downbeats_s"]) == pytest.approx(len(beats) / 4, abs=1)
    assert "tempo_bpm" not in context.delivered().facts


def test_three_pieces_are_led_one_into_the_next(matched: Callable[..., Any]) -> None:
    context, audio, grid = matched(piece("a", 124, 16), piece("b", 128, 16), piece("a", 131, 16))
    assert len(context.delivered().facts["tracks"]) == 3
    assert audio.shape[1] == context.delivered().facts["frames"]
    tempi = 60 / np.diff(grid["beats_s"])
    assert tempi.min() > 123.5 and tempi.max() < 131.5


def test_rates_that_differ_are_matched_too(matched: Callable[..., Any]) -> None:
    context, audio, _ = matched(
        piece("a", 128, 16), piece("b", 128, 16, rate=48_000), rates=(RATE, 48_000), sample_rate=RATE
    )
    start = context.delivered().facts["tracks"][1]["start_s"] * RATE
    due = start + np.arange(20, 40) * RATE * 60 / 128
    fit = np.abs(np.correlate(audio[0], HITS["b"][::1][:500], "valid"))
    energy = [np.abs(audio[0, round(place) - 200 : round(place) + 200]).argmax() - 200 for place in due]
    assert np.abs(np.median(energy)) < 0.002 * RATE and fit.max() > 0


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ((piece("b", 150, 16)), "17.2 % away, more than the 8 %"),
        ((piece("b", 128, 2)), "has 2 whole bars, not 4"),
        (
            (0.01 * np.random.default_rng(1).standard_normal((2, 20 * RATE)), None),
            "the beats of the piece after are not",
        ),
    ],
)
def test_what_cannot_be_matched_is_crossfaded_and_said(matched: Callable[..., Any], second: Any, why: str) -> None:
    context, _, _ = matched(piece("a", 128, 16), second)
    assert any("a crossfade instead, because" in said and why in said for said in context.warnings), context.warnings


def test_a_piece_without_a_grid_is_listened_to(matched: Callable[..., Any]) -> None:
    drums = _drums(126, 24)
    context, audio, grid = matched(piece("a", 128, 16), (drums, None))
    assert context.warnings == []
    start = context.delivered().facts["tracks"][1]["start_s"]
    assert start == pytest.approx(12 * 240 / 128, abs=1e-3)
    beats = np.array(grid["beats_s"])
    late = beats[beats > start + 9]
    assert np.diff(late) == pytest.approx(60 / 126, abs=1e-4)


def _drums(tempo_bpm: float, bars: int) -> np.ndarray:
    """A kick on every beat, a snare on two and four, hats between."""
    rng = np.random.default_rng(5)
    time = np.arange(9000) / RATE
    kick = np.sin(2 * np.pi * (50 * time + 12 * (1 - np.exp(-30 * time)))) * np.exp(-12 * time)
    snare = rng.standard_normal(9000) * np.exp(-25 * time)
    hat = np.diff(rng.standard_normal(9001)) * np.exp(-90 * time)
    beat = 60 / tempo_bpm
    audio = np.zeros(round(bars * 4 * beat * RATE) + 9000, np.float32)
    for number in range(bars * 4):
        for sound, level, at in ((kick, 0.5, 0.0), (snare, 0.2 * (number % 2), 0.0), (hat, 0.1, 0.5)):
            place = round((number + at) * beat * RATE)
            audio[place : place + 9000] += (level * sound).astype(np.float32)
    return np.stack([audio, audio])


def test_a_pair_may_have_a_transition_of_its_own(matched: Callable[..., Any]) -> None:
    own = [{"after": 2, "kind": "cut"}]
    pieces = [piece("a", 128, 16), piece("b", 128, 16), piece("a", 128, 16)]
    context, audio, _ = matched(*pieces, transitions=own)
    assert np.array_equal(audio[:, -pieces[2][0].shape[1] :], pieces[2][0])
    with pytest.raises(
        Invalid, match=r"transitions\.1: there is no transition after piece 3 of 3; the last is after 2"
    ):
        matched(*pieces, transitions=[{"after": 3, "kind": "cut"}])


def test_a_crossfade_can_be_counted_in_bars(matched: Callable[..., Any]) -> None:
    context, _, _ = matched(piece("a", 120, 16), piece("b", 120, 16), transition={"kind": "crossfade", "bars": 2})
    assert context.delivered().facts["tracks"][1]["start_s"] == pytest.approx(28.0, abs=1e-4)


def test_a_piece_is_left_at_a_phrase_where_one_is_near() -> None:
    def bars(count: int) -> Any:
        return find_bars(piece("a", 120, count)[1], RATE, count * 2.0)

    for count, begin in ((32, 24), (30, 20), (31, 20), (20, 12), (15, 7), (9, 1)):
        found = match(bars(count), bars(16), 8, earliest=0.0)
        assert isinstance(found, Match)
        assert found.leaving[0] / RATE / 2 == pytest.approx(begin, abs=1e-6), count


def test_two_kicks_never_add_up(matched: Callable[..., Any]) -> None:
    def kicks(tempo_bpm: float) -> tuple[np.ndarray, dict]:
        _, grid = piece("a", tempo_bpm, 12)
        time = np.arange(9_000) / RATE
        kick = 0.5 * np.sin(2 * np.pi * (50 * time + 2 * (1 - np.exp(-30 * time)))) * np.exp(-12 * time)
        audio = np.zeros((2, round(12 * 240 / tempo_bpm * RATE)), np.float32)
        for time_s in grid["beats_s"]:
            place = round(time_s * RATE)
            audio[:, place : place + 9_000] += kick[: audio.shape[1] - place].astype(np.float32)
        return audio, grid

    def loudest_lows(bass_swap: bool) -> float:
        context, audio, _ = matched(kicks(128), kicks(131), transition={"bass_swap": bass_swap})
        joint = context.delivered().facts["transitions"][0]
        overlap = audio[:, round(joint["start_s"] * RATE) : round(joint["end_s"] * RATE)]
        return float(np.abs(lows(overlap, RATE)).max())

    alone = float(np.abs(lows(kicks(128)[0], RATE)).max())
    assert 20 * np.log10(loudest_lows(True) / alone) < 0.5
    # The same kicks without the swap: equal power adds 3 dB of what is alike.
    assert 20 * np.log10(loudest_lows(False) / alone) > 2
