"""What can be said about a request to the built-in instrument before it plays. Light: no audio libraries."""

from __future__ import annotations

from collections.abc import Iterator

from handlers.contract import Finding
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style
from handlers.stems.words import read_words

_AUDIO = ("continue_from", "melody", "style_from", "remix")
_SAMPLING = (
    "temperature", "top_k", "top_p", "guidance_scale", "use_sampling", "two_step", "decoder", "precision", "batch",
)  # fmt: skip


def check(params: StemsParams, style: Style) -> Iterator[Finding]:
    """Yield what of the request the instrument cannot do (errors), and what it does not need (warnings)."""
    for key in _AUDIO:
        if getattr(params, key) is not None:
            yield Finding("error", key, f"the built-in instrument plays from words and a seed alone; leave `{key}` out")
    reading = read_words(params.prompt)
    try:
        reading.steer(style)
    except ValueError as error:
        yield Finding("error", "prompt", str(error))
    if reading.not_understood:
        unknown = ", ".join(repr(words) for words in reading.not_understood)
        yield Finding("warning", "prompt", f"the built-in instrument does not understand {unknown}")
    ignored = [key for key in _SAMPLING if getattr(params, key) is not None]
    for key in ignored:
        yield Finding("warning", key, f"`{key}` is for neural models; the built-in instrument does not read it")
