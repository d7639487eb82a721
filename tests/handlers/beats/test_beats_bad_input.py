"""What is no music, or none that can be read, is answered as the handler states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from handlers.audio import files
from handlers.beats.analyze import run
from handlers.beats.outlook import describe
from handlers.beats.params import BeatsParams
from handlers.contract import Invalid, ItemRecord
from tests.fixtures.sound import noise, tone
from tests.handlers.beats.drums import SAMPLE_RATE, beat_times, clicks, drum_pattern, f_measure

MOST_MEMORY_MB = 600
"""For an hour of stereo."""
FEW = 10
"""Onsets of noise: one every two seconds at most."""


@pytest.mark.parametrize(
    ("audio", "most_onsets", "key"),
    [
        pytest.param(np.zeros((2, 20 * SAMPLE_RATE), np.float32), 0, False, id="silence"),
        pytest.param(np.full((1, 20 * SAMPLE_RATE), 0.5, np.float32), 0, False, id="DC"),
        pytest.param(noise(20.0, seed=4), FEW, False, id="noise"),
        pytest.param(noise(3.0, channels=1, seed=5), FEW, False, id="short noise"),
        pytest.param(noise(10.0, level_db=-100.0), 0, False, id="dither"),
        pytest.param(tone(110.0, 20.0) + tone(164.8, 20.0), 1, True, id="a drone"),
        pytest.param(clicks(np.array([5.0]), 20.0), 1, False, id="a lone click"),
        pytest.param(clicks(np.array([5.0, 5.5]), 20.0), 2, False, id="two clicks"),
        pytest.param(drum_pattern(beat_times(120.0, 1.0), 1.0)[:, :13_230], 2, False, id="0.3 s"),
        pytest.param(np.full((1, 1), 0.5, np.float32), 0, False, id="one sample"),
    ],
)
def test_where_there_is_no_beat_none_is_made_up(analyze: Any, audio: np.ndarray, most_onsets: int, key: bool) -> None:
    result, context = analyze(audio)
    assert result["tempo"] is None and result["meter"] is None and not result["has_beat"]
    assert result["beats"] == result["downbeats"] == result["segments"] == result["tempo_alternatives"] == []
    assert result["tempo_confidence"] == 0 and result["beat_confidence"] > 0.5
    assert len(result["onsets"]) <= most_onsets
    assert (result["key"] is not None) == key
    assert result["sections"][0]["start_s"] == 0 and {one["first_bar"] for one in result["sections"]} == {None}
    assert all(one["label"] == one["letter"] for one in result["sections"])
    assert result["mood"] or np.ptp(audio) < 1e-3
    assert any("no beat was found" in message for _, message, _ in context.logged)
    assert "no beat found" in describe(ItemRecord(1, Path("x"), context.delivered().facts))


def test_a_drone_that_swells_for_long_is_one_section(analyze: Any) -> None:
    # A quarter of an hour is more than what is cut at once.
    drone = tone(110.0, 900.0, 8_000, channels=1)
    drone *= (0.5 + 0.3 * np.sin(2 * np.pi * 0.05 * np.arange(drone.shape[1]) / 8_000)).astype(np.float32)
    result, _ = analyze(drone, 8_000)
    assert [one["letter"] for one in result["sections"]] == ["A"] and len(result["onsets"]) <= 1


def test_what_is_silent_and_what_is_too_short_is_said(analyze: Any) -> None:
    for audio, words in (
        (np.zeros((1, SAMPLE_RATE), np.float32), "silent"),
        (noise(0.3), "too short for a loudness"),
    ):
        _, context = analyze(audio)
        assert words in describe(ItemRecord(1, Path("x"), context.delivered().facts))


def test_a_stated_tempo_makes_up_no_beat_either(analyze: Any) -> None:
    result, context = analyze(noise(10.0, seed=6), tempo=120.0)
    assert result["tempo"] is None and result["beats"] == []
    assert any("near 120 BPM" in message for message in context.warnings)


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (192_000, 1), (44_100, 8)])
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
    assert (result["sample_rate"], result["channels"]) == (sample_rate, channels)


def test_damaged_files_and_nan_are_named(context_factory: Any, tmp_path: Path) -> None:
    broken = noise(3.0)
    broken[0, 1000] = np.nan
    # Not by our own writer, which refuses it.
    soundfile.write(tmp_path / "nan.wav", broken.T, SAMPLE_RATE, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("this is no audio")
    files.write(tmp_path / "whole.flac", noise(5.0), SAMPLE_RATE)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "whole.flac").read_bytes()[:200_000])
    for name, reason in (
        ("nan.wav", "nan at 0.0227 s"), ("text.wav", "cannot be read as audio"), ("cut.flac", "damaged"),
    ):  # fmt: skip
        context = context_factory(inputs={"in": tmp_path / name})
        with pytest.raises(Invalid, match=reason):
            run(BeatsParams(input="in"), context)
        assert context.emitted == []


def test_memory_does_not_grow_beyond_what_an_hour_may_take(tmp_path: Path) -> None:
    # Two lengths in one process: what the second adds, an hour adds so many times.
    for minutes in (3, 12):
        with files.Writer(tmp_path / f"{minutes}.flac", 8_000, 1, subtype="PCM_16") as writer:
            for _ in range(minutes):
                writer.write(tone(110.0, 60.0, 8_000, channels=1))
    code = (
        # Not rusage, whose peak is that of whoever started the process where that was higher.
        "import re, sys\n"
        "from pathlib import Path\n"
        "from handlers.beats.analyze import analyse\n"
        "for path in sys.argv[1:]:\n"
        "    found = analyse(path)\n"
        "    assert len(found.sections) == 1\n"
        "    print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "3.flac"), str(tmp_path / "12.flac")],
        cwd=Path(__file__).parents[3], check=True, capture_output=True, text=True,
    )  # fmt: skip
    short_mb, long_mb = (float(line) for line in done.stdout.split())
    assert long_mb + (60 - 12) * (long_mb - short_mb) / (12 - 3) <= MOST_MEMORY_MB
