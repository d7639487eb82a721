"""`report`: the page, the summary and the JSON of a batch, made from runs as a daemon would hand them on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from handlers.archaeology import page, report
from handlers.archaeology.gathering import Texture
from handlers.archaeology.markup import link
from handlers.archaeology.outlook import describe_report
from handlers.archaeology.params import ReportParams
from handlers.audio import files, thumbnails
from handlers.contract import InputFile, Invalid, ItemRecord, Run
from tests.fixtures.sound import noise, tone

RATE = 8000
KINDS = (
    ("pad", "pads", ""),
    ("swell", "swells", "warm"),
    ("cloud", "clouds", ""),
    ("hiss", "hiss", ""),
    ("flicker", "hiss", ""),
)


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.tags, self.text = path, [], ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [
            found for name, found in self.tags
            if name == tag and all(value in found.get(key.rstrip("_"), "").split() for key, value in wanted.items())
        ]  # fmt: skip

    def files(self) -> Iterator[Path]:
        """Every file that it shows, plays or links to."""
        for name, attrs in self.tags:
            for key in ("src", "href"):
                target = attrs.get(key, "")
                if target and not target.startswith(("#", "data:")):
                    assert not re.match(r"[a-z]+:|/", target), f"<{name} {key}={target}> is not relative"
                    yield self.path.parent / unquote(target)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox" / "job"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def mined(published: Path) -> Callable[..., Run]:
    """A run that mined one texture of each kind from 20 seconds, with its files in the published folder."""

    def do(rel_path: str, slug: str, *, pictures: bool = True, dropped: int = 0, number: int = 0) -> Run:
        folder, items = published / "by_source" / slug, []
        for place, (kind, lane, variant) in enumerate(KINDS):
            place_s = 2.0 + 3 * place
            path = folder / lane / f"{slug}_{kind}01{'_' + variant if variant else ''}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            audio = tone(220 * (place + 1), 1.0, RATE)
            files.write(path, audio, RATE)
            shown = {}
            if pictures:
                thumbnails.draw_thumbnail(path.with_suffix(".png"), audio, RATE)
                shown["picture"] = str(path.with_suffix(".png").relative_to(published))
            facts = {
                "texture": kind, "number": 1, "variant": variant, "how": "freeze", "duration_s": 1.0, "loop": kind != "swell",
                "source_spans": [[place_s, place_s + 2], [place_s + 2, place_s + 2.5]], "profile": "default",
                "track_slug": slug, "source": rel_path,
            }  # fmt: skip
            place_there = str(path.relative_to(published))
            items.append(InputFile(path, "textures/1", "", facts, published=place_there, published_sidecars=shown))
        mining = published / "by_source" / slug / "mining.json"
        lost = [{"name": f"cloud{n:02d}", "variant": "", "reason": "repeats itself"} for n in range(dropped)]
        mining.write_text(json.dumps({"duration_s": 20.0, "dropped": lost}))
        shown = dict(items[-1].published_sidecars)
        if pictures:
            envelope = thumbnails.Envelope(20 * RATE)
            envelope.feed(noise(20.0, RATE))
            lanes = {name: [(2.0, 5.0)] for name in ("pads", "swells", "clouds", "hiss")}
            thumbnails.draw_overview(folder / "source.png", envelope, RATE, lanes, rel_path)
            shown["source"] = f"by_source/{slug}/source.png"
        items[-1] = InputFile(
            items[-1].path, "textures/5", "", items[-1].facts, {"mining": mining}, items[-1].published, shown
        )
        row = {"id": f"audio_{number:04d}", "rel_path": rel_path, "slug": slug, "duration_sec": 20.0}
        return Run(row, True, "", 1.25, tuple(items))

    return do


@pytest.fixture
def gathered(context_factory: Any, published: Path) -> Callable[..., Any]:
    """Run `report` and put what it delivers where it says, as publishing would."""

    def do(*runs: Run, **params: Any) -> Any:
        context = context_factory()
        context.runs = {"textures": list(runs)}
        report.run(ReportParams(input="textures", **params), context)
        for one in context.emitted:
            target = published / one.facts["published"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(one.path.read_bytes())
        return context

    return do


FAILED = Run(
    {"id": "audio_0009", "rel_path": "bad/cut.flac", "slug": "cut", "duration_sec": 7.0}, False, "cut.flac: <truncated>"
)


def test_the_batch_results_have_the_keys_that_scripts_read(mined: Any, gathered: Any, published: Path) -> None:
    gathered(mined("old/tape.wav", "tape", number=3), FAILED)
    document = json.loads((published / "batch_results.json").read_text())
    assert list(document) == ["timestamp", "total", "successful", "failed", "results"]
    assert datetime.fromisoformat(document["timestamp"]).utcoffset() is not None
    assert (document["total"], document["successful"], document["failed"]) == (2, 1, 1)
    assert document["results"] == [
        {
            "id": "audio_0003", "rel_path": "old/tape.wav", "track_slug": "tape", "success": True, "duration_sec": 20.0,
            "stats": {"pads": 1, "swells": 1, "clouds": 1, "hiss_loops": 1, "hiss_flickers": 1, "error": None},
        },
        {
            "id": "audio_0009", "rel_path": "bad/cut.flac", "track_slug": "cut", "success": False, "duration_sec": 7.0,
            "stats": {"pads": 0, "swells": 0, "clouds": 0, "hiss_loops": 0, "hiss_flickers": 0, "error": "cut.flac: <truncated>"},
        },
    ]  # fmt: skip


def test_every_texture_can_be_heard_and_seen_beside_its_source(mined: Any, gathered: Any, published: Path) -> None:
    gathered(mined("a.wav", "a"), mined("b.wav", "b"))
    shown = Page(published / "sources.html")
    assert all(path.is_file() for path in shown.files())
    heard = {str((shown.path.parent / unquote(audio["src"])).relative_to(published)) for audio in shown.all("audio")}
    assert heard == {str(path.relative_to(published)) for path in published.rglob("*.wav")} and len(heard) == 10
    assert len(shown.all("article", class_="texture")) == 10
    pictures = [Path(unquote(image["src"])).name for image in shown.all("img")]
    assert pictures.count("source.png") == 2 and len(pictures) == 12


def test_regions_lie_where_the_picture_has_them_and_lead_to_their_textures(
    mined: Any, gathered: Any, published: Path
) -> None:
    gathered(mined("a.wav", "a"), mined("b.wav", "b"))
    shown = Page(published / "sources.html")
    regions = shown.all("a", class_="region")
    ids = [article["id"] for article in shown.all("article")]
    assert len(set(ids)) == len(ids)
    assert sorted(region["href"][1:] for region in regions) == sorted(ids)  # Two regions that touch are one.
    first = dict(part.split(":") for part in regions[0]["style"].split(";"))
    left, width = (float(first[key].rstrip("%")) / 100 * thumbnails.LONG_WIDTH for key in ("left", "width"))
    plot = thumbnails.LONG_WIDTH - thumbnails.MARGIN
    assert left == pytest.approx(thumbnails.MARGIN + 2.0 / 20 * plot, abs=0.1)
    assert width == pytest.approx(2.5 / 20 * plot, abs=0.1)


def test_the_page_knows_the_pictures_measures(tmp_path: Path) -> None:
    envelope = thumbnails.Envelope(RATE)
    envelope.feed(np.zeros((1, RATE), np.float32))
    lanes = {name: [(0.5, 1.0)] if name == "clouds" else [] for name in page.LANES}
    thumbnails.draw_overview(tmp_path / "x.png", envelope, RATE, lanes)
    with Image.open(tmp_path / "x.png") as image:
        width, height = image.size
        plot = np.array(image)[:, round(page.LEFT * width) :]
    # Below the waveform, which is coloured too where something was taken.
    first = round(page.LANES_TOP * height)
    coloured = np.argwhere(plot[first:] == 4 + list(page.LANES).index("clouds"))
    (top, left), (bottom, right) = coloured.min(axis=0), coloured.max(axis=0)
    assert 2 * page.LANE * height == pytest.approx(top, abs=0.5)
    assert left + page.LEFT * width == pytest.approx((page.LEFT + (1 - page.LEFT) / 2) * width, abs=1)
    assert right + page.LEFT * width + 1 == pytest.approx(width, abs=1)
    assert bottom - top + 1 <= page.LANE * height


def test_over_twenty_sources_have_a_page_each_and_an_index(mined: Any, gathered: Any, published: Path) -> None:
    runs = [mined(f"disk/song {number}.wav", f"song_{number}", number=number) for number in range(21)]
    context = gathered(*runs, FAILED)
    index = Page(published / "sources.html")
    assert not index.all("audio") and len(index.all("img")) == 21
    assert all(path.is_file() for path in index.files())
    named = [cell["data-name"] for cell in index.all("td") if "data-name" in cell]
    assert named == ["pads", "swells", "clouds", "hiss loops", "hiss flickers"] * 21, "on a phone there is no head"
    pages = sorted(published.glob("by_source/*/index.html"))
    assert len(pages) == 21 and set(pages) <= set(index.files())
    one = Page(published / "by_source" / "song_4" / "index.html")
    assert all(path.is_file() for path in one.files())
    assert len(one.all("audio")) == 5 and one.all("audio")[0]["src"] == "pads/song_4_pad01.wav"
    assert "song 4.wav" in one.text and (published / "sources.html") in [path.resolve() for path in one.files()]
    assert "<truncated>" in index.text
    assert context.delivered().facts["total"] == 22


def test_the_top_of_the_page_leads_to_what_failed(mined: Any, gathered: Any, published: Path) -> None:
    gathered(mined("a.wav", "a"), FAILED)
    page = Page(published / "sources.html")
    assert "1 failed" in page.text and [one for one in page.all("a") if one["href"] == "#failed"]
    assert [one for one in page.all("section") if one.get("id") == "failed"]


def test_twenty_sources_are_on_one_page(mined: Any, gathered: Any, published: Path) -> None:
    gathered(*(mined(f"{number}.wav", f"s{number}", pictures=False) for number in range(20)))
    assert len(Page(published / "sources.html").all("audio")) == 100
    assert not list(published.glob("by_source/*/index.html"))


def test_names_are_text_and_never_markup(mined: Any, gathered: Any, published: Path) -> None:
    name = "<script>alert(1)</script>\"'&#x202e;\u202e.wav"
    run = mined(name, "x")
    gathered(run, Run({"rel_path": "<img src=x onerror=y>"}, False, "</td><script>z</script>"), title="<b>")
    shown = Page(published / "sources.html")
    assert len(shown.all("script")) == 1 and not shown.all("b", onerror="y")
    assert "<script>alert(1)</script>" in shown.text and "\u202e" not in shown.source
    assert not [attrs for _, attrs in shown.tags if any(key.startswith("on") for key in attrs)]
    summary = (published / "summary.md").read_text()
    assert "<script>" not in summary.replace("\\<script>", "")


def test_the_page_needs_no_network_and_runs_no_foreign_script(mined: Any, gathered: Any, published: Path) -> None:
    gathered(mined("a.wav", "a"))
    shown = Page(published / "sources.html")
    assert "http:" not in shown.source and "https:" not in shown.source and "@import" not in shown.source
    (policy,) = [meta["content"] for meta in shown.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert "script-src 'sha256-" in policy and "connect-src 'none'" in policy


def test_a_file_name_that_means_something_in_an_address_is_quoted() -> None:
    assert link("by_source/x/a #1?%.wav", "") == "by_source/x/a%20%231%3F%25.wav"
    assert link("by_source/x/pads/a.wav", "by_source/x") == "pads/a.wav"
    assert link("sources.html", "by_source/x") == "../../sources.html"
    assert link("by_source/y/a.wav", "by_source/x") == "../y/a.wav"


def test_without_pictures_the_regions_stand_on_a_plain_ruler(mined: Any, gathered: Any, published: Path) -> None:
    gathered(mined("a.wav", "a", pictures=False))
    shown = Page(published / "sources.html")
    assert (
        not shown.all("img") and len(shown.all("div", class_="bare")) == 1 and len(shown.all("a", class_="region")) == 5
    )


def test_what_did_not_hold_is_said(mined: Any, gathered: Any, published: Path) -> None:
    gathered(mined("a.wav", "a", dropped=2))
    assert "2 did not hold" in Page(published / "sources.html").text
    assert "repeats itself" in Page(published / "sources.html").text


def test_the_summary_counts_and_names_what_failed(mined: Any, gathered: Any, published: Path) -> None:
    context = gathered(mined("a|b.wav", "a"), FAILED)
    text = (published / "summary.md").read_text()
    assert "1 of 2 recordings mined, 5 textures: 1 pads, 1 swells, 1 clouds, 1 hiss loops, 1 hiss flickers." in text
    assert "| a\\|b.wav | by_source/a | 0:20 | 1 | 1 | 1 | 1 | 1 |  |" in text
    assert "- bad/cut.flac: cut.flac: \\<truncated>" in text
    told = describe_report(ItemRecord(1, context.delivered().path, context.delivered().facts))
    assert told.startswith("1 of 2 recordings mined: pads 1") and "failed: bad/cut.flac" in told


def test_a_batch_of_which_nothing_succeeded_is_reported_too(gathered: Any, published: Path) -> None:
    gathered(FAILED)
    assert "Failed: 1" in Page(published / "sources.html").text
    assert json.loads((published / "batch_results.json").read_text())["failed"] == 1


def test_items_of_a_step_without_for_each_are_grouped_by_their_source(
    mined: Any, context_factory: Any, published: Path
) -> None:
    items = [*mined("a.wav", "a").items, *mined("b.wav", "b").items]
    context = context_factory(inputs={"textures": items})
    report.run(ReportParams(input="textures"), context)
    document = json.loads(context.delivered("sidecar", label="batch-results").path.read_text())
    assert [(one["rel_path"], one["track_slug"]) for one in document["results"]] == [("a.wav", "a"), ("b.wav", "b")]


def test_a_page_without_its_textures_beside_it_is_refused() -> None:
    with pytest.raises(ValueError, match="put the report into the job that mines"):
        ReportParams(input="from/textures")


def test_nothing_to_report_is_refused(gathered: Any) -> None:
    with pytest.raises(Invalid, match="name the step with `for_each`"):
        gathered()


def test_hundreds_of_grains_are_few_regions() -> None:
    spans = tuple((start / 10, start / 10 + 0.15) for start in range(300))
    texture = Texture("cloud", 1, "", "grains", spans, 6.0, True, "", "x.wav", "")
    assert texture.regions_s(60.0) == [(0.0, pytest.approx(30.05))]


def test_in_a_browser_a_texture_plays_alone_and_its_regions_light_up(
    mined: Any, gathered: Any, published: Path
) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    gathered(mined("a.wav", "a"), mined("b#.wav", "b"))
    with playwright.sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if found is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip("no browser of the Chromium family is here")
        browser = driver.chromium.launch(
            executable_path=found, args=["--single-process", "--no-zygote", "--no-sandbox"]
        )
        shown = browser.new_page()
        said: list[str] = []
        shown.on("console", lambda message: said.append(message.text))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.goto((published / "sources.html").as_uri())
        shown.evaluate("""async () => {
            const players = [...document.querySelectorAll('audio')].slice(0, 2);
            for (const player of players) { player.muted = true; await player.play(); }
        }""")
        state = shown.evaluate("""() => ({
            playing: [...document.querySelectorAll('audio')].filter((player) => !player.paused).length,
            on: [...document.querySelectorAll('.texture.on')].map((texture) => texture.id),
            lit: [...document.querySelectorAll('.region.on')].map((region) => region.hash.slice(1)),
            blind: [...document.images].filter((image) => image.loading !== 'lazy' && !image.naturalWidth).length,
        })""")
        browser.close()
    assert said == []
    assert state == {"playing": 1, "on": ["1-default-swell-1"], "lit": ["1-default-swell-1"], "blind": 0}
