"""One stem as a row of a batch: its words, its seeds, what it is given; and the windows that all rows share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from handlers.stems.musicgen.decoder import Decoder
from handlers.stems.musicgen.hearing import encode
from handlers.stems.musicgen.library import ConditioningAttributes, MusicGen, WavCondition
from handlers.stems.musicgen.melody import CONDITION, no_melody
from handlers.stems.musicgen.patience import patiently
from handlers.stems.musicgen.sampling import Sampling
from handlers.stems.musicgen.windows import Window


@dataclass(frozen=True)
class Row:
    """A stem to be made."""

    words: str
    seeds: tuple[int, ...]
    """0 .. 2**63 - 1, one for each window."""
    continued: torch.Tensor | None = None
    """Audio to go on from, ``(channels, samples)`` at the model's rate, of as many frames as the first window is given."""
    melody: torch.Tensor | None = None
    """``(1, samples)`` at the model's rate; repeated where the piece is longer."""


def generate(
    musicgen: MusicGen,
    decoder: Decoder,
    rows: Sequence[Row],
    windows: Sequence[Window],
    sampling: Sampling,
    step: Callable[[int], None],
) -> torch.Tensor:
    """Make the tokens of several stems together, window by window, as audiocraft would of one.

    Parameters
    ----------
    musicgen
        The model, for its codec.
    decoder
        The loop over its language model.
    rows
        1 .. ``decoder.width``.
    windows
        From :func:`~handlers.stems.musicgen.windows.plan_windows`.
    sampling
        How tokens are drawn.
    step
        Called with how many steps are done, over all windows; what it raises ends the work.

    Returns
    -------
    tokens
        int64 ``(rows, codebooks, frames)``, with those that were given.
    """
    tokens = patiently(partial(_encode, musicgen, rows), lambda: step(0))
    whole = [] if tokens is None else [tokens]
    done = 0
    for words in dict.fromkeys(row.words for row in rows):
        # T5 reads them now, where it can be waited for, and remembers what it read.
        condition = _condition(musicgen, Row(words, ()), windows[0], alone=True)
        patiently(partial(_hear, musicgen, condition, sampling), lambda: step(0))
    for number, window in enumerate(windows):
        assert (0 if tokens is None else tokens.shape[-1]) == window.given, f"{window} is given something else"
        made = decoder.generate(
            [_condition(musicgen, row, window, alone=len(windows) == 1) for row in rows],
            window.frames,
            seeds=[row.seeds[number] for row in rows],
            sampling=sampling,
            prompt=tokens,
            pulse=lambda count, done=done: step(done + count),
        )
        done += window.steps
        whole.append(made[..., window.given :])
        if number + 1 < len(windows):
            tokens = made[..., windows[number + 1].start - window.start :]
    return torch.cat(whole, -1)


def _hear(musicgen: MusicGen, condition: ConditioningAttributes, sampling: Sampling) -> None:
    with torch.inference_mode():
        encode(musicgen.lm, condition, two_step=sampling.two_step)


def _encode(musicgen: MusicGen, rows: Sequence[Row]) -> torch.Tensor | None:
    """The tokens of what the rows go on from."""
    if rows[0].continued is None:
        return None
    with torch.inference_mode():
        return torch.cat(
            [musicgen.compression_model.encode(row.continued[None].to(musicgen.device))[0] for row in rows]
        )


def _condition(musicgen: MusicGen, row: Row, window: Window, *, alone: bool) -> ConditioningAttributes:
    """What audiocraft's conditioners are told of a row, in one window."""
    condition = ConditioningAttributes(text={"description": row.words})
    heard = no_melody(musicgen.sample_rate, musicgen.device)
    if row.melody is not None:
        melody = row.melody.to(musicgen.device)
        if not alone:  # Of a piece that has further windows, each hears its own part, as audiocraft has it.
            start = int(window.start / musicgen.frame_rate * musicgen.sample_rate)
            length = int(musicgen.max_duration * musicgen.sample_rate)
            melody = melody[:, torch.arange(start, start + length, device=melody.device) % melody.shape[-1]]
        heard = WavCondition(
            melody[None], torch.tensor([melody.shape[-1]], device=melody.device), [musicgen.sample_rate], [None], [0.0]
        )
    condition.wav[CONDITION] = heard
    return condition
