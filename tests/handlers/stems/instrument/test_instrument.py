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
        params = StemsParams.model_validate({"style": "industrial/bed", "duration": 1, **changes})
        context = context_factory(seed=seed, step="beds")
        instrument = open_instrument(params, style(params.style), SimpleNamespace(), context)
        (made,) = instrument.play([Request(item, take)], lambda done: None)
        return made

    return play


def test_a_take_depends_on_its_request_alone(play, style, context_factory):
    params = StemsParams.model_validate({"style": "industrial/bed", "duration": 1})
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


LAYER_SUM_DB = -90.0


@pytest.mark.parametrize("name", ["industrial/bed", "darkwave/ambient"])
def test_layers_sum_to_the_mix_and_do_not_change_it(play, name):
    mixed = play(1, style=name, duration=12, layers=True)
    assert list(mixed.layers) == ["drums", "bass", "harmony", "noise"]
    rest = mixed.audio - sum(layer.astype(np.float64) for layer in mixed.layers.values())
    assert 20 * np.log10(np.abs(rest).max() / np.abs(mixed.audio).max()) < LAYER_SUM_DB
    assert np.array_equal(play(1, style=name, duration=12).audio, mixed.audio)


def test_a_layer_holds_its_own_parts_alone(play):
    mixed = play(1, duration=20, layers=True, prompt="no drums, no impacts")
    assert not mixed.layers["drums"].any()
    assert all(np.abs(mixed.layers[name]).max() > 0.02 for name in ("bass", "harmony", "noise"))


def test_a_prompt_is_read_and_what_is_not_understood_is_on_record(play):
    take = play(1, prompt="No drums, at 100 BPM in C minor, purple elephants")
    assert (take.facts["tempo_bpm"], take.facts["key"]) == (100.0, "C minor")
    assert take.facts["not_understood"] == ["purple elephants"]
    assert take.facts["understood"]["no drums"].startswith("no kick")
    assert take.grid["kicks_s"] == []
    assert "not understood: purple elephants" in take.log


def test_tempo_and_key_of_the_job_win_over_words(play):
    take = play(1, prompt="at 100 BPM in C minor", tempo=130, key="E minor")
    assert (take.facts["tempo_bpm"], take.facts["key"]) == (130.0, "E minor")


def test_a_styles_own_prompt_steers_nothing(play):
    plain = play(1)
    assert plain.facts["prompt"].startswith("Industrial house")
    assert "understood" not in plain.facts
    assert np.array_equal(plain.audio, play(1, prompt="elephants").audio)


def test_fragments_lean_each_stem_its_own_way_and_keep_tempo_key_and_parts(play):
    plain, varied = play(2, duration=8), play(2, duration=8, vary=True)
    assert varied.facts["prompt"] != plain.facts["prompt"]
    assert not np.array_equal(plain.audio, varied.audio)
    assert [varied.facts[name] for name in ("tempo_bpm", "key")] == [plain.facts[name] for name in ("tempo_bpm", "key")]
    labels = [[section["label"] for section in take.facts["sections"]] for take in (plain, varied)]
    assert labels[0] == labels[1]


def test_words_that_are_not_understood_are_a_warning_and_an_empty_band_an_error(style):
    params = StemsParams.model_validate({"style": "industrial/bed", "prompt": "dark elephants"})
    (finding,) = check(params, style("industrial/bed"))
    assert (finding.kind, finding.key) == ("warning", "prompt")
    assert "'elephants'" in finding.message
    params = params.model_copy(
        update={"prompt": "no drums, no bass, no melody, no drone, no noise, no risers, no impacts"}
    )
    (finding,) = check(params, style("industrial/bed"))
    assert (finding.kind, finding.key) == ("error", "prompt")


def test_midi_comes_with_every_take(play):
    suffix, data = play(1).sidecars["midi"]
    assert suffix == ".mid"
    assert data.startswith(b"MThd")
