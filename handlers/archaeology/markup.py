"""HTML by construction: text becomes markup only through :func:`tag`, which escapes it. Light: stdlib only."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias
from urllib.parse import quote

VOID = frozenset({"img", "meta", "link"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child: TypeAlias = "str | Html | int | Iterable[Child] | None"


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """Build one element; `class_` is ``class``, True a bare attribute, None and False are left out."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        words.append(word if value is True else f'{word}="{escape(printable(str(value)))}"')
    start = f"<{' '.join(words)}>"
    return Html(start if name in VOID else f"{start}{render(children)}</{name}>")


def render(child: Child) -> Html:
    """Markup of text, markup, or a list of both."""
    if isinstance(child, Html):
        return child
    if child is None or child is False:
        return Html("")
    if isinstance(child, str | int):
        return Html(escape(printable(str(child)), quote=False))
    return Html("".join(map(render, child)))


def printable(text: str) -> str:
    """Text without what controls a terminal or turns the direction of writing."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def link(path: str, folder: str) -> str:
    """A relative link from a page in `folder` to a file; both are places in the published folder, `/` between names."""
    there, here = path.split("/"), [part for part in folder.split("/") if part]
    while here and len(there) > 1 and there[0] == here[0]:
        there, here = there[1:], here[1:]
    return "/".join([*[".."] * len(here), *(quote(part, safe="") for part in there)])
