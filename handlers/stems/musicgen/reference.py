"""audiocraft's own loop, one stem at a time: what `decoder: reference` plays by, and what the fast loop is held to.

All rows of a batch draw from one random stream there, so that a stem would depend on those beside it; alone it does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from handlers.stems.musicgen.library import MusicGen
from handlers.stems.musicgen.rows import Row
from handlers.stems.musicgen.sampling import Sampling
from handlers.stems.musicgen.windows import STRIDE_S


def generate(
    musicgen: MusicGen, row: Row, frames: int, sampling: Sampling, step: Callable[[int], None]
) -> torch.Tensor:
    """Make the tokens of one stem.

    Parameters
    ----------
    musicgen
        The model.
    row
        The stem. All its windows draw from the stream of its first seed.
    frames
        Of the whole, with those that it goes on from.
    sampling
        How tokens are drawn.
    step
        Called with how many steps are done, over all windows; what it raises ends the work.

    Returns
    -------
    tokens
        int64 ``(1, codebooks, frames)``.
    """
    count = itertools.count(1)
    # Half a frame more, so that no rounding of a product of seconds and frames loses one; but no second window for it.
    duration_s = (frames + 0.5) / musicgen.frame_rate
    if frames <= int(musicgen.max_duration * musicgen.frame_rate):
        duration_s = min(duration_s, musicgen.max_duration)
    musicgen.set_generation_params(
        duration=duration_s,
        extend_stride=STRIDE_S,
        use_sampling=sampling.use_sampling,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        cfg_coef=sampling.guidance_scale,
        two_step_cfg=sampling.two_step,
    )
    musicgen.lm.cfg_coef = sampling.guidance_scale  # In two steps audiocraft reads this one, and not what it was given.
    musicgen.set_custom_progress_callback(lambda *_: step(next(count)))  # Its own figures jump back with every window.
    torch.manual_seed(row.seeds[0])
    try:
        attributes, tokens = musicgen._prepare_tokens_and_attributes(
            [row.words],
            None if row.continued is None else row.continued[None],
            None if row.melody is None else [row.melody],
        )
        return musicgen._generate_tokens(attributes, tokens, progress=True)
    finally:
        musicgen.set_custom_progress_callback(None)
