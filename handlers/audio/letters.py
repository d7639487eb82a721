"""Names in plain letters: for folders that every system takes, and for pictures, whose font knows no others. Light.

Pillow's own font (Aileron, cut down to ASCII and some punctuation) draws a box for any other letter, and which other
fonts a machine has nobody knows.
"""

from __future__ import annotations

import unicodedata

_SPELT_OUT = str.maketrans({
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ł": "l", "ı": "i", "ŋ": "ng",
    "ẞ": "SS", "Æ": "AE", "Œ": "OE", "Ø": "O", "Đ": "D", "Ð": "D", "Þ": "Th", "Ħ": "H", "Ł": "L", "Ŋ": "NG",
})  # fmt: skip
"""Letters that Unicode does not take apart into a plain one and an accent."""


def spell_out(text: str) -> str:
    """Return ASCII only: accents fall away, `Größe` is `Grosse`, `Ænima` `AEnima`; other scripts leave nothing."""
    apart = unicodedata.normalize("NFKD", text).translate(_SPELT_OUT)
    return apart.encode("ascii", "ignore").decode()
