"""Bytes to text: at most 64 KiB of UTF-8, and no character that a person cannot see."""

from __future__ import annotations

import re

from daemon.documents.problems import DocumentError, Problem

LARGEST_BYTES = 64 * 1024

# Control characters, the line breaks that only YAML 1.1 knows (they would shift the line numbers), marks that turn
# the direction of writing (text that reads otherwise than it is), invisible spaces, noncharacters.
_BREAKS = "\x85\u2028\u2029"
_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = "\u200b\u2060\ufeff"
REFUSED = re.compile(
    rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_BREAKS}{_DIRECTION}{_INVISIBLE}\ufff9-\ufffb\ufffe\uffff]"
)


def decode(content: bytes) -> str:
    """Bytes to text: size, UTF-8, and no character that a person cannot see.

    Raises
    ------
    DocumentError
    """
    if len(content) > LARGEST_BYTES:
        raise DocumentError(
            [Problem(1, 1, "", f"the file is {len(content):,} bytes; a job file has at most {LARGEST_BYTES:,}")]
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "it looks like UTF-16; save it as UTF-8" if utf16 else "save the file as UTF-8"
        message = f"not UTF-8 at byte {error.start} (0x{content[error.start]:02X}); {hint}"
        raise DocumentError([Problem(line, column, "", message)]) from None
    text = text.removeprefix("\ufeff")
    problems = []
    for match in REFUSED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - text.rfind("\n", 0, match.start())
        problems.append(Problem(line, column, "", f"{describe(match[0])}; remove it"))
        if len(problems) == 10:
            break
    if problems:
        raise DocumentError(problems)
    return text


def describe(character: str) -> str:
    code = f"U+{ord(character):04X}"
    if re.match(f"[{_DIRECTION}]", character):
        return f"the character {code} turns the direction of writing"
    if character in _BREAKS or character in _INVISIBLE:
        return f"the character {code} is invisible"
    return f"the control character {code} is not allowed"
