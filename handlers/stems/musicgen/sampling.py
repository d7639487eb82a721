"""From logits to tokens: temperature, top-k, top-p or the likeliest, without a look from the host. Heavy: torch.

Each row has its own random numbers, drawn beforehand from its own seed: one uniform number for each token, turned into
the token by the inverse of the cumulative distribution. What the other rows hold cannot change it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BELOW_ONE = 1 - 2**-23
"""The largest random number: times any float32 sum it is still below that sum, so it finds a token."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, in audiocraft's terms.

    Parameters
    ----------
    temperature
        Divides the logits; 0 takes the likeliest token.
    top_k
        Only the so many likeliest tokens; 0 takes all. Not looked at where `top_p` is above 0.
    top_p
        0 .. 1: only the likeliest tokens that together have this probability; 0 takes `top_k`.
    guidance_scale
        How far the logits go from those without a prompt towards those with it, and beyond: 1 is the latter.
    use_sampling
        False takes the likeliest token.
    two_step
        Play with and without the prompt one after the other in place of at once: the same result with other rounding.
    """

    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 0.0
    guidance_scale: float = 3.0
    use_sampling: bool = True
    two_step: bool = False

    @property
    def greedy(self) -> bool:
        """Whether nothing is left to chance."""
        return not self.use_sampling or self.temperature <= 0


def uniforms(seed: int, steps: int, codebooks: int) -> Tensor:
    """Random numbers of one row: float32 ``(steps, codebooks)`` in 0 .. 1, from `seed` alone.

    The first numbers are the same however many follow.
    """
    drawn = np.random.Generator(np.random.PCG64(seed)).random((steps, codebooks), dtype=np.float32)
    return torch.from_numpy(drawn).clamp_(max=BELOW_ONE)


def draw(logits: Tensor, sampling: Sampling, chance: Tensor) -> Tensor:
    """Draw a token from each distribution.

    Parameters
    ----------
    logits
        float32 ``(rows, codebooks, tokens)``.
    chance
        ``(rows, codebooks)``, from :func:`uniforms`.

    Returns
    -------
    tokens
        int64 ``(rows, codebooks)``.
    """
    if sampling.greedy:
        return logits.argmax(-1)
    likely = torch.softmax(logits / sampling.temperature, -1)
    if sampling.top_p > 0:
        ordered, which = likely.sort(-1, descending=True)
        # As audiocraft does: the token that crosses the limit is still in.
        ordered = ordered * (ordered.cumsum(-1) - ordered <= sampling.top_p)
        return which.gather(-1, _at(ordered, chance)[..., None])[..., 0]
    if 0 < sampling.top_k < likely.shape[-1]:
        least = likely.topk(sampling.top_k, -1).values[..., -1:]
        likely = likely * (likely >= least)
    return _at(likely, chance)


def _at(weights: Tensor, chance: Tensor) -> Tensor:
    """The first place at which the sum of `weights` so far exceeds that share of the whole."""
    sums = weights.cumsum(-1)
    return (sums <= sums[..., -1:] * chance[..., None]).sum(-1)


def draw_as_audiocraft(logits: Tensor, sampling: Sampling) -> Tensor:
    """The same by audiocraft's own functions, from torch's global random numbers: rows then share one stream."""
    from audiocraft.utils import utils  # Here, because only a comparison needs it.

    if sampling.greedy:
        return logits.argmax(-1)
    likely = torch.softmax(logits / sampling.temperature, -1)
    if sampling.top_p > 0:
        tokens = utils.sample_top_p(likely, p=sampling.top_p)
    elif sampling.top_k > 0:
        tokens = utils.sample_top_k(likely, k=sampling.top_k)
    else:
        tokens = utils.multinomial(likely, num_samples=1)
    return tokens[..., 0]
