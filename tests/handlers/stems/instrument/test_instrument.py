"""The instrument as a backend: what it asks for, and what its takes hold."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from handlers.stems.backend import Request
from handlers.stems.instrument.backend import open_instrument
from handlers.stems.instrument.check import check
from handlers.stems.params import StemsParams


@pytest.fixture
def play(style, context_factory):
    """Play one request of a step with these parameters."""

    def play(item: int = 1, take: int = 0, seed: int = 7, **changes: object):
        params = StemsParams.model_validate({"style": "industrial/bed", "duration": 3, **changes})
        context = context_factory(seed=seed, step="beds")
        instrument = open_instrument(params, style(params.style), SimpleNamespace(), context)
        (made,) = instrument.play([Request(item, take)], lambda done: None)
        return made

    return play


def test_a_take_depends_on_its_request_alone(play, style, context_factory):
    params = StemsParams.model_validate({"style": "industrial/bed", "duration": 3})
    instrument = open_instrument(params, style(params.style), SimpleNamespace(), context_factory(seed=7, step="beds"))
    shares = []
    takes = instrument.play([Request(1), Request(2)], shares.append)
    assert np.array_equal(takes[1].audio, play(2).audio)
    assert shares == sorted(shares) and shares[-1] > 0.9


def test_another_take_is_another_piece_in_the_same_tempo_and_key(play):
    first, second = play(1), play(1, take=1)
    assert not np.array_equal(first.audio, second.audio)
    assert [first.facts[name] for name in ("tempo_bpm", "key")] == [second.facts[name] for name in ("tempo_bpm", "key")]


def test_a_range_of_tempo_is_drawn_from_by_the_job_alone(play):
    tempi = {seed: play(1, seed=seed, tempo=[100, 140]).facts["tempo_bpm"] for seed in range(6)}
    assert len(set(tempi.values())) > 3
    assert all(100 <= tempo <= 140 for tempo in tempi.values())
    assert play(2, seed=3, tempo=[100, 140]).facts["tempo_bpm"] == tempi[3]
    assert play(1, tempo=95.3, key="f# minor").facts["tempo_bpm"] == 95.3


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"melody": "beds/1"}, "error"), ({"remix": {"weirdness": 1.0}}, "error"), ({"temperature": 1.0}, "warning")],
)
def test_what_only_a_neural_model_reads_is_found_before_it_runs(style, changes, kind):
    params = StemsParams.model_validate({"style": "industrial/bed", **changes})
    (finding,) = check(params, style("industrial/bed"))
    assert (finding.kind, finding.key) == (kind, next(iter(changes)))
