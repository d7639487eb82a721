"""What other programs read of a beat grid, read back by readers that are not ours."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyrekordbox.rbxml import RekordboxXml
from wavinfo import WavInfoReader

from handlers.audio import files
from handlers.audio.delivery.audacity import write_audacity
from handlers.audio.delivery.click import BEAT_HZ, DOWNBEAT_HZ, MUSIC, write_clicks
from handlers.audio.delivery.cue_chunks import Cue, write_cues
from handlers.audio.delivery.rekordbox import GridMark, Mark, RekordboxTrack, write_rekordbox
from handlers.audio.delivery.table import COLUMNS, write_table
from handlers.contract import Invalid
from tests.fixtures.sound import noise, tone

RATE = 44_100


def test_audacity_labels_are_lines_of_three(tmp_path: Path) -> None:
    write_audacity(tmp_path / "a.txt", [(0.0, 1.5, "intro"), (1.5, 1.5, "with\ta tab\nand a line")])
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert [line.split("\t") for line in lines] == [
        ["0.000000", "1.500000", "intro"], ["1.500000", "1.500000", "with a tab and a line"],
    ]  # fmt: skip


def test_rekordbox_reads_grid_marks_and_place(tmp_path: Path) -> None:
    audio = tmp_path / "Ümläut & co.flac"
    track = RekordboxTrack(
        audio, "A & B", 61.2, RATE, 128.004, "4/4", [GridMark(0.37, 128.0, 1), GridMark(30.5, 64.0, 3)],
        [Mark(0.37, "intro"), Mark(30.5, "drop")], key="8A",
    )  # fmt: skip
    write_rekordbox(tmp_path / "a.xml", [track], version="1")
    (read,) = RekordboxXml(tmp_path / "a.xml").get_tracks()
    assert (read.Name, read.TotalTime, read.AverageBpm, read.Tonality) == ("A & B", 61, 128.0, "8A")
    # pyrekordbox gives paths without the first slash.
    assert Path("/" + read.Location.lstrip("/")) == audio
    assert [(one.Inizio, one.Bpm, one.Metro, one.Battito) for one in read.tempos] == [
        (0.37, 128.0, "4/4", 1), (30.5, 64.0, "4/4", 3),
    ]  # fmt: skip
    assert [(one.Start, one.Name, one.Type, one.Num) for one in read.marks] == [
        (0.37, "intro", "cue", -1), (30.5, "drop", "cue", -1),
    ]  # fmt: skip


def test_cues_and_their_names_are_read_and_the_sound_is_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sound = noise(1.0, channels=1)[:, :44_099]
    files.write(path, sound, RATE, subtype="PCM_24")
    before, _ = soundfile.read(path)
    write_cues(path, [Cue(20_000, "drop", 10_001), Cue(0, "intro", 20_000), Cue(5, "1.2")])
    after, _ = soundfile.read(path)
    np.testing.assert_array_equal(before, after)
    read = WavInfoReader(str(path)).cues
    assert [(cue.name, cue.sample_offset) for cue in read.cues] == [(1, 0), (2, 5), (3, 20_000)]
    assert {label.name: label.text for label in read.labels} == {1: "intro", 2: "1.2", 3: "drop"}
    assert {region.name: region.length for region in read.ranges} == {1: 20_000, 3: 10_001}


def test_cues_go_into_a_wav_without_any(tmp_path: Path) -> None:
    for name in ("a.wav", "b.flac"):
        files.write(tmp_path / name, tone(440, 0.1), RATE)
    write_cues(tmp_path / "a.wav", [Cue(0, "x")])
    with pytest.raises(Invalid, match="has cues already"):
        write_cues(tmp_path / "a.wav", [Cue(0, "x")])
    with pytest.raises(Invalid, match="no RIFF WAVE"):
        write_cues(tmp_path / "b.flac", [Cue(0, "x")])


def test_a_table_has_one_row_for_each_beat(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", [(0.37, 1, 1, 128.0, "intro", "A"), (0.83875, 1, 2, 128.0, "a, b", "A")])
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert (float(rows[1]["time_s"]), rows[1]["beat"], rows[1]["section"]) == (0.83875, "2", "a, b")


def test_clicks_sound_on_beats_and_higher_on_downbeats(tmp_path: Path) -> None:
    # Beats across the blocks' borders, so that no click is cut in two.
    beats_s = np.arange(1, 8) * 65_536 / RATE - 0.02
    source = tone(100, beats_s[-1] + 1, level_db=-40)
    files.write(tmp_path / "in.wav", source, RATE, subtype="FLOAT")
    write_clicks(tmp_path / "out.flac", tmp_path / "in.wav", beats_s, beats_s[::4])
    mixed, rate = files.read(tmp_path / "out.flac")
    assert mixed.shape == source.shape and rate == RATE
    clicks = mixed - MUSIC * source
    for number, time_s in enumerate(beats_s):
        start = round(time_s * RATE)
        assert np.abs(clicks[:, start - 2000 : start]).max() < 1e-6
        heard = np.abs(np.fft.rfft(clicks[0, start : start + 2205], 44_100))
        assert np.argmax(heard) == pytest.approx(BEAT_HZ if number % 4 else DOWNBEAT_HZ, abs=12)
    assert np.abs(clicks).max() > 0.2


def test_clicks_do_not_make_a_full_recording_clip(tmp_path: Path) -> None:
    files.write(tmp_path / "in.wav", np.sign(tone(50, 2.0)), RATE, subtype="FLOAT")
    write_clicks(tmp_path / "out.wav", tmp_path / "in.wav", [0.5, 1.0], [0.5])
    assert np.abs(files.read(tmp_path / "out.wav")[0]).max() <= 1.0
