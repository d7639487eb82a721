"""audiocraft's own loop, one stem at a time: what `decoder: reference` plays by, and what the fast loop is held to.

All rows of a batch draw from one random stream there, so that a stem would depend on those beside it; alone it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from handlers.stems.musicgen.library import MusicGen
from handlers.stems.musicgen.sampling import Sampling
from handlers.stems.musicgen.windows import STRIDE_S


def generate(
    musicgen: MusicGen,
    words: str,
    frames: int,
    sampling: Sampling,
    *,
    random_state: int,
    continued: torch.Tensor | None = None,
    melody: torch.Tensor | None = None,
    step: Callable[[], None],
) -> torch.Tensor:
    """Make the tokens of one stem.

    Parameters
    ----------
    musicgen
        The model.
    words
        The prompt.
    frames
        Of the whole, with those of `continued`.
    sampling
        How tokens are drawn.
    random_state
        0 .. 2**63 - 1: the same one gives the same tokens.
    continued
        Audio to go on from, ``(channels, samples)`` at the model's rate.
    melody
        A recording to take the melody from, ``(1, samples)`` at the model's rate.
    step
        Called at every step; what it raises ends the work.

    Returns
    -------
    tokens
        int64 ``(1, codebooks, frames)``.
    """
    # Half a frame more, so that no rounding of a product of seconds and frames loses one.
    musicgen.set_generation_params(
        duration=(frames + 0.5) / musicgen.frame_rate,
        extend_stride=STRIDE_S,
        use_sampling=sampling.use_sampling,
        temperature=sampling.temperature,
        top_k=min(sampling.top_k, musicgen.lm.card),
        top_p=sampling.top_p,
        cfg_coef=sampling.guidance_scale,
        two_step_cfg=sampling.two_step,
    )
    musicgen.lm.cfg_coef = sampling.guidance_scale  # In two steps audiocraft reads this one, and not what it was given.
    musicgen.set_custom_progress_callback(lambda *_: step())
    torch.manual_seed(random_state)
    try:
        attributes, tokens = musicgen._prepare_tokens_and_attributes(
            [words],
            None if continued is None else continued[None],
            _listed(melody),
        )
        return musicgen._generate_tokens(attributes, tokens, progress=True)
    finally:
        musicgen.set_custom_progress_callback(None)


def _listed(melody: torch.Tensor | None) -> Sequence[torch.Tensor] | None:
    return None if melody is None else [melody]
