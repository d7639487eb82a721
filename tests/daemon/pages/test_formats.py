"""Values read as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.pages.formats import clock, date, name_of, one_line, size, took, value_of, visible


@pytest.mark.parametrize(
    ("time_s", "tenths", "text"),
    [
        (0, False, "0:00"),
        (59.6, False, "1:00"),
        (187, False, "3:07"),
        (3765, False, "1:02:45"),
        (7.46, True, "0:07.5"),
        (59.96, True, "1:00.0"),
    ],
)
def test_clock(time_s: float, tenths: bool, text: str) -> None:
    assert clock(time_s, tenths=tenths) == text


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (None, "–"),
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (252, "4 min 12 s"),
        (7500, "2 h 5 min"),
        (59.99, "1 min 0 s"),
        (3599.8, "1 h 0 min"),
    ],
)
def test_work_took(time_s: float | None, text: str) -> None:
    assert took(time_s) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (15_876_044, "15.9 MB")],
)
def test_sizes_never_need_four_digits(size_bytes: int | None, text: str) -> None:
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("key", "value", "name", "text"),
    [
        ("tempo_bpm", 127.96, "Tempo", "128.0 BPM"),
        ("integrated_lufs", -14.04, "Loudness", "−14.0 LUFS"),
        ("true_peak_dbtp", -1, "True peak", "−1.0 dBTP"),
        ("integrated_lufs", None, "Loudness", "–"),
        ("sample_rate", 44100, "Sample rate", "44.1 kHz"),
        ("cutoff_hz", 120, "Cutoff", "120 Hz"),
        ("fade_s", 0.25, "Fade", "0.25 s"),
        ("onsets", 18742, "Onsets", "18,742"),
        ("seed", 4294967295, "Seed", "4294967295"),
        ("steady", True, "Steady", "yes"),
        ("times", [0.1, 0.2], "Times", "2 entries"),
        ("parts", ["kick", "bass"], "Parts", "kick, bass"),
        ("_s", 1.5, "S", "1.5 s"),
        ("seam", {"jump": 0.336, "flux_inside": True, "dip_db": -0.86}, "Seam", "jump 0.336, flux inside yes, dip \N{MINUS SIGN}0.9 dB"),
        ("seam", {"jump": [1]}, "Seam", '{"jump": [1]}'),
    ],
)
def test_facts_are_named_and_carry_their_unit(key: str, value: Any, name: str, text: str) -> None:
    assert (name_of(key), value_of(key, value)) == (name, text)


@pytest.mark.parametrize("key", ["duration_s", "tempo_bpm", "sample_rate", "kbps", "x_bytes", "y_s", "seed", "n"])
@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308])
def test_number_that_nothing_can_hold_is_said_to_be_out_of_range(key: str, value: float) -> None:
    assert value_of(key, value) == "out of range"


def test_date_is_in_utc_and_what_is_no_date_stays() -> None:
    assert date("2026-11-21T02:03:15.250Z") == "21 November 2026, 02:03 UTC"
    assert date("soon") == "soon"
    assert date(None) == "–"


def test_what_cannot_be_seen_is_shown_as_a_sign() -> None:
    assert visible("a\x1b[0m\x00\x7f\x9b\u202e\ud800\tb\nc") == "a␛[0m␀␡\ufffd\ufffd\ufffd\tb\nc"
    assert one_line(" a\r\n\tb \n") == "a b"
