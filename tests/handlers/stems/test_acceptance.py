"""The table: a file damaged on purpose is caught by its row alone, and sound stems of every style pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from handlers.audio.loudness import measure as measure_loudness
from handlers.stems.acceptance import RULES, judge
from handlers.stems.backend import Take
from handlers.stems.fit import fit
from handlers.stems.params import StemsParams
from handlers.stems.styles import list_styles, load_style
from handlers.stems.takes import measure
from tests.handlers.stems.conftest import CONFIG
from tests.handlers.stems.players import RATE, beat

DURATION = 8.0
"""Shorter audio is not judged for drift."""


def failed(audio: np.ndarray, style: str = "techno/bed", **changes: object) -> list[str]:
    params = StemsParams.model_validate({"style": style, "duration": DURATION, **changes})
    take = Take(audio, RATE)
    return [rule.name for rule in judge(measure(fit(take, params), load_style(CONFIG / "styles", style))).failed]


def at(audio: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    return audio[:, round(start_s * RATE) : round(end_s * RATE)]


def silent(audio: np.ndarray) -> np.ndarray:
    return audio * np.float32(1e-5)


def short(audio: np.ndarray) -> np.ndarray:
    return audio[:, :-1]


def with_a_gap(audio: np.ndarray) -> np.ndarray:
    at(audio, 3.0, 3.6)[:] *= np.float32(1e-4)
    return audio


def with_dc(audio: np.ndarray) -> np.ndarray:
    audio[1] += np.float32(0.01)
    return audio


def clipped(audio: np.ndarray) -> np.ndarray:
    return np.clip(audio, -0.3, 0.3)


def fading(audio: np.ndarray) -> np.ndarray:
    return audio * np.float32(10) ** np.linspace(0, -0.9, audio.shape[1], dtype=np.float32)


DAMAGES = {"silence": silent, "length": short, "gap": with_a_gap, "dc": with_dc, "clipping": clipped, "drift": fading}


@pytest.mark.parametrize("row", DAMAGES)
def test_a_damaged_file_is_caught_by_its_row(row: str):
    assert failed(beat(DURATION)) == []
    assert row in failed(DAMAGES[row](beat(DURATION)))


@pytest.mark.parametrize("row", ["gap", "dc", "clipping", "drift"])
def test_a_damage_fails_no_other_row(row: str):
    assert failed(DAMAGES[row](beat(DURATION))) == [row]


def test_a_true_peak_over_the_limit_is_caught():
    params = StemsParams.model_validate({"style": "techno/bed", "duration": DURATION})
    loud = Take(beat(DURATION) * np.float32(4), RATE)
    untamed = replace(fit(loud, params), loudness=measure_loudness(loud.audio, RATE))
    verdict = judge(measure(untamed, load_style(CONFIG / "styles", "techno/bed")))
    assert [rule.name for rule in verdict.failed] == ["true_peak"]


def test_a_loop_that_does_not_come_round_is_caught():
    time = np.arange(10 * RATE) / RATE
    changing = beat(10.0) * np.where(time < 2, 0, 1).astype(np.float32) + 0.2 * np.sin(600 * time * time / 10)
    assert "seam" in failed(changing.astype(np.float32), loop=True)


def test_every_row_of_the_table_can_fail():
    over = {rule.name: rule.most + 1.0 for rule in RULES}
    assert [rule.name for rule in judge(over).failed] == [rule.name for rule in RULES]
    at_the_limit = {rule.name: float(rule.most) for rule in RULES}
    assert judge(at_the_limit).passed
    assert not judge({"gap": float("nan")}).passed


def test_a_row_that_does_not_apply_is_not_judged():
    assert judge({"tempo": None, "gap": 0.1}).measured == {"gap": 0.1}
    with pytest.raises(KeyError, match="volume"):
        judge({"volume": 1.0})


def test_what_is_too_loud_is_turned_down_as_a_whole_and_then_holds():
    loud = beat(DURATION) * np.float32(4)
    params = StemsParams.model_validate({"style": "techno/bed", "duration": DURATION})
    fitted = fit(Take(loud, RATE), params)
    assert fitted.loudness.true_peak_dbtp == pytest.approx(-1.0, abs=0.02)
    assert np.allclose(fitted.audio, loud * 10 ** (fitted.facts["gain_db"] / 20), atol=1e-3)
    assert failed(loud) == []


def test_a_quiet_intro_and_a_break_are_no_drift():
    audio = beat(12.0)
    at(audio, 0.0, 2.0)[:] *= np.float32(0.03)
    at(audio, 5.0, 7.0)[:] *= np.float32(0.03)
    assert failed(audio, duration=12) == []


def test_a_transition_may_rise_by_parts_that_enter_but_not_as_a_whole():
    time = np.arange(round(DURATION * RATE)) / RATE
    rising = np.float32(10) ** np.linspace(-1, 0, len(time), dtype=np.float32)
    hats = 0.1 * np.random.default_rng(1).standard_normal((2, len(time))).astype(np.float32)
    entering = 0.1 * np.sin(2 * np.pi * 80 * time).astype(np.float32) + hats * rising
    assert failed(entering, "techno/transition") == []
    assert failed(entering * rising, "techno/transition") == ["drift"]


@pytest.mark.parametrize("name", list_styles(CONFIG / "styles"))
def test_a_sound_stem_of_every_style_passes(name: str, instrument: Callable):
    assert instrument(name, DURATION).failed == ()
