"""Beats as tempi: what a program makes of the tempi lies on the beats again."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest

from handlers.audio.delivery.midi import Marker, TimeSignature, write_midi
from handlers.audio.delivery.tempo_map import map_midi, straighten

STEADY = 0.37 + np.arange(7200) * 60 / 123.457
CHANGING = np.concatenate([np.arange(0.5, 30, 0.5), np.arange(30, 60, 60 / 140)])
RAMP = np.cumsum(np.concatenate([[0.2], 60 / np.linspace(100, 130, 300)]))


def test_a_grid_that_can_be_kept_is_one_stretch() -> None:
    assert len(straighten(STEADY, 0.001)) == 1


@pytest.mark.parametrize("beats_s", [STEADY, CHANGING, RAMP], ids=["steady", "changing", "ramp"])
def test_stretches_stay_on_the_beats_at_a_coarse_tempo(beats_s: np.ndarray) -> None:
    stretches = straighten(beats_s, 0.002, lambda period_s: 60 / round(60 / period_s, 2))
    assert stretches[0].first == 0 and stretches[-1].last == len(beats_s) - 1
    for stretch, following in zip(stretches, stretches[1:], strict=False):
        assert stretch.last == following.first
    for first, last, period_s in stretches:
        laid = beats_s[first] + period_s * np.arange(last - first + 1)
        assert np.abs(laid - beats_s[first : last + 1]).max() <= 0.002
    assert len(stretches) < len(beats_s) / 3


@pytest.mark.parametrize("beats_s", [STEADY, CHANGING, RAMP, STEADY - 0.36, STEADY - 0.37, STEADY + 5.3])
@pytest.mark.parametrize("first_downbeat", [0, 3])
def test_midi_puts_bar_lines_on_the_downbeats(tmp_path: Path, beats_s: np.ndarray, first_downbeat: int) -> None:
    downbeats = np.arange(first_downbeat, len(beats_s), 4)
    found = map_midi(beats_s, downbeats, 1.0)
    assert max(tempo.tempo_bpm for tempo in found.tempi) < 400
    marks = [Marker(found.position(time_s), str(number)) for number, time_s in enumerate(beats_s[downbeats])]
    assert all(mark.start % 4 == pytest.approx(0, abs=1e-6) for mark in marks[2:])
    write_midi(tmp_path / "a.mid", tempo_map=found.tempi, markers=marks)
    now_s, read_s = 0.0, []
    for message in mido.MidiFile(tmp_path / "a.mid"):
        now_s += message.time
        if message.type == "marker":
            read_s.append(now_s)
    # The first bars may be the lead-in, which has one tempo for all of it; the rest is exact.
    assert np.abs(np.array(read_s) - beats_s[downbeats])[2:].max() < 0.001


def test_six_eight_counted_in_two_has_three_quarters_a_bar(tmp_path: Path) -> None:
    beats_s = np.arange(40) * 0.75
    found = map_midi(beats_s, np.arange(0, 40, 2), 1.5)
    write_midi(tmp_path / "a.mid", tempo_map=found.tempi, time_signatures=[TimeSignature(0, 6, 8)])
    assert found.position(1.5) == pytest.approx(3.0) and found.tempi[0].tempo_bpm == pytest.approx(120)
