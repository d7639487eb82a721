"""What a job asks of a model, in the model's own quantities.

`remix:` speaks in musicians' words. What each becomes:

==============  ====================================================================================================
weirdness       the sampling temperature, as it is: the entropy of every draw rises with it
melody_loyalty  the weight of the melody's chroma, linear between the condition that stands for no melody (0) and the
                whole of it (100)
genre_shift     the guidance scale, which pulls towards the words, from 1 (0: no pull) through 3 (50: audiocraft's own)
                to 5 (100); and the weight of the given audio the other way: the melody's chroma is weighted by what is
                left of 100, and a continuation keeps between all of the audio that a window has room for (0) and its
                last second (100)
structure       nothing of the model's: how far beats are moved to the grid afterwards (:mod:`handlers.stems.run`)
==============  ====================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from handlers.stems.musicgen.sampling import Sampling
from handlers.stems.params import Remix, StemsParams

LEAST_GUIDANCE, MOST_GUIDANCE = 1.0, 5.0
LEAST_KEPT_S = 1.0
"""Of audio that is gone on from, a model is always given this much, or it would not be a continuation."""


@dataclass(frozen=True)
class Controls:
    """How tokens are drawn, and how much of the given audio counts."""

    sampling: Sampling
    melody_weight: float
    """0 .. 1."""
    kept_weight: float
    """0 .. 1, of the audio that is gone on from; see :meth:`kept_s`."""

    def kept_s(self, most_s: float) -> float:
        """How much of the audio's end the model is given, where it has room for `most_s`."""
        return min(most_s, LEAST_KEPT_S + (most_s - LEAST_KEPT_S) * self.kept_weight)


def read_controls(params: StemsParams, card: int) -> Controls:
    """Read what a job asks for, of a model with `card` tokens; what it leaves out is as audiocraft has it."""
    remix = params.remix or Remix()
    shift = remix.genre_shift
    loyalty = 100.0 if remix.melody_loyalty is None else remix.melody_loyalty
    given_weight = 1.0 if shift is None else 1.0 - shift / 100.0
    plain = Sampling()
    guidance = plain.guidance_scale
    if shift is not None:
        guidance = LEAST_GUIDANCE + (MOST_GUIDANCE - LEAST_GUIDANCE) * shift / 100.0
    asked = {
        "temperature": _first(params.temperature, remix.weirdness, plain.temperature),
        "top_k": min(_first(params.top_k, plain.top_k), card),
        "top_p": _first(params.top_p, plain.top_p),
        "guidance_scale": _first(params.guidance_scale, guidance),
        "use_sampling": params.use_sampling is not False,
        "two_step": params.two_step is True,
    }
    return Controls(Sampling(**asked), melody_weight=loyalty / 100.0 * given_weight, kept_weight=given_weight)


def _first(*choices: float | None) -> float:
    """The first that was given; the last always is."""
    return next(choice for choice in choices if choice is not None)
