"""From a request to a list of textures: lengths in seconds and bars, and what a TR-8S can hold."""

from __future__ import annotations

import pytest

from handlers.textures.params import TexturesParams
from handlers.textures.profiles import Pads, Profile, Swells
from handlers.textures.wanted import TR8S_MEMORY_S, fit_memory, list_wants, needs_bars

BAR_S = 240 / 123


def test_every_texture_has_a_place_a_number_and_a_length() -> None:
    wants = list_wants(TexturesParams(input="a"), Profile(), None)
    assert [want.place for want in wants] == list(range(27))
    assert [(want.kind, want.number, want.length_s) for want in wants[:3]] == [
        ("pads", 1, 4.0), ("pads", 2, 8.0), ("pads", 3, 12.0),
    ]  # fmt: skip
    assert [want.variant for want in wants[3:9]] == ["warm", "airy", "drone"] * 2
    assert {want.variant for want in wants[:3] + wants[9:]} == {""}


def test_bars_last_what_they_last_at_the_tempo() -> None:
    params = TexturesParams(input="a", kinds=["pads"], durations=["2 bars", 3.0])
    assert needs_bars(params, Profile())
    assert [want.length_s for want in list_wants(params, Profile(), BAR_S)] == [2 * BAR_S, 3.0, 2 * BAR_S]
    assert [want.length_s for want in list_wants(params, Profile(), None)] == [4.0, 3.0, 4.0]


def test_nobody_listens_for_a_tempo_that_no_length_needs() -> None:
    bars = Profile(pads=Pads(durations=["2 bars"]), swells=Swells(durations=["1 bar"]))
    assert not needs_bars(TexturesParams(input="a"), Profile())
    assert not needs_bars(TexturesParams(input="a", kinds=["clouds"]), bars)
    assert not needs_bars(TexturesParams(input="a", durations=[4.0], swells=0), bars)
    assert needs_bars(TexturesParams(input="a", durations=[4.0]), bars)
    assert needs_bars(TexturesParams(input="a", pack="tr8s"), Profile())


def test_for_a_tr8s_every_loop_is_whole_bars() -> None:
    wants = list_wants(TexturesParams(input="a", pack="tr8s"), Profile(), BAR_S)
    for want in wants:
        bars = want.length_s / BAR_S
        assert bars == pytest.approx(round(bars)) and bars >= 1 or want.kind == "flickers"
    assert [round(want.length_s / BAR_S) for want in wants[:3]] == [2, 4, 8]


def test_what_a_tr8s_cannot_hold_is_left_out_with_the_reason() -> None:
    wants = list_wants(TexturesParams(input="a", pads=64, durations=[60.0], kinds=["pads"]), Profile(), None)
    fitting = [want for want, reason in fit_memory(wants, TR8S_MEMORY_S, 256) if not reason]
    assert len(fitting) == 10
    assert all("memory of a TR-8S" in reason for _, reason in fit_memory(wants[:3], 59.0, 256))
    assert [reason == "" for _, reason in fit_memory(wants[:3], 600.0, 2)] == [True, True, False]
    (too_long,) = [
        reason
        for _, reason in fit_memory(
            list_wants(TexturesParams(input="a", kinds=["pads"], pads=1, durations=["64 bars"]), Profile(), 4.0),
            600.0,
            9,
        )
    ]
    assert "256.0 s is longer than the 180 s" in too_long
