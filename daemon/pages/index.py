"""`index.html`: the job to hear and see. One file that opens from disk, without a server and without a network.

Links are relative names of files beside it; style and script stand inside; the browser is told to run no other script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from daemon.pages import cards, compare, tables
from daemon.pages.formats import date, one_line, took
from daemon.pages.markup import Html, render, tag
from daemon.pages.reason import advice, headline
from daemon.pages.repeat import command, other_seed, resubmit
from daemon.pages.report import PROCEDURAL
from daemon.pages.view import Page, Step

PICTURE_LEFT, PICTURE_RIGHT = 14 / 1600, 14 / 1600
"""Where time begins and ends in a picture, as a share of its width. A test holds them to the code that draws it."""


def write(page: Page) -> str:
    """Return the text of `index.html`."""
    style, script, policy = _inner()
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{page.name} · Drophammer"),
        tag("style", style),
    )
    body = tag("body", _header(page), tag("main", _sections(page), id="main"), _footer(page), tag("script", script),
               data_left=f"{PICTURE_LEFT:.6f}", data_right=f"{PICTURE_RIGHT:.6f}")  # fmt: skip
    return "<!DOCTYPE html>\n" + tag("html", head, "\n", body, lang="en") + "\n"


@lru_cache(maxsize=1)
def _inner() -> tuple[Html, Html, str]:
    """Style, script, and the policy that lets only this script run."""
    folder = Path(__file__).parent
    style, script = (Html((folder / name).read_text(encoding="utf-8")) for name in ("style.css", "player.js"))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return style, script, f"script-src 'sha256-{digest}'; object-src 'none'; base-uri 'none'; form-action 'none'; connect-src 'none'"


def _header(page: Page) -> Html:
    job = page.job
    badges = [tag("span", job["state"], class_=f"badge {job['state']}")]
    if job["procedural"]:
        badges.append(tag("span", "PROCEDURAL", class_="badge procedural"))
    if job["failures"]:
        badges.append(tag("span", f"failures: {job['failures']}", class_="badge failed"))
    return tag(
        "header",
        tag("a", "Skip to the results", class_="skip", href="#main"),
        tag("p", tag("b", "Drophammer"), " · ", tag("time", date(job["finished_at"]), datetime=job["finished_at"]), class_="kicker"),
        tag("h1", page.name, class_="long" if len(page.name) > 32 else None),
        tag("p", badges, class_="badges"),
        _notices(page),
        tag("dl", [tag("div", tag("dt", name), tag("dd", text)) for name, text in _numbers(page) if text], class_="numbers"),
        tag("nav", [tag("a", text, href=f"#{target}") for text, target in _targets(page)], aria_label="On this page"),
    )


def _notices(page: Page) -> Iterator[Html]:
    if page.job["procedural"]:
        yield tag("p", tag("b", "PROCEDURAL", class_="procedural"), f": {PROCEDURAL}.", class_="notice mild")
    if page.job["state"] != "done":
        yield tag("div", tag("p", headline(page)), tag("pre", advice(page)), class_="notice", role="note")


def _numbers(page: Page) -> Iterator[tuple[str, str]]:
    result, item = page.result, page.headliner
    if page.job["state"] != "done":
        pass  # What was finished on the way is not what was asked for.
    elif page.seeds:
        pass  # Each seed has its own.
    elif item:
        yield "Length", item.length
        yield from ((entry.name, entry.text) for entry in item.measurements if entry.key in ("tempo_bpm", "key", "integrated_lufs"))
    elif result:
        yield result.name, f"{len(result.items)} items"
    if page.seeds:
        yield "Seeds", ", ".join(map(str, page.seeds))
    elif page.seeded:
        yield "Seed", str(page.job["seed"])
    yield "Made in", took(page.took_s) if page.took_s is not None else ""


def _in_order(page: Page) -> list[Step]:
    """What people came for stands first: the one result, then all else in the order of the job file."""
    shown = [step for step in page.steps if step.items]
    result = page.result
    if result is not None and len(result.items) == 1 and not page.seeds:
        shown.sort(key=lambda step: step is not result)
    return shown


def _targets(page: Page) -> Iterator[tuple[str, str]]:
    if page.seeds and any(step.items for step in page.steps):
        yield "Compare", "compare"
    for step in _in_order(page):
        count = len(step.items)
        yield (f"{step.name} ({count})" if count > 1 else step.name), step.anchor
    yield ("Repeat or vary" if page.one_seed else "Repeat"), "repeat"
    yield "Steps", "steps"
    yield "Files", "files"


def _sections(page: Page) -> Iterator[Html]:
    shown = _in_order(page)
    items = sum(len(step.items) for step in shown)
    if page.seeds and shown:
        yield compare.section(page)
    for step in shown:
        yield cards.section(step, first=step is shown[0], many=items > cards.MANY)
    if not shown:
        yield tag("section", tag("p", "Nothing was made.", class_="dim"))
    yield _repeat(page)
    yield from tables.sections(page)


def _repeat(page: Page) -> Html:
    seed = page.job["seed"]
    if page.seeds:
        return _again(page)
    if page.text is None:
        words = tag("p", "Write ", tag("code", f"seed: {seed}"), " into it to get the same again, another number for a variation.")
        return tag("section", tag("h2", "The job file"), words, tag("pre", page.job["document"], class_="file"), id="repeat")
    if not page.seeded:
        return _again(page)
    line = command(page.place, page.name, seed, page.text)
    drawn = "Its file named no seed; this one was drawn." if page.seed_drawn else "The seed is the job file's own."
    return tag(
        "section",
        tag("div", tag("h2", "Repeat or vary"), tag("p", "Save as a .yaml file and drop it into the inbox.", class_="dim"), class_="head"),
        tag(
            "div",
            tag(
                "div",
                tag("div", tag("h3", "The same again"), _button("Copy repeat", "same"), class_="row"),
                tag("p", drawn, class_="dim"),
                _job_text(page, seed, "same"),
                line and [tag("p", "Or from the checkout:", class_="dim"), tag("pre", line)],
            ),
            tag(
                "div",
                tag(
                    "div",
                    tag("h3", "A variation"),
                    tag("span", tag("button", "Draw a seed", type="button", data_draw="other"), " ", _button("Copy variation", "other")),
                    class_="row",
                ),
                tag("p", "The same request with another seed.", class_="dim"),
                _job_text(page, other_seed(seed, page.job["id"]), "other"),
            ),
            class_="pair",
        ),
        id="repeat",
    )


def _again(page: Page) -> Html:
    """The job file as it is makes the same again: it names its seeds, or no seed had a part in it."""
    return tag(
        "section",
        tag("div", tag("h2", "Repeat"), tag("p", "Save as a .yaml file and drop it into the inbox.", class_="dim"), class_="head"),
        tag(
            "div",
            tag(
                "div",
                tag("div", tag("h3", "The same again"), _button("Copy repeat", "same"), class_="row"),
                tag("pre", page.job["document"], id="same", class_="file", tabindex="0", aria_label="Job file"),
                tag("p", "Or from the checkout:", class_="dim"),
                tag("pre", resubmit(page.place)),
            ),
            class_="pair",
        ),
        id="repeat",
    )


def _button(words: str, target: str) -> Html:
    return tag("button", words, type="button", class_="strong", data_copy=target, aria_live="polite")


def _job_text(page: Page, seed: int, name: str) -> Html:
    assert page.text is not None
    return tag("pre", page.text.before, tag("mark", seed), page.text.after, id=name, class_="file", tabindex="0", aria_label="Job file")


def _footer(page: Page) -> Html:
    host = page.host
    made = f"Drophammer {page.version} on {one_line(host.get('hostname') or '–')}, {one_line(host.get('cpu') or '–')}"
    gpu = f", {one_line(host['gpu'])}" if host.get("gpu") else ""
    keys = tag("span", tag("kbd", "Space"), " plays and pauses, ", tag("kbd", "←"), " ", tag("kbd", "→"), " seek 5 s, with ",
               tag("kbd", "Shift"), " 30 s", class_="keys")  # fmt: skip
    return tag("footer", tag("span", made + gpu), render(keys))
