"""Playing, judging and playing again: batches, retakes, what is accepted, and what never is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from handlers.audio import files
from handlers.contract import Cancelled, Invalid, ItemRecord
from handlers.stems.backend import Request, Take
from handlers.stems.check import describe
from handlers.stems.models.manifest import read_models
from handlers.stems.params import StemsParams
from handlers.stems.run import play
from handlers.stems.styles import load_style
from tests.handlers.stems.conftest import CONFIG
from tests.handlers.stems.players import RATE, Player, beat

DURATION = 1.0


def good(request: Request) -> np.ndarray:
    return beat(DURATION, seed=request.item)


def bad(request: Request) -> np.ndarray:
    """DC that grows less with every take."""
    return beat(DURATION, seed=request.item) + np.float32(0.1 / (request.take + 1))


def bad_until(take: int) -> Callable[[Request], np.ndarray]:
    return lambda request: good(request) if request.take >= take else bad(request)


def run(player: Player, context, **changes: object) -> None:
    params = StemsParams.model_validate({"style": "techno/bed", "duration": DURATION, "count": 1, **changes})
    wanted = [item for item in range(1, params.count + 1) if item not in context.completed]
    style, model = load_style(CONFIG / "styles", params.style), read_models(CONFIG / "models.yaml")["procedural"]
    play(player, wanted, params, style, model, context)


def samples(context, item: int = 1) -> np.ndarray:
    return files.read(context.delivered(item=item).path)[0]


def test_stems_are_played_as_many_at_a_time_as_the_backend_is_wide(stems_context):
    player, context = Player(good, width=3), stems_context()
    run(player, context, count=5)
    assert player.asked == [[(1, 0), (2, 0), (3, 0)], [(4, 0), (5, 0)]]
    assert [one.item for one in context.emitted if one.kind == "primary"] == [1, 2, 3, 4, 5]


def test_what_is_finished_is_not_played_again(stems_context):
    player, context = Player(good, width=2), stems_context(completed={2: ItemRecord(2, CONFIG)})
    run(player, context, count=4)
    assert player.asked == [[(1, 0), (3, 0)], [(4, 0)]]


def test_only_stems_that_fail_are_played_again_and_all_takes_are_on_record(stems_context):
    player = Player(lambda request: bad_until(2)(request) if request.item == 2 else good(request), width=3)
    context = stems_context()
    run(player, context, count=3)
    assert player.asked == [[(1, 0), (2, 0), (3, 0)], [(2, 1)], [(2, 2)]]
    facts = context.delivered(item=2).facts
    assert facts["gate"] == {"passed": True, "failed": [], "takes": 3}
    assert [take["failed"] for take in facts["takes"]] == [["dc"], ["dc"], []]
    assert facts["takes"][0]["measured"]["dc"] == pytest.approx(-20, abs=0.2)
    assert context.delivered(item=1).facts["gate"] == {"passed": True, "failed": [], "takes": 1}
    assert context.warnings == []
    log = context.delivered("sidecar", item=2, label="log").path.read_text()
    assert "take 1: failed dc" in log and "take 3: passed" in log and "delivered: take 3" in log


def test_a_stem_that_passes_is_delivered_before_others_are_played_again(stems_context):
    context = stems_context()
    delivered_by_then = []

    def make(request: Request) -> np.ndarray:
        if request.take:
            delivered_by_then.extend(one.item for one in context.emitted if one.kind == "primary")
        return bad_until(1)(request) if request.item == 1 else good(request)

    run(Player(make, width=2), context, count=2)
    assert delivered_by_then == [2]


def test_the_best_take_is_delivered_and_marked(stems_context):
    player, context = Player(lambda request: bad(replace(request, take=(1, 4, 2)[request.take]))), stems_context()
    run(player, context)
    facts = context.delivered().facts
    assert (facts["take"], facts["gate"]) == (1, {"passed": False, "failed": ["dc"], "takes": 3})
    assert samples(context).mean() == pytest.approx(0.02, abs=0.002), "of the three the one with least DC"
    (warning,) = context.warnings
    assert "stem 1" in warning and "dc" in warning and "3 takes" in warning and "-50" in warning


def test_retakes_are_as_many_as_asked_for(stems_context):
    for retakes in (0, 1, 4):
        player = Player(bad)
        run(player, stems_context(), retakes=retakes)
        assert player.asked == [[(1, take)] for take in range(retakes + 1)]


def test_a_job_that_accepts_none_fails_with_what_was_measured(stems_context):
    context = stems_context()
    with pytest.raises(Invalid, match=r"stem 1: none of 2 takes passed.*dc: -2\d.*at most -50"):
        run(Player(bad), context, accept="none", retakes=1)
    assert context.emitted == []


@pytest.mark.parametrize(
    ("make", "row"),
    [
        (lambda request: good(request) * np.float32(1e-5), "silence"),
        (lambda request: good(request)[:, :-5], "length"),
        (lambda request: good(request)[:, :0], "length"),
        (lambda request: np.where(np.arange(44_100) == 7, np.float32(np.nan), good(request)), "not_a_number"),
    ],
)
def test_silence_nan_and_a_wrong_length_fail_whatever_is_accepted(stems_context, make, row):
    player, context = Player(make), stems_context()
    with pytest.raises(Invalid, match=f"stem 1: nothing of 3 takes can be delivered; the best has.*{row}"):
        run(player, context, accept="best")
    assert context.emitted == [] and len(player.asked) == 3


def test_a_take_with_two_faults_is_better_than_one_that_cannot_be_delivered(stems_context):
    def make(request: Request) -> np.ndarray:
        return good(request)[:, :-1] if request.take else np.clip(bad(request), -0.1, 0.2)

    context = stems_context()
    run(Player(make), context)
    facts = context.delivered().facts
    assert (facts["take"], facts["gate"]["failed"]) == (0, ["dc", "clipping"])


def test_progress_over_all_stems_never_falls_and_ends_at_the_whole(stems_context):
    context = stems_context(completed={1: ItemRecord(1, CONFIG)})
    run(Player(lambda request: bad_until(request.item % 3)(request), width=2), context, count=6)
    done = [entry[1] for entry in context.progressed]
    assert done == sorted(done) and done[0] >= 1
    assert context.progressed[-1] == ("working", 6, 6, "stems")


def test_cancelling_between_takes_delivers_nothing(stems_context):
    context = stems_context(cancel_at=3)
    with pytest.raises(Cancelled):
        run(Player(bad), context)
    assert context.emitted == []


def test_a_model_that_misses_its_tempo_is_stretched_to_it_and_one_that_ignores_it_is_played_again(stems_context):
    def make(request: Request) -> Take:
        tempo_bpm = 100.0 if request.take == 0 else 123.0
        return Take(beat(14.0, tempo_bpm, start_s=0.2), RATE, {"prompt": "a beat", "asked_tempo_bpm": 126.0})

    context = stems_context()
    run(Player(make), context, duration=10, snap="bars")
    facts = context.delivered().facts
    assert [take["failed"] for take in facts["takes"]] == [["tempo"], []]
    assert facts["takes"][0]["measured"]["tempo"] == pytest.approx(100 * (1 - 100 / 126), abs=0.5)
    assert (facts["tempo_bpm"], facts["bars"]) == (126.0, 5)
    assert facts["tempo_measured_bpm"] == pytest.approx(126, rel=0.005)
    assert facts["duration_s"] == pytest.approx(5 * 240 / 126, abs=1 / RATE)
    text = describe(ItemRecord(1, context.delivered().path, facts))
    assert "where 126 were asked for" in text and "take 2 of 2" in text


def test_what_nobody_knows_is_heard(stems_context):
    context = stems_context()
    run(Player(lambda request: beat(8.0, 124.0)), context, duration=8)
    facts = context.delivered().facts
    assert facts["tempo_measured_bpm"] == pytest.approx(124, rel=0.005)
    assert "key_measured" in facts and "tempo_bpm" not in facts, "what was measured is not claimed as known"
