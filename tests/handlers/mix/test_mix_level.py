"""Levels: each piece brought to the others by one gain, the whole to what was asked for, every delivered file measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.audio import files
from handlers.audio.loudness import measure
from handlers.contract import ItemRecord
from handlers.mix.level import MOST_RAISED_DB, level_towards, match_levels
from handlers.mix.outlook import describe
from tests.fixtures.sound import integers, noise, tone

RATE = 44_100
LOUDNESS_TOLERANCE_LU = 0.1
FLOAT = [{"wav": {"bits": 32}}]


def level_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(audio**2)))


def music(duration_s: float, seed: int = 0) -> np.ndarray:
    """Dark noise with hits 12 dB above it, twice a second: what an encoder and a limiter have to work on."""
    audio = np.cumsum(noise(duration_s + 0.01, seed=seed, level_db=-26), axis=1)
    means = np.apply_along_axis(np.convolve, 1, audio, np.full(101, 1 / 101), "valid")
    audio = (audio[:, 50:-50] - means)[:, : round(duration_s * RATE)]
    audio *= 0.05 / audio.std()
    envelope = np.exp(-(np.arange(audio.shape[1]) % (RATE // 2)) / 2_000)
    return (audio * (1 + 3 * envelope)).astype(np.float32)


def test_pieces_are_brought_to_one_loudness_by_one_gain_each(mix: Callable[..., Any]) -> None:
    context = mix(
        noise(6, level_db=-34), noise(6, level_db=-22, seed=1), loudness=-23, transition={"kind": "cut"}, formats=FLOAT
    )
    audio, _ = files.read(context.delivered().path)
    first, second = audio[:, : 6 * RATE], audio[:, 6 * RATE :]
    assert measure(first, RATE).integrated_lufs == pytest.approx(measure(second, RATE).integrated_lufs, abs=0.05)
    gain = first / noise(6, level_db=-34)
    assert gain.max() - gain.min() < 1e-4 * gain.max(), "the gain moves"
    gains_db = [track["gain_db"] for track in context.delivered().facts["tracks"]]
    assert gains_db[0] - gains_db[1] == pytest.approx(12.0, abs=0.1)


def test_a_mono_piece_is_matched_as_it_will_be_heard(mix: Callable[..., Any]) -> None:
    context = mix(tone(997, 6, channels=1), tone(997, 6), loudness=-23, transition={"kind": "cut"}, formats=FLOAT)
    audio, _ = files.read(context.delivered().path)
    assert level_db(audio[:, : 6 * RATE]) == pytest.approx(level_db(audio[:, 6 * RATE :]), abs=0.02)


@pytest.mark.parametrize("keys", [{}, {"loudness": -23, "match": "none"}])
def test_levels_between_pieces_stay_where_no_match_is_asked_for(mix: Callable[..., Any], keys: dict[str, Any]) -> None:
    pieces = noise(4, level_db=-34), noise(4, level_db=-22, seed=1)
    audio, _ = files.read(mix(*pieces, transition={"kind": "cut"}, formats=FLOAT, **keys).delivered().path)
    assert level_db(audio[:, 4 * RATE :]) - level_db(audio[:, : 4 * RATE]) == pytest.approx(12.0, abs=0.05)


def test_matched_without_a_loudness_all_meet_in_the_middle(mix: Callable[..., Any]) -> None:
    pieces = [noise(4, level_db=level, seed=-level) for level in (-30, -24, -18)]
    audio, _ = files.read(mix(*pieces, match="loudness", transition={"kind": "cut"}, formats=FLOAT).delivered().path)
    for start in (0, 4, 8):
        assert level_db(audio[:, start * RATE : (start + 4) * RATE]) == pytest.approx(-24, abs=0.05)


def test_a_piece_is_raised_only_so_far_and_one_without_loudness_stays() -> None:
    gains, remarks = match_levels({"a": -14.0, "b": -60.0, "c": -np.inf}, -16.0)
    assert gains == {"a": -2.0, "b": MOST_RAISED_DB, "c": 0.0}
    assert "b: at -60.0 LUFS it is raised by 20 dB and no more, 24.0 LU under the others" in remarks
    assert "c: silent or shorter than 0.4 s, so without a loudness; its level stays" in remarks


@pytest.mark.parametrize("loudness", [-23, -14])
def test_every_delivered_file_has_the_loudness_and_keeps_its_ceiling(mix: Callable[..., Any], loudness: float) -> None:
    formats = ["wav", {"mp3": {"kbps": 128}}, {"ogg": {"quality": 3}}]
    context = mix(
        music(4), music(4, 1), loudness=loudness, lossy_ceiling=-2, formats=formats, transition={"duration": 1}
    )
    assert context.warnings == []
    for one in context.emitted:
        if one.kind not in ("primary", "rendition"):
            continue
        found = measure(files.read(one.path)[0], RATE)
        assert found.integrated_lufs == pytest.approx(loudness, abs=LOUDNESS_TOLERANCE_LU), one.path.name
        assert found.true_peak_dbtp <= (-1 if one.path.suffix == ".wav" else -2), one.path.name
        # What the manifest says is what is on the disk.
        assert one.facts["integrated_lufs"] == pytest.approx(found.integrated_lufs, abs=0.01)
        assert one.facts["true_peak_dbtp"] == pytest.approx(found.true_peak_dbtp, abs=0.03)
        assert one.facts["range_lu"] == pytest.approx(found.range_lu, abs=0.01)
        assert one.facts["short_term_max_lufs"] >= one.facts["integrated_lufs"] - 0.5


def test_a_lossy_file_is_written_once_more_and_not_twice(
    mix: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from handlers.mix import master

    written = []
    kept = master.encode
    monkeypatch.setattr(
        master, "encode", lambda *given: (written.append([path.name for path, _ in given[2]]), kept(*given))[1]
    )
    monkeypatch.setattr(master, "ROOM_DB", 0.0)
    context = mix(noise(4), loudness=-12, formats=[{"mp3": {"kbps": 64}}])
    assert written == [["mix.mp3"], ["mix.mp3"]]
    assert context.delivered().facts["true_peak_dbtp"] <= -1
    assert any("written once more" in message for _, message, _ in context.logged)


def test_a_lossy_file_keeps_its_ceiling_also_where_its_loudness_is_out_of_reach(mix: Callable[..., Any]) -> None:
    hits = noise(6, level_db=-8) * np.exp(-(np.arange(6 * RATE) % (RATE // 4)) / 3_000)
    context = mix(hits.astype(np.float32), loudness=-11, formats=[{"ogg": {"quality": 3}}])
    facts = context.delivered().facts
    assert facts["true_peak_dbtp"] <= -1
    # What is missing is said of the file as it is.
    assert any(f"{facts['integrated_lufs']:.2f} LUFS instead of -11" in warning for warning in context.warnings)


def test_a_loudness_needs_one_listening_where_little_is_limited() -> None:
    asked = []

    def listen(gain_db: float) -> float:
        asked.append(gain_db)
        return -14.0 - 0.1

    level = level_towards(-20.0, -3.0, -14.0, -1.0, listen)
    assert asked == [6.0] and level.limited
    assert level.gain_db == pytest.approx(6.115)


def test_peaks_under_the_ceiling_need_no_limiter_and_no_listening() -> None:
    level = level_towards(-20.0, -8.0, -14.0, -1.0, lambda gain_db: pytest.fail("listened"))
    assert (level.gain_db, level.limited, level.warning) == (6.0, False, None)


@pytest.mark.parametrize("duration_s", [0.39, 0.41, 1.0, 2.9])
def test_short_clips_are_what_bs_1770_says(mix: Callable[..., Any], duration_s: float) -> None:
    context = mix(tone(997, duration_s, level_db=-30), loudness=-20, formats=FLOAT)
    facts = context.delivered().facts
    # No gating block fits into less than 0.4 s, no short-term window into less than 3 s.
    if duration_s < 0.4:
        assert facts["integrated_lufs"] is None and "shorter than 0.4 s" in context.warnings[0]
        assert level_db(files.read(context.delivered().path)[0]) == pytest.approx(-33, abs=0.05)
    else:
        assert facts["integrated_lufs"] == pytest.approx(-20, abs=LOUDNESS_TOLERANCE_LU)
    assert facts["short_term_max_lufs"] is None


def test_nothing_but_one_gain_is_done_where_no_peak_is_in_the_way(mix: Callable[..., Any]) -> None:
    piece = noise(4, level_db=-40)
    context = mix(piece, loudness=-30, formats=FLOAT)
    gain = files.read(context.delivered().path)[0] / piece
    assert gain.max() - gain.min() < 1e-5 * gain.max()
    assert context.delivered().facts["limiter_db"] == 0.0


def test_a_clipped_piece_is_played_as_it_is_and_held_under_the_ceiling(mix: Callable[..., Any]) -> None:
    clipped = integers(3 * RATE, 16)  # Noise of all values, both extremes again and again.
    samples = mix(clipped, clipped, subtype="PCM_16", transition={"kind": "cut"}, formats=["wav"])
    assert samples.delivered().facts["sample_peak_dbfs"] == pytest.approx(0.0, abs=0.01)
    held = mix(clipped, clipped, subtype="PCM_16", transition={"kind": "cut"}, formats=["wav"], loudness=-14)
    found = measure(files.read(held.delivered().path)[0], RATE)
    assert found.true_peak_dbtp <= -1 and found.integrated_lufs == pytest.approx(-14, abs=LOUDNESS_TOLERANCE_LU)


def test_what_was_measured_is_shown() -> None:
    facts = {
        "duration_s": 116.0,
        "tracks": [{"label": "a", "start_s": 0.0}],
        "integrated_lufs": -14.02,
        "range_lu": 5.21,
    }
    facts |= {"short_term_max_lufs": -11.94, "true_peak_dbtp": -1.0}
    assert describe(ItemRecord(1, Path("mix.flac"), facts)).startswith(
        "1:56, -14.0 LUFS, range 5.2 LU, loudest 3 s -11.9 LUFS, -1.0 dBTP"
    )
