"""HTML by construction: text becomes markup only through :func:`tag`, which escapes it. There is no other way in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from typing import TypeAlias
from urllib.parse import quote

from daemon.pages.formats import visible

VOID = frozenset({"br", "img", "input", "link", "meta", "source"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child: TypeAlias = "str | Html | int | float | bool | Iterable[Child] | None"


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """Build one element.

    Parameters
    ----------
    children
        :class:`Html` as it is, other text escaped, None left out, lists one after the other.
    attributes
        ``class_`` is ``class``, ``data_seek`` is ``data-seek``; True is a bare attribute, None and False are left out.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        parts.append(f" {word}" if value is True else f' {word}="{escape(visible(value))}"')
    parts.append(">")
    if name not in VOID:
        parts.append(render(children))
        parts.append(f"</{name}>")
    return Html("".join(parts))


def render(child: Child) -> Html:
    """Markup of text, markup, or a list of both."""
    if isinstance(child, Html):
        return child
    if child is None or child is False:
        return Html("")
    if isinstance(child, str):
        return Html(escape(visible(child), quote=False))
    if isinstance(child, int | float):
        return Html(child)
    return Html("".join(map(render, child)))


def link_to(file_name: str) -> str:
    """A relative link to a file beside the page, or in a folder there.

    Nothing in a name can be a scheme, a way out of the folder, a query or markup. The slashes between folders stay what
    they are: to a browser that reads from disk `%2F` is a letter of a file's name, and the file is not found.
    """
    parts = file_name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return quote(os.fsencode(file_name), safe="")
    return "/".join(quote(os.fsencode(part), safe="") for part in parts)
