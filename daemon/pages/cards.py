"""The cards of `index.html`: one item each, with picture, player, prompt, measurements, places to jump to, files."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from daemon.pages.formats import size, took
from daemon.pages.markup import Html, tag
from daemon.pages.view import FIRST, File, Item, Mark, Step

MANY = 24
"""From this many items on, players and pictures load when they are reached, not with the page."""
MOST = 100
"""A step's further items are listed under the cards with a link each."""
MOST_ROWS = 200
"""Lists and tables end here and say how much more the manifest has: a job may have made thousands of files."""
LONG_PROMPT = 180
UNREAD = "For models that read words; the built-in instrument goes by the style's settings."
LEAST_WIDE = 180.0
"""Recordings of this many seconds and more take the page's whole width."""


def section(step: Step, *, first: bool, many: bool) -> Html:
    """One step with all it made; `first` on the page, it is given more room."""
    count = f"{len(step.items)} items, " if len(step.items) > 1 else ""
    lasted = f" in {took(step.entry['took_s'])}" if step.entry["took_s"] is not None else ""
    alone = len(step.items) == 1
    shown = [card(item, item.label, wide=alone and (first or _is_long(item)), many=many)
             for item in step.items[:MOST]]  # fmt: skip
    rest = [tag("li", tag("a", item.label, href=item.primary.href))
            for item in step.items[MOST : MOST + MOST_ROWS] if item.primary]  # fmt: skip
    more = len(step.items) - MOST
    if more > MOST_ROWS:
        rest.append(tag("li", f"and {more - MOST_ROWS} more, all in manifest.json"))
    return tag(
        "section",
        tag("div", tag("h2", step.name), tag("p", f"{count}made by {step.handler}{lasted}", class_="dim"), class_="head"),
        step.warnings and tag("ul", [tag("li", warning) for warning in step.warnings], class_="warn", aria_label="Warnings"),
        tag("div", shown, class_="cards"),
        rest and tag("details", tag("summary", f"{more} more"), tag("ul", rest, class_="get body"), class_="plain"),
        id=step.anchor,
    )


def _is_long(item: Item) -> bool:
    return bool(item.duration_s and item.duration_s >= LEAST_WIDE)


def card(item: Item, name: str, *, wide: bool, many: bool) -> Html:
    """One item."""
    lazy = "lazy" if many else None
    return tag(
        "article",
        item.picture and _scope(item, item.picture, name, lazy),
        tag(
            "div",
            tag(
                "div",
                tag("h3", name if item.primary is None or not wide else item.primary.name),
                item.procedural and tag("span", "PROCEDURAL", class_="badge procedural"),
                item.kept_from and tag("span", "kept", class_="badge kept", title=f"As it was, from {item.kept_from}"),
                tag("span", item.length, class_="dim"),
                class_="title",
            ),
            item.heard and _player(item, name, many),
            item.parts and _parts(item, name),
            item.prompt and _prompt(item.prompt),
            item.prompt and not item.prompt_read and tag("p", UNREAD, class_="dim unread"),
            _facts(item),
            item.sections and _marks(item, item.sections, "Sections", "marks"),
            item.tracks and _marks(item, item.tracks, "Tracks", "marks tracks"),
            tag("ul", [tag("li", _download(file)) for file in item.files if file != item.picture], class_="get", aria_label="Files"),
            class_="body",
        ),
        class_="card wide" if wide else "card",
        id=item.anchor,
        data_name=name,
        data_duration=None if item.duration_s is None else f"{item.duration_s:.6f}",
    )


def _scope(item: Item, picture: File, name: str, lazy: str | None) -> Html:
    what = "Waveform and spectrogram" if item.audio else "Waveform, spectrogram and analysis"
    image = tag("img", src=picture.href, alt=f"{what} of {name}", width=1600, height=420, loading=lazy)
    return tag("div", image, class_="scope")


def _player(item: Item, name: str, many: bool) -> Html:
    sources = [tag("source", src=file.href, type=file.media_type) for file in item.heard]
    links = [tag("a", file.name, href=file.href) for file in item.heard[:1]]
    return tag("audio", sources, links, controls=True, preload="none" if many else "metadata", aria_label=f"Player: {name}")


def _parts(item: Item, name: str) -> Html:
    """Its layers, each with a player of its own."""
    players = [
        tag(
            "div",
            tag("span", file.label, class_="dim"),
            tag("audio", tag("source", src=file.href, type=file.media_type), controls=True, preload="none",
                aria_label=f"Player: {file.label} of {name}"),
            class_="take",
        )
        for file in item.parts
    ]  # fmt: skip
    return tag("details", tag("summary", f"{len(players)} layers"), players, class_="layers")


def _prompt(text: str) -> Html:
    """A long one shows its beginning until it is opened; all of it is in the page, for searching and for paper."""
    if len(text) <= LONG_PROMPT:
        return tag("blockquote", text, class_="prompt")
    return tag("details", tag("summary", tag("span", text)), class_="prompt long")


def _facts(item: Item) -> Iterator[Html]:
    first = [(entry.name, entry.text) for entry in item.measurements if entry.key in FIRST] + [("Seed", item.seed)]
    rest = [(entry.name, entry.text) for entry in item.measurements if entry.key not in FIRST] + [("Licence", item.licence)]
    for pairs, class_ in ((first, "facts"), (rest, "facts minor")):
        shown = [tag("div", tag("dt", name), tag("dd", text)) for name, text in pairs if text]
        if shown:
            yield tag("dl", shown, class_=class_)


def _marks(item: Item, marks: tuple[Mark, ...], what: str, class_: str) -> Html:
    """Places in the recording. Without a script a link opens the file at that time."""
    return tag("ol", [tag("li", _mark(item, mark)) for mark in marks], class_=class_, aria_label=what)


def _mark(item: Item, mark: Mark) -> Html:
    if mark.start_s is None:
        return tag("span", mark.label)
    inner = (tag("time", item.clock(mark.start_s)), mark.label)
    if not item.heard:
        return tag("span", *inner)
    return tag("a", *inner, href=f"{item.heard[0].href}#t={quote(f'{mark.start_s:.3f}')}", data_seek=f"{mark.start_s:.3f}")


def _download(file: File) -> Html:
    return tag("a", file.caption, " ", tag("small", size(file.size_bytes)), href=file.href, download=True, title=file.name)


def files_of(steps: tuple[Step, ...]) -> Iterator[tuple[Item, File]]:
    """Every file with the item it belongs to."""
    for step in steps:
        for item in step.items:
            for file in item.files:
                yield item, file
