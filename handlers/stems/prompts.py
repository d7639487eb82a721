"""Prompts: the words that a stem is made from, by its style, its seed and its number. Light: no numpy.

A style has one prompt, written to be read whole. With `vary: true` a stem's prompt is that prompt's first sentence and
one fragment of each kind that the style lists (drums, bass, ...), in the style's order. Stems of one step take their
fragments of a kind in turn from one shuffled list, so that neighbours share none; once all lists have come round
together, they are shifted against each other. Stem 3 has the same prompt whatever the count.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from handlers.stems.styles import Style


def write_prompt(style: Style, seed: int, step: str, item: int, *, given: str = "", vary: bool = False) -> str:
    """Return the prompt of one stem.

    Parameters
    ----------
    style
        From :func:`handlers.stems.styles.load_style`.
    seed, step, item
        The job's seed, the step's name, and the stem's number from 1.
    given
        The job's own `prompt:`; it stands in place of the style's, and nothing is varied.
    vary
        Recombine the style's fragments; a style without any keeps its prompt.
    """
    if given:
        return given
    character = style.character
    if not (vary and character.fragments):
        return character.prompt
    opening = character.prompt.partition(". ")[0].rstrip(".") + "."
    round_, place = divmod(item - 1, math.lcm(*map(len, character.fragments.values())))
    chosen = []
    for shift, (kind, fragments) in enumerate(character.fragments.items()):
        turn = _shuffled(fragments, f"{seed}/{style.name}/{step}/{kind}")
        chosen.append(turn[(place + shift * round_) % len(turn)].rstrip(".") + ".")
    return " ".join([opening, *chosen])


def _shuffled(fragments: Sequence[str], purpose: str) -> list[str]:
    """The fragments in an order of the purpose's own, the same on every machine and in every version of Python."""
    return sorted(fragments, key=lambda text: hashlib.sha256(f"{purpose}/{text}".encode()).digest())
