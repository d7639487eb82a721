"""What stems sound like, measured on the samples."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from handlers.audio.loudness import measure
from handlers.stems.instrument.render import SAMPLE_RATE, render
from handlers.stems.instrument.score import STEPS

ROOT = Path(__file__).parents[4]

LOUDNESS_LUFS = (-16.0, -14.0)
TRUE_PEAK_DBTP = -1.0
DC_DB = -80.0
ONSET_TOLERANCE_S = 0.002


def paced(style, tempo_bpm):
    return replace(style, tempo=(tempo_bpm, tempo_bpm))


def test_the_same_seed_gives_the_same_samples(style):
    first, again = (render(style("industrial/bed"), 7.3, 5, step="beds", index=2).audio for _ in range(2))
    assert np.array_equal(first, again)


def test_another_process_with_another_hash_seed_gives_the_same_samples(style):
    program = (
        "import hashlib; from pathlib import Path; from handlers.stems.instrument.render import render;"
        "from handlers.stems.styles import load_style;"
        "audio = render(load_style(Path('config/styles'), 'industrial/bed'), 5.0, 5).audio;"
        "print(hashlib.sha256(audio.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    here = render(style("industrial/bed"), 5.0, 5).audio
    assert run.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


@pytest.mark.parametrize("other", [{"index": 2}, {"step": "more"}, {"seed": 6}, {"take": 1}])
def test_another_index_step_seed_or_take_gives_other_samples(style, other):
    request = {"seed": 5, "step": "beds", "index": 1}
    one = render(style("industrial/bed"), 4.0, **request).audio
    two = render(style("industrial/bed"), 4.0, **(request | other)).audio
    assert np.abs(one - two).max() > 0.05


@pytest.mark.parametrize("duration_s", [1.0, 3.337, 10.0])
def test_stems_have_exactly_the_samples_asked_for(style, duration_s):
    audio = render(style("industrial/transition"), duration_s, 1).audio
    assert audio.shape == (2, round(duration_s * SAMPLE_RATE))
    assert audio.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "duration_s"),
    [("industrial/transition", 30.0), ("darkwave/bed", 20.0), ("ambient/bed", 30.0), ("techno/bed", 2.0)],
)
def test_level_peak_and_dc_are_as_promised(style, name, duration_s):
    audio = render(style(name), duration_s, 3).audio
    _check_level(audio)


def test_a_minute_has_its_level_peak_and_dc(minute):
    _check_level(minute.audio)


def _check_level(audio):
    loudness = measure(audio, SAMPLE_RATE)
    assert LOUDNESS_LUFS[0] <= loudness.integrated_lufs <= LOUDNESS_LUFS[1]
    assert loudness.true_peak_dbtp < TRUE_PEAK_DBTP
    assert 20 * np.log10(np.abs(audio.mean(axis=1)).max() + 1e-12) < DC_DB


def test_stems_start_and_end_at_zero(minute):
    assert np.abs(minute.audio[:, 0]).max() < 1e-3
    assert np.abs(minute.audio[:, -1]).max() < 1e-3


def test_no_two_bars_are_alike(minute):
    meter = minute.score.meter
    length = int(meter.step_frames * STEPS)
    bars = [minute.audio[:, meter.frame(bar * STEPS) :][:, :length].astype(np.float64) for bar in range(meter.bars)]
    energy = [np.sum(bar**2) for bar in bars]
    for one, two in combinations(range(len(bars)), 2):
        difference = np.sum((bars[one] - bars[two]) ** 2) / max(energy[one], energy[two])
        assert difference > 1e-3, f"bars {one} and {two} differ by only {10 * np.log10(difference):.0f} dB"


def test_drops_have_a_low_end_and_breakdowns_have_none(minute):
    low = signal.sosfilt(signal.butter(4, 90, fs=SAMPLE_RATE, output="sos"), minute.audio.mean(axis=0))
    level = {}
    for section in minute.grid["sections"]:
        piece = low[int(section["start_s"] * SAMPLE_RATE) : int(section["end_s"] * SAMPLE_RATE)]
        level.setdefault(section["label"], []).append(np.mean(piece**2))
    assert min(level["drop"]) > 10 * max(level["breakdown"])


def test_the_low_end_is_mono_and_the_top_is_wide(minute):
    mid, side = minute.audio[0] + minute.audio[1], minute.audio[0] - minute.audio[1]
    lowpass = signal.butter(8, 100, fs=SAMPLE_RATE, output="sos")
    highpass = signal.butter(8, 2000, "highpass", fs=SAMPLE_RATE, output="sos")
    low, high = (
        10 * np.log10(np.mean(signal.sosfilt(filter_, side) ** 2) / np.mean(signal.sosfilt(filter_, mid) ** 2))
        for filter_ in (lowpass, highpass)
    )
    assert low < -20
    assert -12 < high < 1


def test_the_grid_is_where_the_kicks_are(style):
    """Kick alone, dry: every hit in the sound lies where the grid says, and there are no others."""
    family = style("techno/bed")
    dry = replace(
        family, character=family.character.model_copy(update={"parts": ("kick",), "room": 0.0, "weight": 0.2})
    )
    stem = render(paced(dry, 127.3), 30.0, 4)
    click = signal.sosfilt(
        signal.butter(4, (150, 2500), "bandpass", fs=SAMPLE_RATE, output="sos"), stem.audio.mean(axis=0)
    )
    for kick_s in stem.grid["kicks_s"]:
        at = round(kick_s * SAMPLE_RATE)
        around = np.abs(click[max(0, at - 1500) : at + 1500])
        first = np.flatnonzero(around > 0.2 * around.max())[0] + max(0, at - 1500)
        assert abs(first - at) / SAMPLE_RATE < ONSET_TOLERANCE_S
    beats = np.array(stem.grid["beats_s"])
    assert np.abs(beats - np.arange(len(beats)) * 60 / 127.3).max() <= 0.5 / SAMPLE_RATE
    on_beat = [kick for kick in stem.grid["kicks_s"] if np.abs(beats - kick).min() == 0]
    assert len(on_beat) > 0.7 * len(beats)
    envelope = np.abs(click).reshape(-1, 441).max(axis=1) / np.abs(click).max()
    attacks = [10 + frame for frame in np.flatnonzero((envelope[10:] > 0.3) & (envelope[9:-1] < 0.06))]
    assert len(attacks) > 0.7 * len(beats)
    assert all(min(abs(frame * 0.01 - kick) for kick in stem.grid["kicks_s"]) <= 0.01 for frame in attacks)


def test_downbeats_are_every_fourth_beat_from_zero(minute):
    beats, downbeats = minute.grid["beats_s"], minute.grid["downbeats_s"]
    assert downbeats == beats[::4]
    assert beats[0] == 0
    assert beats[-1] < 60


def test_progress_climbs_and_may_stop_the_render(style):
    seen = []
    render(style("industrial/bed"), 4.0, 1, pulse=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 8
    assert 0 <= seen[0] <= seen[-1] <= 1

    def stop(done):
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(style("industrial/bed"), 4.0, 1, pulse=stop)


def test_a_stem_without_whole_bars_rings_out(style):
    """After the last whole bar there is one hit, and then only its tail."""
    stem = render(paced(style("industrial/bed"), 128), 21.0, 2)
    meter = stem.score.meter
    tail = stem.audio[:, meter.frame(meter.bars * STEPS) :]
    assert meter.tail_steps > 2
    quarters = [float(np.mean(piece**2)) for piece in np.array_split(tail, 4, axis=1)]
    assert quarters == sorted(quarters, reverse=True)
    assert quarters[-1] < 0.02 * quarters[0]
