"""The files that a run makes on request, each read back by the library that its users have."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from pyrekordbox.rbxml import RekordboxXml
from wavinfo import WavInfoReader

from handlers.audio import files
from handlers.beats.analyze import run
from handlers.beats.params import BeatsParams
from tests.fixtures.sound import noise
from tests.handlers.audio.grid import songs

ALL = ["audacity", "rekordbox", "midi", "csv", "cues", "click"]


def test_every_export_says_what_the_json_says(analyze: Any) -> None:
    audio, _ = songs.piece([songs.block(parts) for parts in (["chords"], ["drums", "bass", "chords"])])
    result, context = analyze(np.pad(audio, ((0, 0), (5000, 0))), songs.SAMPLE_RATE, exports=ALL)
    downbeats_s, starts_s = np.array(result["downbeats"]), [one["start_s"] for one in result["sections"]]
    names = [f"{one['label']} {one['letter']}" for one in result["sections"]]
    assert len(names) == 2

    def path(label: str) -> Path:
        found = context.delivered("sidecar", label=label).path
        assert found.parent == context.workdir  # a worker delivers nothing from folders below it
        return found

    lines = [line.split("\t") for line in path("audacity-sections").read_text().splitlines()]
    assert [(float(start), text) for start, _, text in lines] == list(zip(starts_s, names, strict=True))
    assert len(path("audacity-beats").read_text().splitlines()) == len(result["beats"])

    (track,) = RekordboxXml(path("rekordbox")).get_tracks()
    assert track.AverageBpm == pytest.approx(result["tempo"], abs=0.01) and track.Tonality == result["key"]["camelot"]
    assert track.tempos[0].Inizio == pytest.approx(result["beats"][0], abs=0.001)
    assert track.tempos[0].Battito == result["beats_in_bar"][0] and track.tempos[0].Metro == "4/4"
    assert [mark.Name for mark in track.marks] == names

    now_s, marks = 0.0, []
    for message in mido.MidiFile(path("midi")):
        now_s += message.time
        if message.type == "marker":
            marks.append((message.text, now_s))
    assert marks[1] == (names[1], pytest.approx(starts_s[1], abs=0.002))

    with open(path("csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time_s"]) for row in rows] == result["beats"]
    assert [int(row["beat"]) for row in rows] == result["beats_in_bar"]
    assert rows[-1]["section"] == result["sections"][-1]["label"]

    cues = WavInfoReader(str(path("cues"))).cues
    assert len(cues.cues) == len(names) + len(downbeats_s)
    assert {label.text for label in cues.labels} >= {*names, "bar 1"}

    clicked, rate = files.read(path("click"))
    assert (clicked.shape[1], rate) == (round(result["duration_s"] * rate), result["sample_rate"])


def test_the_copy_with_cues_has_the_same_samples(analyze: Any) -> None:
    _, context = analyze(noise(3.0, seed=8), exports=["cues"])
    (source,) = next(iter(context.inputs.values()))
    copy, _ = files.read(context.delivered("sidecar", label="cues").path)
    np.testing.assert_array_equal(copy, files.read(source.path)[0])


def test_exports_that_need_a_beat_are_left_out_with_a_warning(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "noise.flac", noise(5.0), 44_100)
    context = context_factory(inputs={"in": tmp_path / "noise.flac"})
    run(BeatsParams(input="in", exports=ALL), context)
    assert {one.label for one in context.emitted} == {"picture", "audacity-sections", "cues", ""}
    assert [warning.rpartition(" ")[2] for warning in context.warnings] == ["rekordbox", "midi", "csv", "click"]
