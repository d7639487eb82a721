"""The page on which a batch is heard and seen. Opens from disk, without a server and without a network.

Links are relative; style and script stand inside, and the browser is told to run no other script. Up to `TOGETHER` sources
are on one page; more have a page each, beside their textures, and an index.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from handlers.archaeology.gathering import LANES, Source, Texture
from handlers.archaeology.markup import Child, Html, link, tag

TOGETHER = 20
PLAYABLE = (".wav", ".flac", ".mp3", ".ogg")
# Where time begins and the lanes lie in the picture of a source, as shares of it: handlers/audio/thumbnails.py, held to
# it by a test.
LEFT, LANES_TOP, LANE = 70 / 1600, 176 / 236, 14 / 236


def write_all(sources: Sequence[Source], title: str, when: str) -> dict[str, str]:
    """Make every page.

    Parameters
    ----------
    sources
        All, failed ones included.
    title
        Of the batch.
    when
        For people: ``2026-11-21 02:03 UTC``.

    Returns
    -------
    dict
        Text by place in the published folder; ``sources.html`` is the one to begin with.
    """
    made = [source for source in sources if source.textures]
    apart = len(sources) > TOGETHER
    body: list[Child] = [_failures(sources)]
    pages = {}
    if apart:
        body.insert(0, _index(made))
        for source in made:
            place = page_of(source)
            back = tag("p", tag("a", "all sources", href=link("sources.html", _folder(place))), class_="dim")
            head = [back, tag("h1", source.rel_path), tag("p", _told(source), class_="dim")]
            pages[place] = _page(source.rel_path, head, [_source(source, _folder(place), "", alone=True)])
    else:
        body[:0] = [_source(source, "", f"{number}-") for number, source in enumerate(made, 1)]
    failed = sum(not source.ok for source in sources)
    count = sum(len(source.textures) for source in sources)
    told: list[Child] = [f"{count} textures from {len(sources) - failed} of {len(sources)} recordings · {when}"]
    if failed:
        told += [" · ", tag("a", f"{failed} failed", href="#failed", class_="bad")]
    head = [tag("p", "Drophammer", class_="dim"), tag("h1", title), tag("p", told, class_="dim")]
    return {"sources.html": _page(title, head, body), **pages}


def page_of(source: Source) -> str:
    """Where the page of a source lies when it has one of its own."""
    return f"by_source/{source.slug}/index.html"


def _folder(place: str) -> str:
    return place.rpartition("/")[0]


def _page(title: str, head: list[Child], body: list[Child]) -> str:
    style, script, policy = _inner()
    top = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title} · Drophammer"),
        tag("style", style),
    )
    rest = tag("body", tag("header", head), tag("main", body), tag("script", script))
    return f"<!DOCTYPE html>\n{tag('html', top, rest, lang='en')}\n"


@lru_cache(maxsize=1)
def _inner() -> tuple[Html, Html, str]:
    """Style, script, and the policy that lets only this script run."""
    folder = Path(__file__).parent
    style, script = (Html((folder / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return style, script, f"script-src 'sha256-{digest}'; object-src 'none'; base-uri 'none'; connect-src 'none'"


def _index(sources: Sequence[Source]) -> Html:
    names = ("", "Source", "Length", *(name.replace("_", " ") for name in (sources[0].stats if sources else ())))
    rows = []
    for source in sources:
        place = page_of(source)
        seen = source.overviews and tag("img", src=link(source.overviews[0][1], ""), alt="", loading="lazy")
        rows.append(
            tag(
                "tr",
                tag("td", tag("a", seen, href=link(place, ""), tabindex="-1", aria_hidden="true") if seen else None),
                tag("td", tag("a", source.rel_path, href=link(place, "")), not source.ok and [" ", _badge(source)]),
                tag("td", clock(source.duration_s), class_="number"),
                [
                    tag("td", count, class_="number", data_name=name.replace("_", " "))
                    for name, count in source.stats.items()
                ],
            )
        )
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    return tag("section", tag("div", tag("table", head, tag("tbody", rows), class_="index"), class_="scroll"))


def _badge(source: Source) -> Html:
    return tag("span", f"failed: {source.error}", class_="bad")


def _failures(sources: Sequence[Source]) -> Html | None:
    failed = [source for source in sources if not source.ok]
    if not failed:
        return None
    rows = [tag("tr", tag("td", source.rel_path), tag("td", source.error)) for source in failed]
    head = tag("thead", tag("tr", tag("th", "Source", scope="col"), tag("th", "Why it failed", scope="col")))
    table = tag("div", tag("table", head, tag("tbody", rows)), class_="scroll")
    return tag("section", tag("div", tag("h2", f"Failed: {len(failed)}"), class_="row"), table, id="failed")


def _told(source: Source) -> str:
    """Length and counts in a line."""
    counts = [f"{count} {name.replace('_', ' ')}" for name, count in source.stats.items() if count]
    took = [f"mined in {source.took_s:.1f} s"] if source.took_s is not None else []
    return " · ".join([clock(source.duration_s), *counts, *took])


def _source(source: Source, folder: str, prefix: str, *, alone: bool = False) -> Html:
    """A recording with everything that came of it; `prefix` keeps its anchors apart from other sources'."""
    profiles = list(dict.fromkeys(texture.profile for texture in source.textures))
    parts: list[Child] = []
    for profile in profiles:
        own = [texture for texture in source.textures if texture.profile == profile]
        anchors = {texture: f"{prefix}{profile or 'x'}-{texture.kind}-{texture.number}" for texture in own}
        if len(profiles) > 1:
            parts.append(tag("p", f"Profile {profile}", class_="dim"))
        parts.append(_scope(source, profile, own, anchors, folder))
        for lane in dict.fromkeys(texture.lane for texture in own):
            cards = [_card(texture, anchors[texture], folder) for texture in own if texture.lane == lane]
            parts += [tag("h3", lane, class_=lane), tag("div", cards, class_=f"textures {lane}")]
    if source.dropped:
        lines = [tag("li", f"{name}: {reason}") for name, reason in source.dropped]
        parts.append(tag("details", tag("summary", f"{len(lines)} did not hold and are not here"), tag("ul", lines)))
    title = [] if alone else [tag("h2", source.rel_path), tag("p", _told(source), class_="dim")]
    head = tag("div", title, not source.ok and _badge(source), class_="row")
    return tag("section", head, parts, id=f"{prefix}source")


def _scope(
    source: Source, profile: str, textures: list[Texture], anchors: dict[Texture, str], folder: str
) -> Html | None:
    """The recording's waveform with a region for each place that something was mined from."""
    length_s = source.duration_s or max((end for one in textures for _, end in one.spans_s), default=0.0)
    if not length_s:
        return None
    picture = next((place for name, place in source.overviews if name == profile), "")
    regions = [region for one in textures for region in _regions(one, anchors[one], length_s)]
    image = picture and tag(
        "img",
        src=link(picture, folder),
        alt=f"Waveform of {source.rel_path} with the regions that were mined",
        width=1600,
        height=236,
    )
    return tag("div", image or None, regions, class_="scope" if picture else "scope bare")


def _regions(texture: Texture, anchor: str, length_s: float) -> Iterator[Html]:
    lane = list(LANES).index(texture.lane) if texture.lane in LANES else 0
    for start_s, end_s in texture.regions_s(length_s):
        left = LEFT + (1 - LEFT) * min(start_s / length_s, 1)
        width = (1 - LEFT) * max(0.0, min(end_s, length_s) - start_s) / length_s
        place = f"left:{100 * left:.3f}%;width:{100 * width:.3f}%;top:{100 * (LANES_TOP + LANE * lane):.2f}%"
        span = f"{texture.name}: {clock(start_s, tenths=True)} to {clock(end_s, tenths=True)}"
        yield tag("a", href=f"#{anchor}", class_=f"region {texture.lane}", style=place, title=span, aria_label=span)


def _card(texture: Texture, anchor: str, folder: str) -> Html:
    suffix = texture.audio[texture.audio.rfind(".") :].lower()
    name = texture.audio.rpartition("/")[2]
    href = link(texture.audio, folder)
    seen = texture.picture and tag(
        "div", tag("img", src=link(texture.picture, folder), alt=f"Picture of {name}", loading="lazy"), class_="seen"
    )
    origin = texture.how
    if texture.spans_s:
        first_s, last_s = min(start for start, _ in texture.spans_s), max(end for _, end in texture.spans_s)
        places = f" in {len(texture.spans_s)} places" if len(texture.spans_s) > 1 else ""
        origin += f" from {clock(first_s, tenths=True)} to {clock(last_s, tenths=True)}{places}"
    length = f"{texture.duration_s:.2f} s" + (" loop" if texture.loop else "")
    return tag(
        "article",
        seen or None,
        tag(
            "div",
            tag("p", tag("b", texture.name), tag("span", length, class_="dim")),
            tag("audio", controls=True, preload="none", src=href, loop=texture.loop, aria_label=f"Player: {name}")
            if suffix in PLAYABLE
            else None,
            tag("p", tag("span", origin, class_="dim"), tag("a", name, href=href)),
            class_="body",
        ),
        class_="texture",
        id=anchor,
        data_duration=f"{texture.duration_s:.6f}",
    )


def clock(time_s: float | None, *, tenths: bool = False) -> str:
    """Seconds as a person reads them: ``3:07``, with tenths ``0:07.5``."""
    if time_s is None:
        return ""
    whole = round(time_s, 1 if tenths else 0)
    minutes, second = divmod(whole, 60)
    return f"{int(minutes)}:{second:04.1f}" if tenths else f"{int(minutes)}:{int(second):02d}"
