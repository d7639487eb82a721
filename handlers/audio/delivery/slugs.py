"""Folder names made of track names: safe on every filesystem, in every shell, and no two alike. Light: stdlib only.

A slug holds `a-z 0-9 _ -` and nothing else: so it has no trailing dot, no case to collide, no composed letter that one
system writes apart. Names that Windows keeps for devices (CON, LPT1, ...) are lengthened.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from handlers.audio.letters import spell_out

LONGEST = 48
"""Characters: with folders and a file's name it stays under the 260 of a path on Windows."""
NAMELESS = "track"
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}")
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]", re.ASCII)


def slug_of(text: str) -> str:
    """Return a name as a folder may be called, from 1 to `LONGEST` characters.

    Letters lose their accents; ß becomes ss, æ ae, ø o. Where more than half of them has no plain letter (another
    script), six digits of the name's hash tell it from others.
    """
    slug = _cut(re.sub(r"[^a-z0-9-]+", "_", spell_out(text).lower()), LONGEST)
    letters = sum(character.isalnum() for character in unicodedata.normalize("NFC", text))
    kept = sum(character.isalnum() for character in slug)
    if not slug or (2 * kept < letters and len(slug) < LONGEST - 8):
        digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")).hexdigest()[:6]
        slug = f"{slug or NAMELESS}_{digest}"
    return f"{NAMELESS}_{slug}" if _RESERVED.fullmatch(slug) else slug


def distinct_slugs(labels: Sequence[str]) -> list[str]:
    """Return a slug for each track, no two alike; the same labels in the same order give the same slugs.

    A track is called by its file's name; where several share it, by its folder's and its own (`ep_song`); where even
    those are shared, the second is numbered (`ep_song_2`).

    Parameters
    ----------
    labels
        Paths with `/` between folders, with or without suffix, or titles.
    """
    paths = [PurePosixPath(label.replace("\\", "/")) for label in labels]
    slugs = [slug_of(_stem(path)) for path in paths]
    shared = Counter(slugs)
    slugs = [
        slug_of(f"{path.parent.name} {_stem(path)}") if shared[slug] > 1 and path.parent.name else slug
        for slug, path in zip(slugs, paths, strict=True)
    ]
    alone = {slug for slug, times in Counter(slugs).items() if times == 1}
    taken: set[str] = set()
    for place, slug in enumerate(slugs):
        number, name = 1, slug
        while name in taken or (number > 1 and name in alone):
            number += 1
            name = f"{_cut(slug, LONGEST - len(str(number)) - 1)}_{number}"
        taken.add(name)
        slugs[place] = name
    return slugs


def _stem(path: PurePosixPath) -> str:
    return path.name[: -len(path.suffix)] if _SUFFIX.fullmatch(path.suffix) else path.name


def _cut(text: str, longest: int) -> str:
    return text.strip("_-")[:longest].strip("_-")
