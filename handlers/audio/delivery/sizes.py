"""How many bytes a second of each format takes, known before it is written. Light: no audio libraries."""

from __future__ import annotations

from handlers.audio.delivery.choices import MP3_VBR, FormatChoice

FLAC_SHARE = 0.7
"""Of the samples' own bytes: what dense music leaves."""
MP3_VBR_KBPS = (245, 225, 190, 175, 165, 130, 115, 100, 85, 65)
"""LAME's own averages for -V0 .. -V9."""
OGG_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)
"""Vorbis' own averages for quality 0 .. 10, 44.1 kHz stereo."""


def bytes_per_s(choice: FormatChoice, sample_rate: int, channels: int = 2, *, least_bits: int = 16) -> float:
    """Bytes of one second.

    Parameters
    ----------
    choice
        The format with its settings.
    sample_rate
        Hz.
    channels
        Of formats that keep samples; the others are counted as stereo.
    least_bits
        Of a sample, whatever the settings say.
    """
    if choice.mp3:
        return (choice.mp3.kbps or _between(MP3_VBR_KBPS, MP3_VBR if choice.mp3.vbr is None else choice.mp3.vbr)) * 125
    if choice.ogg:
        return _between(OGG_KBPS, choice.ogg.quality) * 125
    if choice.opus:
        return choice.opus.kbps * 125
    settings = choice.wav or choice.flac
    assert settings is not None, "there are five formats"
    pcm = sample_rate * channels * max(settings.bits or 24, least_bits) / 8
    return pcm if choice.wav else pcm * FLAC_SHARE


def _between(steps: tuple[int, ...], place: float) -> float:
    below = min(int(place), len(steps) - 2)
    return steps[below] + (place - below) * (steps[below + 1] - steps[below])
