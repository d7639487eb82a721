"""From a format that a job names to what the encoder is told. Light: no numpy."""

from __future__ import annotations

from handlers.audio.delivery.choices import MP3_VBR, FormatChoice
from handlers.audio.formats import Encoding, encoding

_KEEPS = {"wav": ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"), "flac": ("PCM_16", "PCM_24")}
"""Subtypes of sources that each lossless format can take over as they are."""


def encoding_of(choice: FormatChoice, shared_subtype: str | None = None) -> Encoding:
    """What the encoder is told for one format.

    Parameters
    ----------
    choice
        The format with its settings.
    shared_subtype
        How all sources store their samples, when those samples are delivered untouched: kept where the format can
        and no other depth was asked for.
    """
    name = f"audio.{choice.name}"
    if choice.mp3:
        vbr = MP3_VBR if choice.mp3.kbps is None and choice.mp3.vbr is None else choice.mp3.vbr
        return encoding(name, kbps=choice.mp3.kbps, vbr=vbr)
    if choice.ogg:
        return encoding(name, quality=choice.ogg.quality)
    if choice.opus:
        return encoding(name, kbps=choice.opus.kbps)
    bits = (choice.wav or choice.flac).bits
    if bits:
        return encoding(name, subtype="FLOAT" if bits == 32 else f"PCM_{bits}")
    return encoding(name, subtype=shared_subtype if shared_subtype in _KEEPS[choice.name] else None)
