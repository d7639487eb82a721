"""A `beats` run, from files to JSON and picture: known beats found, and bad input answered as stated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from handlers.audio import files
from handlers.beats.analyze import run
from handlers.beats.outlook import describe
from handlers.beats.params import BeatsParams
from handlers.contract import Cancelled, Invalid, ItemRecord
from handlers.stems.instrument.render import render
from handlers.stems.styles import load_style
from tests.fixtures.sound import noise, tone
from tests.handlers.beats.drums import SAMPLE_RATE, beat_times, clicks, drum_pattern, f_measure, median_offset_s

OFFSET_S = 0.007
"""What the docstring of the bias allows (6 ms), and a sixth of a frame."""
STYLES = Path(__file__).parents[3] / "config" / "styles"


@pytest.fixture
def analyze(context_factory: Any, tmp_path: Path) -> Any:
    """Write audio, run, return the JSON and the context."""

    def do(audio: np.ndarray, sample_rate: int = SAMPLE_RATE, **params: Any) -> tuple[dict[str, Any], Any]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.wav"
        files.write(path, audio, sample_rate, subtype="FLOAT")
        context = context_factory(inputs={"./in.wav": path})
        run(BeatsParams(input="./in.wav", **params), context)
        return json.loads(context.delivered().path.read_text()), context

    return do


@pytest.mark.parametrize("tempo_bpm", [90.0, 120.0, 133.3, 150.0])
@pytest.mark.parametrize("pattern", [clicks, drum_pattern])
def test_known_beats_are_found(analyze: Any, pattern: Any, tempo_bpm: float) -> None:
    true_s = beat_times(tempo_bpm, 30.0, offset_s=0.37)
    result, _ = analyze(pattern(true_s, 30.0))
    found_s = np.array(result["beats"])
    assert f_measure(found_s, true_s) >= 0.98
    assert abs(median_offset_s(found_s, true_s)) <= OFFSET_S
    assert result["tempo"] == pytest.approx(tempo_bpm, rel=2e-4)
    assert result["steady"] and result["tempo_confidence"] > 0.5
    assert result["duration_s"] == 30.0


def test_a_rendered_stem_is_heard_as_it_was_written(analyze: Any) -> None:
    stem = render(load_style(STYLES, "industrial/bed"), 40.0, 1, step="beds", index=1)
    result, _ = analyze(stem.audio, stem.sample_rate)
    true_s = np.array(stem.grid["beats_s"])
    assert f_measure(np.array(result["beats"]), true_s) >= 0.95
    assert abs(median_offset_s(np.array(result["beats"]), true_s)) <= OFFSET_S
    assert result["tempo"] == pytest.approx(stem.grid["tempo_bpm"], rel=1e-3)


def test_every_click_is_an_onset(analyze: Any) -> None:
    true_s = np.sort(np.random.default_rng(3).uniform(0.2, 19.5, 40).cumsum() % 19.3 + 0.2)
    true_s = true_s[np.diff(true_s, prepend=-1.0) > 0.1]
    result, _ = analyze(clicks(true_s, 20.0))
    assert f_measure(np.array(result["onsets"]), true_s) >= 0.97
    assert abs(median_offset_s(np.array(result["onsets"]), true_s)) <= OFFSET_S


def test_times_increase_and_lie_inside(analyze: Any) -> None:
    result, _ = analyze(drum_pattern(beat_times(128.0, 8.0, offset_s=0.0), 8.0))
    for times in (result["beats"], result["onsets"]):
        assert len(times) > 8 and times[0] >= 0 and times[-1] < 8.0
        assert np.all(np.diff(times) > 0)


def test_a_stated_tempo_chooses_the_octave(analyze: Any) -> None:
    true_s = beat_times(174.0, 30.0)
    audio = drum_pattern(true_s, 30.0)
    result, _ = analyze(audio, tempo=172.0)
    assert result["tempo"] == pytest.approx(174.0, rel=2e-4)
    assert f_measure(np.array(result["beats"]), true_s) >= 0.98
    unstated, _ = analyze(audio)
    assert unstated["tempo"] / 174.0 == pytest.approx(1.0, rel=1e-3) or unstated["tempo"] / 87.0 == pytest.approx(
        1.0, rel=1e-3
    )


def test_a_changing_tempo_is_not_called_steady(analyze: Any) -> None:
    slow, fast = beat_times(100.0, 20.0, offset_s=0.2), beat_times(140.0, 40.0, offset_s=20.0)
    result, _ = analyze(drum_pattern(np.concatenate([slow, fast]), 40.0))
    assert not result["steady"] and result["tempo"] is not None


@pytest.mark.parametrize(
    ("audio", "onsets"),
    [
        pytest.param(np.zeros((2, 20 * SAMPLE_RATE), np.float32), range(1), id="silence"),
        pytest.param(np.full((1, 20 * SAMPLE_RATE), 0.5, np.float32), range(1), id="DC"),
        pytest.param(noise(20.0, seed=4), range(1000), id="noise"),
        pytest.param(noise(3.0, channels=1, seed=5), range(1000), id="short noise"),
        pytest.param(noise(10.0, level_db=-100.0), range(1), id="dither"),
        pytest.param(tone(110.0, 20.0) + tone(164.8, 20.0), range(3), id="a drone"),
        pytest.param(clicks(np.array([5.0]), 20.0), range(1, 2), id="a lone click"),
        pytest.param(clicks(np.array([5.0, 5.5]), 20.0), range(2, 3), id="two clicks"),
        pytest.param(drum_pattern(beat_times(120.0, 1.0), 1.0)[:, :13_230], range(3), id="0.3 s"),
        pytest.param(np.full((1, 1), 0.5, np.float32), range(1), id="one sample"),
    ],
)
def test_where_there_is_no_beat_none_is_made_up(analyze: Any, audio: np.ndarray, onsets: range) -> None:
    result, context = analyze(audio)
    assert result["tempo"] is None and result["beats"] == [] and result["tempo_confidence"] == 0
    assert len(result["onsets"]) in onsets
    assert any("no beat was found" in message for _, message, _ in context.logged)
    assert "no beat found" in describe(ItemRecord(1, Path("x"), context.delivered().facts))


def test_a_stated_tempo_makes_up_no_beat_either(analyze: Any) -> None:
    result, context = analyze(noise(10.0, seed=6), tempo=120.0)
    assert result["tempo"] is None and result["beats"] == []
    assert any("near 120 BPM" in message for message in context.warnings)


def test_a_wrong_tempo_is_not_answered_with_another(analyze: Any) -> None:
    result, context = analyze(drum_pattern(beat_times(123.0, 30.0), 30.0), tempo=100.0)
    assert result["tempo"] is None and result["beats"] == []
    assert any("near 100 BPM" in message for message in context.warnings)


def test_a_long_stretch_of_off_beats_alone_does_not_break_the_grid(analyze: Any) -> None:
    true_s = beat_times(128.0, 40.0)
    sounding = true_s[(true_s < 10.0) | (true_s > 28.0)]
    offbeats = beat_times(128.0, 40.0, offset_s=0.3 + 30 / 128)
    alone = offbeats[(offbeats > 10.0) & (offbeats < 28.0)]
    result, _ = analyze(clicks(sounding, 40.0) + 0.4 * clicks(alone, 40.0))
    assert result["steady"] and f_measure(np.array(result["beats"]), true_s) >= 0.98


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (96_000, 2), (192_000, 1), (44_100, 8)])
def test_any_rate_and_channel_count(analyze: Any, sample_rate: int, channels: int) -> None:
    true_s = beat_times(120.0, 10.0)
    sound = np.zeros((channels, 10 * sample_rate), np.float32)
    for start in np.round(true_s * sample_rate).astype(int):
        sound[:, start : start + sample_rate // 50] = 0.5 * np.sin(
            2 * np.pi * 800 / sample_rate * np.arange(sample_rate // 50)
        )
    result, _ = analyze(sound, sample_rate)
    assert result["tempo"] == pytest.approx(120.0, rel=1e-3)
    assert f_measure(np.array(result["beats"]), true_s) >= 0.95


def test_nan_and_unreadable_files_are_refused(analyze: Any, context_factory: Any, tmp_path: Path) -> None:
    broken = noise(3.0)
    broken[0, 1000] = np.nan
    # Not by our own writer, which refuses it.
    soundfile.write(tmp_path / "nan.wav", broken.T, SAMPLE_RATE, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("this is no audio")
    for name, reason in (("nan.wav", "nan at"), ("text.wav", "cannot be read as audio")):
        with pytest.raises(Invalid, match=reason):
            run(BeatsParams(input="in"), context_factory(inputs={"in": tmp_path / name}))
    with pytest.raises(Invalid, match="holds no audio"):
        run(BeatsParams(input="in"), context_factory(inputs={"in": []}))


def test_several_files_are_items_in_order_and_finished_ones_are_skipped(context_factory: Any, tmp_path: Path) -> None:
    paths = []
    for tempo_bpm in (100.0, 125.0, 140.0):
        paths.append(tmp_path / f"{tempo_bpm:g}.wav")
        files.write(paths[-1], clicks(beat_times(tempo_bpm, 10.0), 10.0), SAMPLE_RATE)
    context = context_factory(inputs={"beds": paths}, completed={2: ItemRecord(2, paths[1], {})})
    run(BeatsParams(input="beds"), context)
    assert [(one.item, one.kind, one.label) for one in context.emitted] == [
        (1, "sidecar", "picture"), (1, "primary", ""), (3, "sidecar", "picture"), (3, "primary", ""),
    ]  # fmt: skip
    facts = context.delivered(item=3).facts
    assert facts["tempo_bpm"] == pytest.approx(140.0, rel=1e-3)
    assert facts["source"] == "beds/3" and facts["duration_s"] == 10.0
    assert facts["beats"] == len(json.loads(context.delivered(item=3).path.read_text())["beats"])
    with Image.open(context.delivered("sidecar", label="picture").path) as picture:
        assert picture.format == "PNG" and picture.width == 1600
    assert "BPM" in describe(ItemRecord(3, paths[2], facts)) and "one steady grid" in describe(
        ItemRecord(3, paths[2], facts)
    )
    assert {phase for phase, *_ in context.progressed} == {"loading", "working"}
    assert context.progressed[-1][1:3] == (3, 3)


def test_cancelling_stops_between_blocks(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", noise(30.0), SAMPLE_RATE)
    context = context_factory(inputs={"a": tmp_path / "a.wav"}, cancel_at=3)
    with pytest.raises(Cancelled):
        run(BeatsParams(input="a"), context)
    assert context.emitted == []


def test_params_and_outlook_stay_light() -> None:
    code = (
        "import sys, handlers.beats.params, handlers.beats.outlook;"
        "heavy = {'numpy', 'scipy', 'librosa', 'numba', 'soundfile'} & set(sys.modules); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
