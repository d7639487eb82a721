"""What textures are called, and where they lie in the outbox: ``by_source/old_tape/swells/old_tape_swell01_warm.wav``.

Light: no numpy. The number of a texture is that of its place in the request, so it does not change when another one is
dropped. A TR-8S shows 16 characters: there the whole name has no more, suffix included (``old_tp_pad01.wav``).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import PurePosixPath

from handlers.textures.params import Kind, Pack

WORDS = {"pads": "pad", "swells": "swell", "clouds": "cloud", "hiss": "hiss", "flickers": "flicker"}
"""What one texture of a kind is called."""
CODES = {"pads": "pad", "swells": "swl", "clouds": "cld", "hiss": "his", "flickers": "flk"}
"""In three letters."""
FOLDERS = {"pads": "pads", "swells": "swells", "clouds": "clouds", "hiss": "hiss", "flickers": "hiss"}
TR8S_FOLDER = "ROLAND/TR-8S/SAMPLE"
SHORT, TR8S_SHORT = 16, 6


def short_of(slug: str, longest: int = SHORT) -> str:
    """Return a track's slug, shortened to whole words where that leaves enough."""
    cut = slug[:longest]
    if len(slug) > longest and slug[longest] not in "_-":
        words = cut.rpartition("_")[0]
        cut = words if len(words) >= longest // 2 else cut
    return cut.strip("_-")


def tr8s_short(slug: str) -> str:
    """Return six characters at most: the slug's own, or its first four and two that tell it from others alike."""
    letters = "".join(character for character in slug if character.isalnum())
    if len(letters) <= TR8S_SHORT:
        return letters
    digest = base64.b32encode(hashlib.sha256(slug.encode()).digest()).decode().lower()
    return letters[: TR8S_SHORT - 2] + digest[:2]


def place_of(
    slug: str, kind: Kind, number: int, variant: str, suffix: str, *, pack: Pack | None = None, profile: str = ""
) -> str:
    """Return where a texture lies below the published folder.

    Parameters
    ----------
    slug
        Of its track.
    kind, number, variant
        Its kind, its number among those (from 1), and what sort it is ("" for none).
    suffix
        `.wav` or `.ogg`.
    pack
        What it is made for.
    profile
        Where several are made of one track, this one's name.
    """
    folder = PurePosixPath("by_source", slug, profile)
    if pack == "tr8s":
        return str(folder / TR8S_FOLDER / f"{tr8s_short(slug)}_{CODES[kind]}{number:02d}{suffix}")
    tail = f"_{variant}" if variant else ""
    return str(folder / FOLDERS[kind] / f"{short_of(slug)}_{WORDS[kind]}{number:02d}{tail}{suffix}")
