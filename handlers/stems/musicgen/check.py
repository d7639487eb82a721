"""What can be said against a request for MusicGen before any weights are looked at. Light: read by the daemon."""

from __future__ import annotations

from collections.abc import Iterator

from handlers.contract import Finding
from handlers.stems.models.manifest import Model
from handlers.stems.musicgen.device import may_have_gpu
from handlers.stems.params import Remix, StemsParams

GIVEN = {"continue_from": "audio", "melody": "melody", "style_from": "style"}
"""Keys that name audio, and what a model has to read for each."""
LONGEST_STYLE_S = 30.0
"""A model of a style cannot go on in a second window: what it heard of the style is said before the first."""
CLASHES = (
    ("temperature", "weirdness", "the temperature"),
    ("guidance_scale", "genre_shift", "the guidance scale"),
)
"""A key, one of `remix:`, and what both set."""


def check(params: StemsParams, model: Model) -> Iterator[Finding]:
    """Yield what stands against the request.

    Parameters
    ----------
    params
        The request.
    model
        The entry of ``models.yaml`` that it names, of backend ``audiocraft``.
    """
    for key, read in GIVEN.items():
        if getattr(params, key) is not None and read not in model.reads:
            yield _error(key, f"{params.model!r} cannot be given it: it reads {', '.join(model.reads)}. {_who(read)}")
    if "style" in model.reads and params.duration > (model.window_s or LONGEST_STYLE_S):
        yield _error(
            "duration",
            f"{params.model!r} plays one window of {model.window_s or LONGEST_STYLE_S:g} s and cannot go on from it; "
            f"{params.duration:g} s is too long",
        )
    if params.layers:
        yield _error("layers", f"{params.model!r} makes one mix; only `model: procedural` plays layers")
    yield from _check_remix(params, params.remix or Remix())
    yield from _check_decoding(params)


def _check_remix(params: StemsParams, remix: Remix) -> Iterator[Finding]:
    if remix.melody_loyalty is not None and params.melody is None:
        yield _error("remix.melody_loyalty", "there is no `melody:` to be loyal to; name a recording there")
    if remix.genre_shift is not None and params.melody is None and params.continue_from is None:
        yield _error("remix.genre_shift", "there is no audio to shift away from; give `continue_from:` or `melody:`")
    for key, word, what in CLASHES:
        if getattr(params, key) is not None and getattr(remix, word) is not None:
            yield _error(f"remix.{word}", f"it sets {what}, and so does `{key}`; leave one of them out")


def _check_decoding(params: StemsParams) -> Iterator[Finding]:
    if params.use_sampling is False:
        for key in ("temperature", "top_k", "top_p"):
            if getattr(params, key) is not None:
                yield _error(key, "it says how tokens are drawn, and `use_sampling: false` draws none; leave one out")
        if params.remix and params.remix.weirdness is not None:
            yield _error("remix.weirdness", "it says how tokens are drawn, and `use_sampling: false` draws none")
    if params.top_k is not None and params.top_p:
        yield _error("top_p", "it stands in place of `top_k`; leave one of them out")
    if params.precision == "fp16" and not may_have_gpu():
        yield _error(
            "precision", "fp16 needs a GPU, and this machine has none; write bf16, int8 or fp32, or leave it out"
        )
    if params.decoder == "reference":
        if params.batch not in (None, 1):
            yield _error("batch", "audiocraft's own loop draws all rows from one stream; with `decoder: reference`, 1")
        if params.precision in ("bf16", "int8"):
            yield _error("precision", f"audiocraft's own loop has no {params.precision}; write fp32, or fp16 on a GPU")


def _who(read: str) -> str:
    known = {"audio": "MusicGen's models do", "melody": "musicgen-melody does", "style": "musicgen-style does"}
    return f"{known[read]}; or leave the key out"


def _error(key: str, message: str) -> Finding:
    return Finding("error", key, message)
