"""What references mean, where a job may read, and how steps hang together."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon import settings
from daemon.documents import Document, estimates, nearest_file, unused
from daemon.documents.references import (
    EachReference,
    FromReference,
    PathReference,
    ReferenceRefused,
    StepReference,
    parse,
    resolve,
    resolve_folder,
)
from daemon.settings_model import Settings
from handlers.contract import Estimate
from tests.daemon.documents.orchestra import ORCHESTRA

Accept = Callable[[str], Document]
Refuse = Callable[[str | bytes], str]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("beds", StepReference("beds")),
        ("beds/3", StepReference("beds", 3)),
        ("a-b_c9/12", StepReference("a-b_c9", 12)),
        ("from/beds", FromReference("beds")),
        ("from/beds/3", FromReference("beds", 3)),
        ("each", EachReference()),
        ("./beds", PathReference("./beds")),
        ("./beds/3", PathReference("./beds/3")),
        ("../x", PathReference("../x")),
        ("/x/y", PathReference("/x/y")),
        ("~/x", PathReference("~/x")),
        ("x.wav", PathReference("x.wav")),
        ("x.csv", PathReference("x.csv")),
        ("lists/x.MD", PathReference("lists/x.MD")),
        ("beds/x.FLAC", PathReference("beds/x.FLAC")),
        ("Größe 1/x y.ogg", PathReference("Größe 1/x y.ogg")),
    ],
)
def test_a_references_form_says_what_it_means(text: str, meaning: object) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beds/0", "names no item: items are numbered beds/1, beds/2, ..."),
        ("beds/03", "names no item: items are numbered beds/1, beds/2, ..."),
        ("beds/9999999", "names no item: items are numbered beds/1, beds/2, ..."),
        ("from", "needs the step it means: from/beds, or from/beds/3 for its third item"),
        ("Beds", "is neither a step nor a path; for a file write ./Beds"),
        ("beds/three", "is neither a step nor a path; for a file write ./beds/three"),
        ("a\nb.wav", "is not one line of plain text"),
    ],
)
def test_what_means_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(ReferenceRefused) as caught:
        parse(text)
    assert str(caught.value) == said


def test_a_file_in_the_inbox_need_not_be_there_yet(configured: Settings, home: Path) -> None:
    assert resolve("./loops/x.wav", configured) == (home / "inbox" / "loops" / "x.wav").resolve()


def test_a_path_outside_the_roots_is_refused_with_the_line_that_would_allow_it(refuse: Refuse, tmp_path: Path) -> None:
    music = tmp_path.resolve() / "music"
    assert refuse(f"do: look\ninput: {music}/x.wav") == (
        f"line 2, input: '{music}/x.wav' is outside the folders that jobs may read; "
        f"to allow it, add to config/drophammer.yaml: roots: [{music}]"
    )


def test_that_line_allows_it(home: Path, tmp_path: Path) -> None:
    (home / "config" / "drophammer.yaml").write_text(f"roots: [{tmp_path / 'music'}]\n")
    assert resolve(f"{tmp_path}/music/x.wav", settings.load(home)) == (tmp_path / "music" / "x.wav").resolve()


def test_the_line_keeps_the_roots_that_are_there(home: Path, tmp_path: Path) -> None:
    (home / "config" / "drophammer.yaml").write_text(f"roots: [{tmp_path / 'music'}]\n")
    with pytest.raises(ReferenceRefused) as caught:
        resolve("/srv/tracks/x.wav", settings.load(home))
    assert str(caught.value).endswith(f"roots: [{tmp_path / 'music'}, /srv/tracks]")


@pytest.mark.parametrize("path", ["../../x.wav", "./a/../../../x.wav", "/etc/passwd", "/proc/self/environ"])
def test_paths_do_not_climb_out(configured: Settings, path: str) -> None:
    with pytest.raises(ReferenceRefused, match="outside the folders that jobs may read"):
        resolve(path, configured)


def test_a_link_counts_where_it_leads(configured: Settings, home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "music" / "x.wav"
    outside.write_bytes(b"")
    (home / "inbox" / "x.wav").symlink_to(outside)
    (home / "inbox" / "folder").symlink_to(tmp_path / "music")
    for path in ("x.wav", "folder/x.wav", "folder/not-there-yet.wav", "folder/../x.wav"):
        with pytest.raises(ReferenceRefused, match=r"leads to .*, which is outside the folders"):
            resolve(path, configured)


def test_a_link_within_the_inbox_is_followed(configured: Settings, home: Path) -> None:
    (home / "inbox" / "x.wav").write_bytes(b"")
    (home / "inbox" / "y.wav").symlink_to("x.wav")
    assert resolve("y.wav", configured) == (home / "inbox" / "x.wav").resolve()


@pytest.mark.parametrize("folder", ["outbox", "outbox/.staging/j", "state", "config"])
def test_outbox_state_and_configuration_are_never_named_even_inside_a_root(home: Path, folder: str) -> None:
    (home / "config" / "drophammer.yaml").write_text(f"roots: [{home}]\n")
    with pytest.raises(ReferenceRefused, match=f"lies in {home / folder.split('/')[0]}; "):
        resolve(f"{home}/{folder}/x.wav", settings.load(home))


def test_a_sibling_whose_name_begins_like_a_root_is_outside(configured: Settings, home: Path) -> None:
    with pytest.raises(ReferenceRefused):
        resolve(f"{home}/inbox-2/x.wav", configured)


def test_only_regular_files_are_read(configured: Settings, home: Path) -> None:
    (home / "inbox" / "d.wav").mkdir()
    os.mkfifo(home / "inbox" / "f.wav")
    with pytest.raises(ReferenceRefused, match="is a folder, not a file"):
        resolve("d.wav", configured)
    with pytest.raises(ReferenceRefused, match="is not a regular file"):
        resolve("f.wav", configured)


def test_the_nearest_name_in_the_folder_is_found(home: Path) -> None:
    (home / "inbox" / "kick-study.wav").write_bytes(b"")
    assert nearest_file(home / "inbox" / "kik-study.wav") == "kick-study.wav"
    assert nearest_file(home / "inbox" / "other.flac") is None
    assert nearest_file(home / "nowhere" / "x.wav") is None


# --- graph ---


def test_steps_may_stand_in_any_order(accept: Accept) -> None:
    job = accept(
        "steps:\n  grid: {do: look, input: mix}\n  mix: {do: blend, order: [beds]}\n  beds: {do: tone, style: a/b}"
    )
    assert [(step.name, step.needs) for step in job.steps] == [("grid", ("mix",)), ("mix", ("beds",)), ("beds", ())]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("a: {do: look, input: a}", "line 2, steps.a: a reads itself"),
        (
            "a: {do: look, input: b}\n  b: {do: look, input: a}",
            "line 2, steps.a: the steps wait for each other in a circle: a -> b -> a",
        ),
        (
            "x: {do: look, input: c}\n  a: {do: look, input: c}\n  b: {do: look, input: a}\n  c: {do: look, input: b}",
            "line 3, steps.a: the steps wait for each other in a circle: a -> c -> b -> a",
        ),
    ],
)
def test_circles_are_named(refuse: Refuse, steps: str, said: str) -> None:
    assert refuse(f"steps:\n  {steps}") == said


def test_two_circles_are_both_named(refuse: Refuse) -> None:
    said = refuse(
        "steps:\n  a: {do: look, input: a}\n  b: {do: look, input: c}\n  c: {do: look, input: b}\n  d: {do: look, input: b}"
    )
    assert said.splitlines() == [
        "line 2, steps.a: a reads itself",
        "line 3, steps.b: the steps wait for each other in a circle: b -> c -> b",
    ]


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "line 3, steps.mix.order.2: beds yields 1 item (beds/1), found 'beds/4'"),
        (3, "line 3, steps.mix.order.2: beds yields 3 items (beds/1 to beds/3), found 'beds/4'"),
    ],
)
def test_an_item_past_the_last_is_an_error(refuse: Refuse, count: int, said: str) -> None:
    assert (
        refuse(
            f"steps:\n  beds: {{do: tone, style: a/b, count: {count}}}\n  mix: {{do: blend, order: [beds/1, beds/4]}}"
        )
        == said
    )


def test_an_item_past_the_last_is_found_beside_other_mistakes(refuse: Refuse) -> None:
    said = refuse("steps:\n  beds: {do: tone, style: a/b}\n  mix: {do: blend, order: [beds/4], formts: [flac]}")
    assert "beds yields 1 item (beds/1), found 'beds/4'" in said
    assert "formts: unknown key; did you mean formats?" in said


def test_items_of_a_step_that_cannot_tell_are_not_judged(accept: Accept) -> None:
    accept("steps:\n  look: {do: look, input: ./x.wav}\n  mix: {do: blend, order: [look/99]}")


def test_items_of_a_for_each_step_are_counted_by_its_runs(accept: Accept, refuse: Refuse) -> None:
    text = (
        "steps:\n  beds: {do: tone, style: a/b, count: 5}\n"
        "  mixes: {do: blend, order: [each], for_each: {in: beds, start: 1, limit: 3}}\n  last: {do: look, input: mixes/%d}"
    )
    accept(text % 3)
    assert refuse(text % 4) == "line 4, steps.last.input: mixes yields 3 items (mixes/1 to mixes/3), found 'mixes/4'"


OVER = "line 3, steps.l.for_each.in: goes over the items of a step: write its name, found"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("input: each, for_each: {in: bed}", "line 3, steps.l.for_each.in: there is no step 'bed'; did you mean beds?"),
        ("input: each, for_each: {in: beds/1}", f"{OVER} 'beds/1'"),
        ("input: each, for_each: {in: ./x.csv}", f"{OVER} './x.csv'"),
        (
            "input: beds, for_each: {in: beds}",
            "line 3, steps.l.for_each: nothing in this step reads `each`, the item that a run is for",
        ),
        ("input: each, for_each: {in: l}", "line 3, steps.l: l reads itself"),
        (
            "input: each, for_each: {over: beds}",
            "line 3, steps.l.for_each.over: unknown key; this knows in, start and limit",
        ),
    ],
)
def test_for_each_goes_over_a_step(refuse: Refuse, keys: str, said: str) -> None:
    assert said in refuse(f"steps:\n  beds: {{do: tone, style: a/b}}\n  l: {{do: look, {keys}}}").splitlines()


def test_estimates_flow_along_the_references(accept: Accept) -> None:
    job = accept(
        "steps:\n  mix: {do: blend, order: [beds, beds/1]}\n  beds: {do: tone, style: a/b, count: 3, duration: 10}\n"
        "  outside: {do: blend, order: [./x.wav]}"
    )
    assert estimates(job, ORCHESTRA) == {
        "beds": Estimate(3, 10.0, 300),
        "mix": Estimate(1, 40.0),
        "outside": Estimate(1, None),
    }


def test_what_no_step_uses_is_named(accept: Accept) -> None:
    job = accept(
        "steps:\n  beds: {do: tone, style: a/b, count: 3}\n  spare: {do: tone, style: a/b, count: 2}\n"
        "  look: {do: look, input: beds/3}\n  mix: {do: blend, order: [beds/1]}"
    )
    assert unused(job, ORCHESTRA) == ["beds/2", "spare", "look"]


def test_a_job_that_uses_all_it_makes_has_nothing_unused(accept: Accept) -> None:
    assert (
        unused(accept("steps:\n  beds: {do: tone, style: a/b, count: 3}\n  mix: {do: blend, order: [beds]}"), ORCHESTRA)
        == []
    )
    assert unused(accept("do: tone\nstyle: a/b"), ORCHESTRA) == []


def test_folders_are_resolved_by_the_same_rules_as_files(home: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    (home / "config" / "drophammer.yaml").write_text(f"roots: [{music}]\n")
    configured = settings.load(home)
    assert resolve_folder(".", configured) == (home / "inbox").resolve()
    assert resolve_folder(str(music), configured) == resolve_folder(f"{music}/", configured) == music.resolve()
    assert resolve_folder(f"{music}/not there yet", configured) == music.resolve() / "not there yet"
    (music / "out").symlink_to("/etc")
    (music / "x.wav").write_bytes(b"")
    for folder, reason in (
        (f"{music}/out", "leads to /etc, which is outside"), ("..", "outside the folders"), ("../outbox", "lies in"),
        (f"{music}/x.wav", "is not a folder"), ("a\nb", "one line"),
    ):  # fmt: skip
        with pytest.raises(ReferenceRefused, match=reason):
            resolve_folder(folder, configured)


def test_a_folder_outside_is_refused_with_the_line_that_would_allow_it(refuse: Refuse, tmp_path: Path) -> None:
    music = tmp_path.resolve() / "music"
    assert refuse(f"do: look\ninput: x.wav\nbelow: ['.', '{music}']") == (
        f"line 3, below.2: '{music}' is outside the folders that jobs may read; "
        f"to allow it, add to config/drophammer.yaml: roots: [{music}]"
    )


def test_a_folder_is_a_source_and_no_input(accept: Accept, home: Path) -> None:
    (step,) = accept("do: look\ninput: x.wav\nbelow: [./loops, './loops']").steps
    assert step.inputs == ("x.wav",)
    assert {text: source for text, source in step.sources.items() if source["kind"] != "path"} == {"./loops": {"kind": "folder", "path": str(home / "inbox" / "loops")}}
