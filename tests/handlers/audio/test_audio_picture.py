"""Pictures show what is in the sound, at its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handlers.audio import files, picture, strips
from handlers.audio.columns import Columns
from handlers.audio.strips import Strip
from tests.fixtures.sound import noise, tone

RATE = 44_100
WAVE = slice(picture.HEADER, picture.HEADER + picture.WAVE)
SPECTRUM = slice(WAVE.stop + picture.GAP, WAVE.stop + picture.GAP + picture.SPECTRUM)
MIDDLE = picture.LEFT + picture.PLOT_WIDTH // 2


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int).sum(axis=2)


def test_loud_half_and_silent_half_are_told_apart(tmp_path: Path) -> None:
    audio = noise(10)
    audio[:, 5 * RATE :] = 0
    picture.draw(tmp_path / "a.png", audio, RATE)
    found = pixels(tmp_path / "a.png")
    assert found.shape == (picture.HEIGHT, picture.WIDTH)
    for panel in (WAVE, SPECTRUM):
        assert found[panel, picture.LEFT + 40 : MIDDLE - 10].mean() > 2 * found[panel, MIDDLE + 10 : -20].mean()


def test_a_tone_is_a_line_at_its_frequency(tmp_path: Path) -> None:
    picture.draw(tmp_path / "a.png", tone(1000, 5), RATE)
    brightest = pixels(tmp_path / "a.png")[SPECTRUM, MIDDLE].argmax()
    share = np.log(1000 / picture.LOWEST_HZ) / np.log(picture.HIGHEST_HZ / picture.LOWEST_HZ)
    assert abs(brightest - picture.SPECTRUM * (1 - share)) <= 2


def test_a_beat_is_a_line_at_its_time(tmp_path: Path) -> None:
    silence = np.zeros((1, 10 * RATE), np.float32)
    picture.draw(tmp_path / "with.png", silence, RATE, downbeats_s=[5.0])
    picture.draw(tmp_path / "without.png", silence, RATE)
    changed = np.flatnonzero((pixels(tmp_path / "with.png") - pixels(tmp_path / "without.png"))[WAVE].any(axis=0))
    assert changed.tolist() == [MIDDLE]


def test_more_beats_than_pixels_are_thinned_out(tmp_path: Path) -> None:
    silence = np.zeros((1, 8_000 * 600), np.float32)
    picture.draw(tmp_path / "with.png", silence, 8_000, beats_s=np.arange(0, 600, 0.3))
    picture.draw(tmp_path / "without.png", silence, 8_000)
    changed = (pixels(tmp_path / "with.png") - pixels(tmp_path / "without.png"))[WAVE].any(axis=0)
    assert 100 < changed.sum() < picture.PLOT_WIDTH / 6


def test_sections_tint_their_own_stretch(tmp_path: Path) -> None:
    picture.draw(tmp_path / "a.png", noise(10), RATE, sections=[(0, 5, "intro"), (5, 10, "drop")], title="A title")
    with Image.open(tmp_path / "a.png") as image:
        colours = np.asarray(image).astype(int)[WAVE]
    left, right = colours[:, picture.LEFT + 5 : MIDDLE - 5].mean((0, 1)), colours[:, MIDDLE + 5 : -20].mean((0, 1))
    # The first two colours are an ember orange and a steel blue.
    assert left[0] > left[2] and right[2] > right[0]


def test_a_section_without_room_for_its_name_says_its_letter(tmp_path: Path) -> None:
    def written(name: str, label: str, short: str = "") -> np.ndarray:
        sections = [picture.Span(0.0, 0.4, label, short), picture.Span(0.4, 20.0, "drop B", "B")]
        picture.draw(tmp_path / f"{name}.png", tone(440.0, 20.0), 44_100, sections=sections)
        with Image.open(tmp_path / f"{name}.png") as drawn:
            return np.asarray(drawn.convert("RGB"))[: picture.HEADER]

    np.testing.assert_array_equal(written("short", "breakdown A", "A"), written("letter", "A"))
    assert (written("none", "breakdown A") != written("letter", "A")).any()


@pytest.mark.parametrize("block", [1_000, 4_097, 65_536])
def test_columns_do_not_depend_on_the_blocks(block: int) -> None:
    audio = noise(7)
    whole, parts = Columns(audio.shape[1], 500), Columns(audio.shape[1], 500)
    whole.feed(audio)
    for start in range(0, audio.shape[1], block):
        parts.feed(audio[:, start : start + block])
    assert np.array_equal(whole.low, parts.low) and np.array_equal(whole.high, parts.high)
    assert np.allclose(whole.rms, parts.rms, rtol=1e-5)
    assert np.allclose(whole.power, parts.power, rtol=1e-3)
    assert whole.rms == pytest.approx(0.1, rel=0.2)


def test_a_file_is_drawn_like_its_audio(tmp_path: Path) -> None:
    audio = noise(3, level_db=-30)
    files.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    picture.draw_file(tmp_path / "file.png", tmp_path / "a.wav", title="same")
    picture.draw(tmp_path / "array.png", audio, RATE, title="same")
    assert np.array_equal(pixels(tmp_path / "file.png"), pixels(tmp_path / "array.png"))


@pytest.mark.parametrize("frames", [1, 2, 100, 5_000])
def test_the_shortest_sounds_are_drawn(tmp_path: Path, frames: int) -> None:
    picture.draw(tmp_path / "a.png", noise(1)[:, :frames], RATE, beats_s=[0.0], sections=[(0, 1, "all")])
    assert pixels(tmp_path / "a.png").shape == (picture.HEIGHT, picture.WIDTH)


@pytest.mark.parametrize(("time_s", "text"), [(0, "0:00"), (187.4, "3:07"), (3765, "1:02:45"), (59.6, "1:00")])
def test_times_read_as_clocks(time_s: float, text: str) -> None:
    assert picture.clock(time_s) == text


def test_strips_stand_below_and_follow_their_values(tmp_path: Path) -> None:
    columns = Columns(10 * RATE, picture.PLOT_WIDTH)
    columns.feed(noise(10))
    strip = Strip("tempo", [[(0, 100), (5, 100)], [(5, 140), (10, 140)]], 90, 150, (255, 0, 255), ticks=[100])
    picture.draw_columns(tmp_path / "a.png", columns, RATE, strips=[strip, strip])
    with Image.open(tmp_path / "a.png") as image:
        found = np.asarray(image).astype(int)
    assert found.shape[0] == picture.HEIGHT + 2 * (strips.HEIGHT + strips.GAP)
    below = (found[picture.HEIGHT : picture.HEIGHT + strips.HEIGHT] == (255, 0, 255)).all(axis=2)
    left, right = below[:, MIDDLE - 200].argmax(), below[:, MIDDLE + 200].argmax()
    assert 0 < right < left < strips.HEIGHT and left - right == pytest.approx((strips.HEIGHT - 16) * 40 / 60, abs=2)
