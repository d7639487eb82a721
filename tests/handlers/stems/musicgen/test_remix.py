"""Musicians' words: each is monotone in its effect on what the model says, measured on small models of random weights.

`structure` acts on the finished audio and is measured where that is done.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from handlers.stems.backend import Request
from handlers.stems.musicgen.melody import weighted
from handlers.stems.musicgen.remix import Controls, read_controls
from handlers.stems.musicgen.rows import Row, _condition
from handlers.stems.musicgen.sampling import Sampling
from handlers.stems.musicgen.windows import Window
from tests.handlers.stems.musicgen.conftest import request_for
from tests.handlers.stems.musicgen.small_checkpoint import CARD, FRAME_RATE

PERCENT = (0, 25, 50, 75, 100)
FRAMES = 20
MELODY = torch.sin(torch.arange(3 * 32_000) * 0.05)[None]


def controls(**remix: float) -> Controls:
    return read_controls(request_for(remix=remix), CARD)


def rises(values: list[float]) -> bool:
    return all(earlier < later for earlier, later in pairwise(values))


def divergence(one: torch.Tensor, other: torch.Tensor) -> float:
    """Kullback and Leibler's, of logits, in nats, on average."""
    one, other = one.log_softmax(-1), other.log_softmax(-1)
    return float((one.exp() * (one - other)).sum(-1).mean())


def said(
    backend,
    codes: torch.Tensor,
    guidance: float,
    *,
    melody: torch.Tensor | None = None,
    weight: float = 1.0,
    words: str = "hard kick",
):
    """Logits over given codes, at the places where every codebook has something to say."""
    condition = _condition(backend.musicgen, Row(words, (1,), None, melody), Window(0, 0, FRAMES), alone=True)
    with torch.inference_mode(), weighted(backend.melody, weight):
        return backend.decoder.logits_for([condition], codes, Sampling(guidance_scale=guidance))[0]


def some_codes(seed: int, frames: int = FRAMES) -> torch.Tensor:
    return torch.randint(0, CARD, (1, 4, frames), generator=torch.Generator().manual_seed(seed))


def test_weirder_is_less_repetitive(open_small):
    """Of all pairs of tokens that follow each other, the share that is heard for the first time."""
    new = []
    for weirdness in (0.1, 0.4, 0.7, 1.5):
        backend = open_small(duration=18, precision="fp32", remix={"weirdness": weirdness})
        tokens = backend._decode([backend._row(Request(1), "hard kick", 0, 1)], backend._windows(0), lambda _: None)
        new.append(sum(len(set(pairwise(codebook))) / (len(codebook) - 1) for codebook in tokens[0].tolist()) / 4)
    assert rises(new), new


def test_more_loyal_is_further_from_no_melody_and_wholly_loyal_is_audiocrafts_own(open_small):
    backend, codes = open_small(model="melody", precision="fp32"), some_codes(1)
    without = said(backend, codes, 3.0)
    distances = []
    for percent in PERCENT:
        weight = controls(melody_loyalty=percent).melody_weight
        distances.append(float((said(backend, codes, 3.0, melody=MELODY, weight=weight) - without)[:, 4:FRAMES].norm()))
    assert distances[0] == 0.0 and rises(distances), distances
    assert controls().melody_weight == controls(melody_loyalty=100).melody_weight == 1.0


def test_a_shift_of_genre_leads_from_the_melody_to_the_words(open_small):
    backend, codes = open_small(model="melody", precision="fp32"), some_codes(1)
    words_alone = said(backend, codes, controls(genre_shift=100).sampling.guidance_scale)[:, 4:FRAMES]
    away = []
    for percent in PERCENT:
        shifted = controls(genre_shift=percent)
        heard = said(backend, codes, shifted.sampling.guidance_scale, melody=MELODY, weight=shifted.melody_weight)
        away.append(divergence(words_alone, heard[:, 4:FRAMES]))
    assert rises(away[::-1]) and away[-1] == 0.0, away


def test_a_shift_of_genre_gives_the_words_more_and_the_audio_that_is_gone_on_from_less(open_small):
    backend = open_small(precision="fp32")
    pull, kept = [], []
    for percent in PERCENT:
        shifted = controls(genre_shift=percent)
        frames = int(shifted.kept_s(2.0) * FRAME_RATE + 1e-6)
        kept.append(frames)
        heard = 0.0
        for seed in range(4):
            codes = some_codes(seed, 10)[..., -frames:]
            guided, wordless = (
                said(backend, codes, scale)[:, frames] for scale in (shifted.sampling.guidance_scale, 0.0)
            )
            heard += divergence(guided, wordless)
        pull.append(heard)
    assert rises(pull), pull
    assert rises(kept[::-1]) and (kept[0], kept[-1]) == (2 * FRAME_RATE, FRAME_RATE)


@pytest.mark.parametrize("percent", PERCENT)
def test_without_remix_everything_is_as_audiocraft_has_it(percent):
    assert controls(structure=percent) == controls() == read_controls(request_for(), CARD)
    plain = controls()
    assert plain.sampling == Sampling() and (plain.melody_weight, plain.kept_weight) == (1.0, 1.0)


def test_a_shift_in_the_middle_guides_as_audiocraft_does():
    assert controls(genre_shift=50).sampling.guidance_scale == Sampling().guidance_scale


def test_weirdness_is_the_temperature_and_a_key_of_sampling_is_taken_as_it_is():
    assert controls(weirdness=0.6).sampling.temperature == 0.6
    asked = read_controls(
        request_for(temperature=0.7, top_k=100_0, top_p=0.2, guidance_scale=4, use_sampling=False), CARD
    )
    assert asked.sampling == Sampling(0.7, CARD, 0.2, 4.0, use_sampling=False)
