"""A `beats` run, from files to JSON and picture: what is known is found, and what is stated is kept to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from handlers.audio import files
from handlers.beats.analyze import run
from handlers.beats.outlook import describe
from handlers.beats.params import BeatsParams
from handlers.beats.result import schema
from handlers.contract import Cancelled, Invalid, ItemRecord
from tests.fixtures.sound import noise
from tests.handlers.audio.grid import songs
from tests.handlers.beats.drums import SAMPLE_RATE, beat_times, clicks, drum_pattern, f_measure, median_offset_s

OFFSET_S = 0.002
"""How far the median beat may be from the true one."""


LEAD_IN_S = 0.25


def _song(*blocks: np.ndarray) -> np.ndarray:
    """Blocks after a quarter second of silence."""
    audio, _ = songs.piece(blocks)
    return np.pad(audio, ((0, 0), (round(LEAD_IN_S * songs.SAMPLE_RATE), 0)))


def test_known_beats_are_found(analyze: Any) -> None:
    result, _ = analyze(_song(songs.block(["drums", "bass", "chords"], 12)), songs.SAMPLE_RATE)
    true_s, found_s = LEAD_IN_S + 0.5 * np.arange(48), np.array(result["beats"])
    assert f_measure(found_s, true_s) >= 0.98
    assert abs(median_offset_s(found_s, true_s)) <= OFFSET_S
    assert result["tempo"] == pytest.approx(120, rel=2e-4)
    assert result["has_beat"] and result["steady"] and result["tempo_confidence"] > 0.5
    assert [one["tempo_bpm"] for one in result["segments"]] == [result["tempo"]]


def test_onsets_are_described(analyze: Any) -> None:
    result, _ = analyze(_song(songs.block(["drums", "bass"], 4)), songs.SAMPLE_RATE)
    assert len(result["onsets"]) == len(result["onset_strengths"]) == len(result["onset_bands"]) > 16
    assert set(result["onset_bands"]) <= {"low", "mid", "high"} and max(result["onset_strengths"]) == 1


def test_a_song_is_described_from_key_to_sections(analyze: Any) -> None:
    blocks = {"intro": ["chords"], "drop": ["drums", "bass", "chords"]}
    audio = _song(*(songs.block(blocks[name], tonic=2) for name in ("intro", "drop", "intro", "drop")))
    result, context = analyze(audio, songs.SAMPLE_RATE, first_downbeat=LEAD_IN_S)
    jsonschema.validate(result, schema())
    assert result["tempo"] == pytest.approx(120, rel=1e-3) and result["meter"] == "4/4"
    assert [one["label"] for one in result["sections"]] == ["intro", "drop", "breakdown", "drop"]
    assert [one["letter"] for one in result["sections"]] == ["A", "B", "A", "B"]
    starts_s = [one["start_s"] for one in result["sections"]]
    assert starts_s == pytest.approx([LEAD_IN_S + 16 * number for number in range(4)], abs=0.01)
    assert set(starts_s) <= set(result["downbeats"])
    assert [one["first_bar"] for one in result["sections"]] == [1, 9, 17, 25]
    assert (result["key"]["name"], result["key"]["camelot"]) == ("D minor", "7A")
    assert result["loudness"]["integrated_lufs"] < result["loudness"]["true_peak_dbtp"]
    assert len(result["loudness"]["curve"]["times_s"]) == len(result["loudness"]["curve"]["short_term_lufs"]) == 64
    text = describe(ItemRecord(1, Path("x"), context.delivered().facts))
    assert "120.00 BPM" in text and "D minor (7A" in text and "0:16 drop B" in text


def test_beats_are_counted_in_bars(analyze: Any) -> None:
    result, _ = analyze(_song(songs.block(["drums", "bass", "chords"])), songs.SAMPLE_RATE, first_downbeat=1.25)
    assert result["downbeats"][:2] == pytest.approx([1.25, 3.25], abs=0.01)
    assert (result["bars"][:3], result["beats_in_bar"][:4]) == ([0, 0, 1], [3, 4, 1, 2])
    assert [
        time_s for time_s, beat in zip(result["beats"], result["beats_in_bar"], strict=True) if beat == 1
    ] == result["downbeats"]


def test_times_increase_and_lie_inside(analyze: Any) -> None:
    result, _ = analyze(_song(songs.block(["drums", "bass", "chords"], 4)), songs.SAMPLE_RATE)
    for times in (result["beats"], result["onsets"]):
        assert len(times) > 8 and times[0] >= 0 and times[-1] < result["duration_s"]
        assert np.all(np.diff(times) > 0)


def test_a_stated_tempo_and_meter_are_kept_to(analyze: Any) -> None:
    audio = _song(songs.block(["drums", "bass", "chords"], 12))
    result, _ = analyze(audio, songs.SAMPLE_RATE, tempo=61.0, meter="3/4")
    assert result["tempo"] == pytest.approx(60.0, rel=1e-3)
    assert result["meter"] == "3/4" and set(np.diff(result["downbeats"]).round(1)) == {3.0}


def test_a_changing_tempo_is_not_called_steady(analyze: Any) -> None:
    slow, fast = beat_times(100.0, 20.0, offset_s=0.2), beat_times(140.0, 40.0, offset_s=20.0)
    result, context = analyze(drum_pattern(np.concatenate([slow, fast]), 40.0))
    assert not result["steady"] and len(result["segments"]) > 1
    first, last = (result["segments"][number]["tempo_bpm"] for number in (0, -1))
    assert first == pytest.approx(100, rel=0.01) and abs(last / first - 1) > 0.1
    assert "tempo changes" in describe(ItemRecord(1, Path("x"), context.delivered().facts))


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
    assert facts["source"] == "beds/3" and facts["duration_s"] == 10.0
    assert facts["beats"] == len(json.loads(context.delivered(item=3).path.read_text())["beats"])
    with Image.open(context.delivered("sidecar", label="picture").path) as picture:
        assert picture.format == "PNG" and picture.width == 1600
    assert {phase for phase, *_ in context.progressed} == {"loading", "working"}
    assert context.progressed[-1][1:3] == (3, 3)


def test_cancelling_stops_between_blocks(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", noise(30.0), SAMPLE_RATE)
    context = context_factory(inputs={"a": tmp_path / "a.wav"}, cancel_at=3)
    with pytest.raises(Cancelled):
        run(BeatsParams(input="a"), context)
    assert context.emitted == []


def test_no_files_are_refused(context_factory: Any) -> None:
    with pytest.raises(Invalid, match="holds no audio"):
        run(BeatsParams(input="in"), context_factory(inputs={"in": []}))


def test_params_and_outlook_stay_light() -> None:
    code = (
        "import sys, handlers.beats.params, handlers.beats.outlook, handlers.beats.result;"
        "heavy = {'numpy', 'scipy', 'librosa', 'numba', 'soundfile'} & set(sys.modules); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_a_plain_analysis_waits_for_no_librosa() -> None:
    code = (
        "import sys, handlers.beats.analyze;"
        "sys.exit(bool({'librosa', 'numba', 'scipy.signal', 'mido', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
