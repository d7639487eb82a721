"""Drawing tokens: what may be drawn, how often, and from which random numbers."""

from __future__ import annotations

import pytest

from handlers.stems.models.weights import missing_libraries

if missing_libraries():
    pytest.skip(f"{', '.join(missing_libraries())} not installed; `make test` adds them", allow_module_level=True)

import torch

from handlers.stems.musicgen.sampling import BELOW_ONE, Sampling, draw, uniforms

LOGITS = torch.log(torch.tensor([0.05, 0.4, 0.0, 0.3, 0.25]))
DRAWS = 20_000


def frequencies(**settings: float) -> list[float]:
    """How often each of the five tokens is drawn."""
    chance = uniforms(3, DRAWS, 1)
    drawn = draw(LOGITS.expand(DRAWS, 1, 5), Sampling(**settings), chance)
    return (torch.bincount(drawn[:, 0], minlength=5) / DRAWS).tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"top_k": 0}, [0.05, 0.4, 0, 0.3, 0.25]),
        ({"top_k": 250}, [0.05, 0.4, 0, 0.3, 0.25]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_p": 0.5, "top_k": 1}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_p": 0.75}, [0, 0.4 / 0.95, 0, 0.3 / 0.95, 0.25 / 0.95]),
        ({"top_k": 0, "temperature": 0.5}, [0.0025 / 0.315, 0.16 / 0.315, 0, 0.09 / 0.315, 0.0625 / 0.315]),
        ({"temperature": 0.0}, [0, 1, 0, 0, 0]),
        ({"use_sampling": False}, [0, 1, 0, 0, 0]),
    ],
)
def test_tokens_are_drawn_as_often_as_they_are_likely(settings, expected):
    # Four standard deviations of a share among so many draws, at most 0.5 / sqrt(n).
    assert frequencies(**settings) == pytest.approx(expected, abs=2 / DRAWS**0.5)
    assert all(found == 0 for found, wanted in zip(frequencies(**settings), expected, strict=True) if wanted == 0)


def test_the_first_and_the_last_random_number_find_a_token_that_can_be():
    edges = torch.tensor([[0.0], [BELOW_ONE]])
    for share in torch.rand(200, generator=torch.Generator().manual_seed(1)):
        logits = torch.full((2, 1, 2048), float("-inf"))
        logits[..., 100:1900] = torch.randn(1800) * 4 * share
        first, last = draw(logits, Sampling(top_k=0), edges)[:, 0].tolist()
        assert 100 <= first <= last < 1900


def test_random_numbers_are_a_rows_own_and_the_same_however_many_follow():
    long, short, other = uniforms(2**62 + 1, 100, 4), uniforms(2**62 + 1, 10, 4), uniforms(1, 10, 4)
    assert torch.equal(long[:10], short)
    assert not torch.equal(short, other), "a seed counts with all its bits"
    assert long.min() >= 0 and long.max() < 1
