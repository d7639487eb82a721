"""What a row is given, encoded by audiocraft: words for cross-attention, and what comes before the first token.

Each row is encoded with nothing but its own counterpart without a prompt beside it, so that the length of another
row's prompt is no part of it. (audiocraft pads a batch to its longest prompt, and its models listen to the padding.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.stems.musicgen.library import ClassifierFreeGuidanceDropout, ConditioningAttributes, LMModel

PLACES = 128
"""Words and leads are padded to multiples of this, and hidden there. Rows of unlike multiples are not played together:
the order in which a kernel adds up depends on it."""


@dataclass(frozen=True)
class Heard:
    """One row, with its prompt and without."""

    words: tuple[Tensor, Tensor] | None
    """``(places, dim)`` each."""
    lead: tuple[Tensor, Tensor] | None

    @property
    def shape(self) -> tuple[int, int]:
        """Padded places of the words and of the lead: rows that share them can be played together."""
        return _padded(self.words), _padded(self.lead)


def _padded(pair: tuple[Tensor, Tensor] | None) -> int:
    longest = 0 if pair is None else max(len(one) for one in pair)
    return -(-longest // PLACES) * PLACES


def encode(lm: LMModel, condition: ConditioningAttributes, *, two_step: bool) -> Heard:
    """Encode one row; with `two_step` prompt and none apart, as audiocraft then does."""
    without = ClassifierFreeGuidanceDropout(p=1.0)([condition])
    calls = [[condition], without] if two_step else [[condition, *without]]
    words: list[Tensor] = []
    lead: list[Tensor] = []
    for call in calls:
        tensors = lm.condition_provider(lm.condition_provider.tokenize(call))
        weight = lm.emb[0].weight
        before, crossed = lm.fuser(weight.new_zeros((len(call), 0, lm.dim)), tensors)
        lead.extend(before)
        if crossed is not None:
            words.extend(crossed)
    return Heard((words[0], words[1]) if words else None, (lead[0], lead[1]) if len(lead[0]) else None)


def stack(pairs: Sequence[tuple[Tensor, Tensor] | None], places: int) -> tuple[Tensor | None, Tensor]:
    """All rows with their prompts, then all without, padded: ``(2 x rows, places, dim)``, and their lengths."""
    rows = [pair[half] for half in (0, 1) for pair in pairs if pair is not None]
    lengths = torch.tensor([len(row) for row in rows] or [0] * 2 * len(pairs))
    if not rows:
        return None, lengths
    padded = rows[0].new_zeros((len(rows), places, rows[0].shape[-1]))
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded, lengths
