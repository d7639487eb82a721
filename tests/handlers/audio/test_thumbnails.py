"""Small pictures: what is loud is tall, what was taken is marked, and any length of sound can be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handlers.audio.thumbnails import (
    HEADER,
    LANE,
    LONG_WAVE,
    LONG_WIDTH,
    MARGIN,
    WAVE,
    WIDTH,
    Envelope,
    draw_overview,
    draw_thumbnail,
)
from tests.fixtures.sound import tone


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_extremes_do_not_depend_on_how_the_recording_is_cut() -> None:
    audio = np.random.default_rng(1).uniform(-1, 1, (2, 10_007)).astype(np.float32)
    whole, parts = Envelope(10_007, 100), Envelope(10_007, 100)
    whole.feed(audio)
    for start in range(0, 10_007, 313):
        parts.feed(audio[:, start : start + 313])
    np.testing.assert_array_equal(whole.high, parts.high)
    np.testing.assert_array_equal(whole.low, parts.low)
    assert whole.high[0] == audio[:, :101].max() and whole.low.min() == audio.min()


def test_the_louder_half_is_drawn_taller(tmp_path: Path) -> None:
    audio = tone(440.0, 2.0)
    audio[:, : audio.shape[1] // 2] *= 0.1
    draw_thumbnail(tmp_path / "a.png", audio, 44_100)
    filled = pixels(tmp_path / "a.png")[:WAVE] > 0
    assert filled[:, 500].sum() > 5 * filled[:, 100].sum() > 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 100), (4, 5000)])
def test_the_shortest_sound_and_silence_have_a_picture(tmp_path: Path, shape: tuple[int, int]) -> None:
    draw_thumbnail(tmp_path / "a.png", np.zeros(shape, np.float32), 8_000)
    envelope = Envelope(shape[1])
    envelope.feed(np.zeros(shape, np.float32))
    draw_overview(tmp_path / "b.png", envelope, 8_000, {})
    assert pixels(tmp_path / "a.png").shape == (160, WIDTH) and pixels(tmp_path / "b.png").shape[1] == LONG_WIDTH


@pytest.mark.parametrize(("title", "plain"), [("Größe", "Grosse"), ("日本語", ""), ("Caf\u00e9\u2003Łódź", "Cafe Lodz")])
def test_a_title_is_drawn_in_letters_that_the_font_has(tmp_path: Path, title: str, plain: str) -> None:
    envelope = Envelope(8_000)
    envelope.feed(tone(440.0, 1.0, 8_000))
    for name, text in (("a.png", title), ("b.png", plain)):
        draw_overview(tmp_path / name, envelope, 8_000, {}, text)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_long_title_leaves_the_length_legible(tmp_path: Path) -> None:
    envelope = Envelope(8_000)
    envelope.feed(tone(440.0, 1.0, 8_000))
    for name, title in (("a.png", "A" * 300), ("b.png", "")):
        draw_overview(tmp_path / name, envelope, 8_000, {}, title)
    titled, plain = (pixels(tmp_path / name)[:HEADER, -60:] for name in ("a.png", "b.png"))
    np.testing.assert_array_equal(titled, plain)


def test_what_was_taken_is_marked_in_its_lane_and_in_the_waveform(tmp_path: Path) -> None:
    audio = tone(440.0, 10.0)
    envelope = Envelope(audio.shape[1])
    envelope.feed(audio)
    draw_overview(tmp_path / "a.png", envelope, 44_100, {"pads": [(5.0, 6.0)], "hiss": []}, "old tape")
    picture = pixels(tmp_path / "a.png")
    lane = picture[HEADER + LONG_WAVE + 6, MARGIN:]
    width = LONG_WIDTH - MARGIN
    marked = np.flatnonzero(lane == 4)
    assert marked[0] == width // 2 and marked[-1] == pytest.approx(0.6 * width, abs=1)
    assert not (picture[HEADER + LONG_WAVE + 6 + LANE, MARGIN:] > 3).any()
    wave = picture[HEADER + LONG_WAVE // 2, MARGIN:]
    assert (wave[: width // 2] == 3).all() and (wave[width // 2 : width // 2 + 100] == 4).all()
