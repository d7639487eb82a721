"""The words a model is given: the stem's prompt, and what the model can only be told in words.

MusicGen has no parameter for tempo or key. The stems of a job share both, as the built-in instrument's do; they are
appended to the prompt, unless the prompt itself names one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from handlers.stems.instrument.score import draw_common
from handlers.stems.params import StemsParams
from handlers.stems.prompts import write_prompt
from handlers.stems.styles import Style

_NAMES_TEMPO = re.compile(r"\b\d{2,3}(?:\.\d+)?\s*(?:bpm|beats per minute)\b", re.IGNORECASE)
# A capital letter: "a minor ninth" is no key.
_NAMES_KEY = re.compile(r"\b[A-G](?:#|♯|♭|b|[ -]sharp|[ -]flat)?[ -](?:minor|major)\b")


@dataclass(frozen=True)
class Shared:
    """What the stems of a job have in common. A wish: a model hears it in words, and the stem is measured."""

    tempo_bpm: float
    key: str


def draw_shared(params: StemsParams, style: Style, seed: int) -> Shared:
    """Draw tempo and key from the seed and the style's family; what the job gives stands in the style's place."""
    if params.tempo:
        style = replace(style, tempo=(params.tempo[0], params.tempo[1]))
    if params.key:
        style = replace(style, keys=(params.key,))
    common = draw_common(style, seed)
    return Shared(float(common.tempo_bpm), str(common.key))


def final_prompt(params: StemsParams, style: Style, seed: int, step: str, item: int) -> str:
    """The exact words that stem `item` is made from."""
    words = write_prompt(style, seed, step, item, given=params.prompt, vary=params.vary)
    shared = draw_shared(params, style, seed)
    told = []
    if params.tempo or not _NAMES_TEMPO.search(words):
        told.append(f"{shared.tempo_bpm:g} BPM")
    if params.key or not _NAMES_KEY.search(words):
        told.append(f"key of {shared.key}")
    return f"{words.rstrip().rstrip('.')}. {', '.join(told)}." if told else words
