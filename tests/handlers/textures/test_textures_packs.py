"""What a pack's files are: rate, channels, bits, loops that stay whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handlers.audio import files
from handlers.audio.loudness import measure
from handlers.audio.seam import measure_seam
from handlers.textures.packs import convert, save, target_of
from handlers.textures.profiles import Output
from tests.fixtures.sound import tone
from tests.handlers.textures.materials import SAMPLE_RATE, filtered_noise, read_chunks, read_loop


@pytest.mark.parametrize(
    ("source_hz", "target_hz"),
    [(8_000, 48_000), (96_000, 48_000), (88_200, 44_100), (44_100, 44_100), (22_050, 44_100)],
)
def test_a_daw_is_given_one_of_two_rates_in_stereo(source_hz: int, target_hz: int) -> None:
    target = target_of("daw", Output())
    audio = convert(tone(400.0, 1.0, source_hz)[:1] * 0.4, source_hz, target, loop=True, peak_dbtp=-3.0)
    assert target.rate_for(source_hz) == target_hz and audio.shape == (2, target_hz)
    assert measure(audio, target_hz).true_peak_dbtp <= -2.9


def test_a_loop_that_is_resampled_still_meets_itself() -> None:
    # 400 periods a second in one second: a wave without an end.
    loop = 0.5 * tone(400.0, 1.0, 44_100)
    converted = convert(loop, 44_100, target_of("game", Output(sample_rate=48_000)), loop=True, peak_dbtp=-6.0)
    time_s = np.arange(48_000) / 48_000
    ideal = np.sin(2 * np.pi * 400 * time_s)
    assert abs(np.dot(converted[0], ideal)) / np.linalg.norm(converted[0]) / np.linalg.norm(ideal) > 0.999999


def test_what_needs_no_change_is_left_alone() -> None:
    audio = filtered_noise(1.0)
    assert convert(audio, SAMPLE_RATE, target_of("daw", Output()), loop=True, peak_dbtp=-3.0) is audio
    assert convert(audio, SAMPLE_RATE, target_of(None, Output()), loop=True, peak_dbtp=-3.0) is audio


def test_channels_are_folded_and_unfolded() -> None:
    quad = np.stack([np.full(100, value, np.float32) for value in (0.1, 0.2, 0.3, 0.4)])
    stereo = convert(quad, 44_100, target_of("daw", Output()), loop=True, peak_dbtp=-3.0)
    assert stereo.shape == (2, 100) and stereo[1, 50] / stereo[0, 50] == pytest.approx(1.5)
    assert convert(quad, 44_100, target_of("tr8s", Output()), loop=True, peak_dbtp=-3.0).shape == (1, 100)


@pytest.mark.parametrize(("bits", "subtype"), [(16, "PCM_16"), (24, "PCM_24"), (32, "FLOAT")])
def test_bits_are_those_of_the_profile(tmp_path: Path, bits: int, subtype: str) -> None:
    audio, target = filtered_noise(0.5), target_of(None, Output(bits=bits))
    save(tmp_path / "a.wav", audio, SAMPLE_RATE, target, loop=True, peak_dbtp=-3.0, tags={})
    assert files.probe(tmp_path / "a.wav").subtype == subtype
    assert read_loop(tmp_path / "a.wav") == (0, audio.shape[1] - 1)


@pytest.mark.parametrize(("pack", "loop"), [("tr8s", True), (None, False)])
def test_no_loop_points_where_they_are_not_read_or_nothing_loops(tmp_path: Path, pack, loop: bool) -> None:
    target = target_of(pack, Output())
    audio = convert(filtered_noise(0.5), SAMPLE_RATE, target, loop=loop, peak_dbtp=-3.0)
    save(tmp_path / "a.wav", audio, SAMPLE_RATE, target, loop=loop, peak_dbtp=-3.0, tags={})
    assert b"smpl" not in read_chunks(tmp_path / "a.wav")


def test_an_ogg_of_over_a_minute_is_written_in_blocks_stays_under_the_peak_and_loops(tmp_path: Path) -> None:
    target, audio = target_of("game", Output()), np.tile(filtered_noise(2.0)[:1], (1, 31))
    audio = audio / np.abs(audio).max() * np.float32(10 ** (-3 / 20))
    save(tmp_path / "a.ogg", audio, SAMPLE_RATE, target, loop=True, peak_dbtp=-3.0, tags={"title": "a"})
    decoded, rate = files.read(tmp_path / "a.ogg")
    assert decoded.shape == audio.shape and measure(decoded, rate).true_peak_dbtp <= -3.0


def test_an_ogg_keeps_the_seam_of_a_loop(tmp_path: Path) -> None:
    target, loop = target_of("game", Output()), 0.5 * tone(440.0, 2.0, 44_100)
    save(tmp_path / "a.ogg", loop, 44_100, target, loop=True, peak_dbtp=-3.0, tags={})
    decoded, rate = files.read(tmp_path / "a.ogg")
    seam = measure_seam(decoded, rate, 4_410)
    assert seam.jump <= 2.5 and seam.dip_db >= -2


def test_a_loop_at_another_rate_is_the_same_circle() -> None:
    turns = np.arange(44_100) / 44_100
    loop = np.sin(2 * np.pi * 440 * turns, dtype=np.float32)[None]
    target = target_of("daw", Output(sample_rate=48_000))
    made = convert(loop, 44_100, target, loop=True, peak_dbtp=-3.0)
    wanted = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    assert made.shape == (2, 48_000)
    np.testing.assert_allclose(made[0] / np.abs(made[0]).max(), wanted / np.abs(wanted).max(), atol=1e-3)
