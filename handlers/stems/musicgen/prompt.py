"""The words a model is given: the stem's prompt, and what the model can only be told in words.

MusicGen has no parameter for tempo or key. The stems of a job share both, as the built-in instrument's do: from
`tempo:` and `key:`, else from the job's own prompt where it names them, else drawn from the style's family by the seed.
They are appended to the prompt, unless the job's own prompt says just that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from handlers.stems.instrument.score import draw_common
from handlers.stems.params import StemsParams
from handlers.stems.prompts import write_prompt
from handlers.stems.styles import Style
from handlers.stems.words import read_words


@dataclass(frozen=True)
class Shared:
    """What the stems of a job have in common. A wish: a model hears it in words, and the stem is measured."""

    tempo_bpm: float
    key: str


def draw_shared(params: StemsParams, style: Style, seed: int) -> Shared:
    """Tempo and key of the job: see the module."""
    said = read_words(params.prompt)
    lowest, highest = params.tempo or said.tempo or style.tempo
    key = params.key or said.key
    common = draw_common(replace(style, tempo=(lowest, highest), keys=(key,) if key else style.keys), seed)
    return Shared(float(common.tempo_bpm), str(common.key))


def final_prompt(params: StemsParams, style: Style, seed: int, step: str, item: int) -> str:
    """The exact words that stem `item` is made from."""
    words = write_prompt(style, seed, step, item, given=params.prompt, vary=params.vary)
    said, shared = read_words(params.prompt), draw_shared(params, style, seed)
    told = []
    if said.tempo != (shared.tempo_bpm, shared.tempo_bpm):
        told.append(f"{shared.tempo_bpm:g} BPM")
    if said.key != shared.key:
        told.append(f"key of {shared.key}")
    return f"{words.rstrip().rstrip('.')}. {', '.join(told)}." if told else words
