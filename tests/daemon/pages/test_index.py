"""What `index.html` promises: it opens from disk alone, every link leads somewhere, and text stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.pages import index, write

Made = tuple[Path, dict[str, Any]]
VOID = {"br", "img", "input", "link", "meta", "source"}


class Document(HTMLParser):
    """Refuses what is not well-formed; collects elements with their attributes and the text within."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} stands twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and all(attrs.get(key.rstrip("_")) == value for key, value in wanted.items())
        ]

    @property
    def text(self) -> str:
        return "".join(data for place, data in self.texts if place not in ("script", "style"))


def document_of(made: Made) -> Document:
    folder, manifest = made
    write(folder, manifest)
    return Document((folder / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(params=["demo", "empty", "failed", "hostile"])
def any_job(request: pytest.FixtureRequest) -> Made:
    return request.getfixturevalue(request.param)


def test_page_is_well_formed_and_every_link_leads_to_a_file_or_a_place_in_it(any_job: Made) -> None:
    document = document_of(any_job)
    ids = [attrs["id"] for _, attrs in document.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    targets = [attrs[key] for _, attrs in document.elements for key in ("href", "src") if key in attrs]
    for target in targets:
        assert target
        if target.startswith("#"):
            assert target[1:] in ids
        elif target != "data:,":
            name, _, time = target.partition("#")
            assert ":" not in name and "/" not in name
            assert (any_job[0] / unquote(name)).is_file(), target
            assert not time or re.fullmatch(r"t=\d+\.\d{3}", time)


def test_page_asks_the_network_for_nothing(any_job: Made) -> None:
    folder, manifest = any_job
    write(folder, manifest)
    text = (folder / "index.html").read_text(encoding="utf-8")
    document = Document(text)
    links = [
        value for _, attrs in document.elements for key, value in attrs.items() if key in ("href", "src", "action", "poster", "srcset")
    ]
    assert not [link for link in links if link and ("://" in link or link.startswith("//"))]
    style = "".join(data for place, data in document.texts if place == "style")
    assert "url(" not in style and "@import" not in style
    assert "connect-src 'none'" in document.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]


def test_page_runs_no_script_but_its_own_whatever_the_texts_say(hostile: Made) -> None:
    document = document_of(hostile)
    assert len(document.all("script")) == 1
    assert not [attrs for _, attrs in document.elements if any(name.startswith("on") for name in attrs)]
    assert not document.all("img", src="x")
    assert "<script>alert(1)</script>" in document.text
    assert "</pre><script>alert(2)</script>" in document.text


def test_page_shows_terminal_escapes_and_direction_marks_as_signs(hostile: Made) -> None:
    folder, manifest = hostile
    write(folder, manifest)
    for name in ("index.html", "report.md", "reason.txt"):
        text = (folder / name).read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        assert "␛[31mred␇" in text.replace("\\", "")


def test_every_item_that_sounds_has_a_player_with_all_its_forms(demo: Made) -> None:
    document = document_of(demo)
    assert len(document.all("audio")) == 6  # Three beds, a transition, the mix, and the mix once more under its grid.
    sources = [attrs["src"] for attrs in document.all("source")]
    assert sources[:3] == ["industrial-set_mix_1.wav", "industrial-set_mix_1.flac", "industrial-set_mix_1.mp3"]
    assert all(attrs["type"].startswith("audio/") for attrs in document.all("source"))
    assert all(attrs["aria-label"] for attrs in document.all("audio"))
    assert all(attrs["alt"] for attrs in document.all("img"))


def test_beat_grid_is_heard_with_the_recording_it_is_of(demo: Made) -> None:
    folder, manifest = demo
    write(folder, manifest)
    grid = (folder / "index.html").read_text(encoding="utf-8").partition('id="i-grid-1"')[2].partition("</article>")[0]
    assert "industrial-set_mix_1.wav" in grid and 'data-duration="5.000000"' in (folder / "index.html").read_text(encoding="utf-8")
    assert "128.0 BPM" in grid and "1234" in grid and "2 entries" in grid


def test_each_of_many_beat_grids_is_heard_with_its_own_recording(demo: Made) -> None:
    folder, manifest = demo
    grid = manifest["steps"][3]
    grid["inputs"] = [{"label": f"beds/{number}", "path": "/x", "sha256": "ab"} for number in (1, 2)]
    grid["items"][0]["facts"]["source"] = "beds/2"
    write(folder, manifest)
    card = (folder / "index.html").read_text(encoding="utf-8").partition('id="i-grid-1"')[2].partition("</article>")[0]
    assert "industrial-set_beds_2.wav" in card and "industrial-set_mix_1.wav" not in card


def test_the_mix_stands_before_the_stems_it_is_made_of(demo: Made) -> None:
    headings = [data for place, data in document_of(demo).texts if place == "h2"]
    assert headings[:4] == ["mix", "beds", "transitions", "grid"]


def test_sections_and_tracks_jump_to_their_times(demo: Made) -> None:
    jumps = [attrs for _, attrs in document_of(demo).elements if "data-seek" in attrs]
    assert ("industrial-set_mix_1.wav#t=2.000", "2.000") in [(jump["href"], jump["data-seek"]) for jump in jumps]
    assert ("industrial-set_beds_1.wav#t=0.500", "0.500") in [(jump["href"], jump["data-seek"]) for jump in jumps]


def test_prompt_and_seed_stand_under_each_stem(demo: Made) -> None:
    document = document_of(demo)
    assert [data for place, data in document.texts if place == "blockquote"] == ["cold hangar, chains, distant machines"] * 4
    assert {"4001", "4002", "4003"} <= {data for place, data in document.texts if place == "dd"}


def test_prompt_that_nothing_read_is_called_so(demo: Made) -> None:
    unread = "the built-in instrument goes by the style's settings"
    assert document_of(demo).text.count(unread) == 4
    for step in demo[1]["steps"]:
        for item in step["items"]:
            item["facts"]["model"] = "musicgen-small"
    assert unread not in document_of(demo).text


def test_analysis_alone_stands_at_the_top_without_a_seed_that_had_no_part(demo: Made) -> None:
    folder, manifest = demo
    grid = manifest["steps"][-1]
    assert grid["handler"] == "beats"
    document = document_of((folder, manifest | {"steps": [grid]}))
    assert "Tempo" in [data for place, data in document.texts if place == "dt"]
    assert "Seed" not in document.text and "A variation" not in document.text
    assert "./drophammer submit outbox/20261121-020315-industrial-set-0042/job.yaml" in document.text
    assert "A variation" in document_of(demo).text


def test_long_prompt_is_folded_and_still_whole(demo: Made) -> None:
    prompt = "struck steel, pipes, sheet metal; " * 9
    demo[1]["steps"][0]["items"][0]["facts"]["prompt"] = prompt
    document = document_of(demo)
    assert [data for place, data in document.texts if place == "span" and prompt.strip() in data] == [prompt.strip()]


def test_procedural_and_failures_are_said_where_the_manifest_says_so(demo: Made, changed: Callable[..., dict[str, Any]]) -> None:
    folder, manifest = demo
    plain = document_of(demo).text
    assert "PROCEDURAL" not in plain and "failures:" not in plain
    said = document_of((folder, changed(manifest, procedural=True, failures=3))).text
    assert "PROCEDURAL" in said and "failures: 3" in said


def test_page_of_many_items_loads_nothing_before_it_is_asked(crowd: Made) -> None:
    document = document_of(crowd)
    assert len(document.all("audio")) == 100
    assert {attrs["preload"] for attrs in document.all("audio")} == {"none"}
    assert {attrs["loading"] for attrs in document.all("img")} == {"lazy"}
    assert "5 more" in document.text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["start_s", "label", "x"]), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["duration_s", "tempo_bpm", "key", "seed", "prompt", "sections", "tracks", "licence", "source", "model", "x_bytes", "y_s", "kbps"]
)


@given(facts=st.dictionaries(NAMES | st.text(max_size=8), VALUES, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_fact_of_any_shape_keeps_a_job_from_its_pages(demo: Made, facts: dict[str, Any]) -> None:
    folder, manifest = demo
    for step in manifest["steps"]:
        step["items"][0]["facts"] = facts
    document_of((folder, manifest))


def test_time_that_no_recording_has_is_no_place_to_jump_to(demo: Made) -> None:
    demo[1]["steps"][0]["items"][0]["facts"] |= {"duration_s": 10**400, "sections": [{"start_s": 10**400, "label": "far"}]}
    assert "far" in document_of(demo).text


def test_playhead_uses_the_margins_that_pictures_are_drawn_with() -> None:
    picture = pytest.importorskip("handlers.audio.picture")
    assert index.PICTURE_LEFT == picture.LEFT / picture.WIDTH
    assert index.PICTURE_RIGHT == picture.RIGHT / picture.WIDTH
