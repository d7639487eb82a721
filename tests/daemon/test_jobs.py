"""Ids, and what becomes of a run after an attempt."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.jobs import ID_PATTERN, Tally, file_name, judge, make_id, slug, timestamp

NOW = datetime(2026, 11, 21, 2, 3, 15, 250_000, tzinfo=UTC)


def test_an_id_says_when_what_and_which() -> None:
    assert make_id(NOW, "industrial-set", 42) == "20261121-020315-industrial-set-0042"
    assert ID_PATTERN.fullmatch(make_id(NOW, "Ünïcode / name", 123456))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kick Study", "kick-study"),
        ("../../etc/passwd", "etc-passwd"),
        ("Größe", "grosse"),
        ("日本", "job"),
        ("x" * 90, "x" * 60),
        ("\x1b[31mred", "31mred"),
    ],
)
def test_a_name_is_reduced_to_what_is_safe_everywhere(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_times_are_utc_and_sort_as_text() -> None:
    assert timestamp(NOW) == "2026-11-21T02:03:15.250Z"


def test_files_are_named_for_people() -> None:
    assert file_name("industrial-set", "beds", 1, 1, 3, "", ".wav") == "industrial-set_beds_3.wav"
    assert file_name("industrial-set", "beds", 1, 1, 3, "grid", ".json") == "industrial-set_beds_3_grid.json"
    assert file_name("old-tapes", "mine", 12, 200, 3, "", ".wav") == "old-tapes_mine_012-3.wav"


def verdict(
    outcome: str,
    meaning: str | None = None,
    *,
    failed: int = 0,
    crashes: int = 0,
    interruptions: int = 0,
    retries: int = 2,
):
    return judge(outcome, meaning, "why", Tally(failed, crashes, interruptions), retries=retries, backoff_s=10)


def test_an_error_that_may_pass_is_tried_again_with_doubling_pauses() -> None:
    assert [
        (verdict("failed", "transient", failed=n).state, verdict("failed", "transient", failed=n).delay_s)
        for n in (1, 2, 3)
    ] == [
        ("queued", 10),
        ("queued", 20),
        ("failed", 0),
    ]


@pytest.mark.parametrize("meaning", ["invalid", "bug", "timeout"])
def test_an_error_that_will_not_pass_is_not_tried_again(meaning: str) -> None:
    assert verdict("failed", meaning, failed=1).state == "failed"


def test_a_run_that_kills_its_worker_is_quarantined_at_the_third_time() -> None:
    assert [verdict("crashed", crashes=n).state for n in (1, 2, 3)] == ["queued", "queued", "failed"]
    assert "quarantined" in verdict("crashed", crashes=3).reason


def test_an_interrupted_run_is_not_to_blame_but_not_for_ever() -> None:
    assert [verdict("interrupted", interruptions=n).state for n in (1, 9, 10)] == ["queued", "queued", "failed"]


def test_out_of_memory_is_tried_again_at_once() -> None:
    assert (
        verdict("failed", "out_of_memory", failed=1).state,
        verdict("failed", "out_of_memory", failed=1).delay_s,
    ) == ("queued", 0)


def test_cancelled_is_cancelled() -> None:
    assert verdict("cancelled").state == verdict("failed", "cancelled").state == "cancelled"
