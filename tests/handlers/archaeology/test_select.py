"""`select`: which rows stay, in which order, for which reasons, and what the rest was rejected by."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from handlers.archaeology import listening, rules, select
from handlers.archaeology.outlook import check_selection, describe_discovery, describe_selection
from handlers.archaeology.params import SelectParams, Wishes
from handlers.archaeology.rules import judge, load_rules, words_in
from handlers.audio import files
from handlers.audio.delivery import catalogue
from handlers.contract import InputFile, Invalid, ItemRecord, World
from tests.fixtures.sound import noise, tone


def row(rel_path: str, duration_s: float = 120.0, **more: Any) -> dict[str, Any]:
    columns = {"sample_rate": 44_100, "channels": 2, "file_size_mb": 1.0, "codec": "pcm", "bit_depth": 16, **more}
    key = f"quick:{rel_path}"
    return {
        "id": "", "rel_path": rel_path, "duration_sec": duration_s, "content_hash": key, "slug": "", "path": "/x", **columns,
    }  # fmt: skip


@pytest.fixture
def choose(context_factory: Any, config: Path, tmp_path: Path) -> Any:
    """Run `select` over rows, as a step before would hand them on, or over a file."""

    def do(*rows: dict[str, Any], file: Path | None = None, **params: Any) -> Any:
        listing = tmp_path / "rows.jsonl"
        numbered = [{**one, "id": f"audio_{number:04d}"} for number, one in enumerate(rows)]
        catalogue.write_rows(listing, numbered)
        source = InputFile(file, "./c", "") if file else InputFile(listing, "found/1", "", sidecars={"rows": listing})
        context = context_factory(inputs={"found": source})
        context.config_dir = config
        select.run(SelectParams(catalog="found", **params), context)
        return context

    return do


def chosen(context: Any) -> list[str]:
    return [one["rel_path"] for one in catalogue.read(context.delivered().path)]


def rejected(context: Any) -> dict[str, tuple[str, str]]:
    with open(context.delivered("sidecar", label="rejected").path, encoding="utf-8", newline="") as file:
        return {one["rel_path"]: (one["rule"], one["reason"]) for one in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("path", "pattern", "has"),
    [
        ("Greatest Hits/song.wav", "test", False),
        ("contest.wav", "test", False),
        ("latest_mix.wav", "test", False),
        ("tests/song.wav", "test", False),
        ("song_test.wav", "test", True),
        ("TEST-3.wav", "test", True),
        ("test2.wav", "test", True),
        ("2test.wav", "test", True),
        ("my test song.wav", "test", True),
        ("Test/song.wav", "test", True),
        ("(test).wav", "test", True),
        ("Protestörer.wav", "test", False),
        ("testé.wav", "test", False),
        ("Greatest Hits/song.wav", "*test*", True),
        ("latest.wav", "*test", True),
        ("latests.wav", "*test", False),
        ("testing.wav", "test*", True),
        ("latest.wav", "test*", False),
        ("song_old.wav", "_old", True),
        ("song_older.wav", "_old", False),
        ("old.wav", "_old", False),
        ("Masters/a.wav", "masters", True),
        ("rough mix 3.wav", "rough mix", True),
        ("take1_final.wav", "take*final", True),
        ("take1/final.wav", "take*final", False),
        ("a+b (live).wav", "a+b", True),
        ("Cafe\u0301/x.wav", "café", True),
    ],
)
def test_words_are_bounded_by_all_that_is_no_letter(path: str, pattern: str, has: bool) -> None:
    assert bool(words_in(path, [pattern])) is has


def test_every_preferred_word_gives_ten_points_and_every_format_five(choose: Any) -> None:
    context = choose(
        row("a.wav", channels=1, sample_rate=22_050),
        row("masters/a.wav"),
        row("masters/songs/a.wav", channels=1),
        row("b.wav"),
        prefer_channels=2,
        prefer_sample_rate=44_100,
    )
    found = catalogue.read(context.delivered().path)
    assert [(one["rel_path"], one["selection_score"]) for one in found] == [
        ("masters/songs/a.wav", 25), ("masters/a.wav", 20), ("b.wav", 10), ("a.wav", 0),
    ]  # fmt: skip
    assert found[0]["selection_reasons"] == "masters +10; songs +10; 44100 Hz +5"


def test_equal_scores_are_in_order_of_their_paths(choose: Any) -> None:
    assert chosen(choose(row("c.wav"), row("B.wav"), row("a/z.wav"), row("masters/z.wav"))) == [
        "masters/z.wav", "a/z.wav", "B.wav", "c.wav",
    ]  # fmt: skip


def test_the_default_rules_are_the_ones_people_know(choose: Any) -> None:
    context = choose(
        row("keep.wav", 30.0), row("short.wav", 29.99), row("long.wav", 3600.01), row("hour.wav", 3600.0),
        row("Scratch/x.wav"), row("demo 3.wav"), row("Greatest.wav"), row("x_old.wav"), row("unused/DRAFT.wav"),
    )  # fmt: skip
    assert chosen(context) == ["Greatest.wav", "hour.wav", "keep.wav"]
    assert rejected(context) == {
        "short.wav": ("min_duration", "29.99 s is under 30 s"),
        "long.wav": ("max_duration", "3600.01 s is over 3600 s"),
        "Scratch/x.wav": ("skip", "its path has scratch"),
        "demo 3.wav": ("skip", "its path has demo"),
        "x_old.wav": ("skip", "its path has _old"),
        "unused/DRAFT.wav": ("skip", "its path has draft, unused"),
    }
    assert context.delivered().facts["rejected"] == {"skip": 4, "min_duration": 1, "max_duration": 1}


def test_conservative_takes_masters_and_bounces_of_one_to_ten_minutes(choose: Any) -> None:
    rows = [row("masters/a.wav", 60.0), row("Bounces/b.wav", 600.0), row("songs/c.wav"), row("masters/d.wav", 59.0)]
    rows += [row("masters/e.wav", 601.0), row("masters/demo.wav")]
    assert chosen(choose(*rows, rules="conservative")) == ["Bounces/b.wav", "masters/a.wav"]


def test_experimental_takes_everything_of_ten_seconds_to_two_hours(choose: Any) -> None:
    rows = [row("demo/test.wav", 10.0), row("x.wav", 7200.0), row("y.wav", 9.9), row("z.wav", 7201.0)]
    context = choose(*rows, rules="experimental")
    assert chosen(context) == ["demo/test.wav", "x.wav"]
    assert {one["selection_score"] for one in catalogue.read(context.delivered().path)} == {0}


def test_what_the_step_says_wins_over_the_rules_file(choose: Any) -> None:
    rows = [row("demo/a.wav", 70.0), row("b.wav", 50.0), row("masters/c.wav", 500.0)]
    assert chosen(choose(*rows, min_duration=60.0, max_duration=400.0, skip=[])) == ["demo/a.wav"]


def test_a_file_of_ones_own_can_be_named(choose: Any, config: Path) -> None:
    (config / "selections" / "tapes.yaml").write_text("only: tape\nmin_duration: 5m\n")
    assert chosen(choose(row("tape/a.wav", 301.0), row("b.wav", 301.0), rules="tapes")) == ["tape/a.wav"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("min_duraton: 3", "min_duraton: no such key; did you mean 'min_duration'"),
        ("min_duration: 90s\nmax_duration: 60s", "min_duration .90 s. is over max_duration"),
        ("loudness: {}", "loudness: says neither min nor max"),
        ("tempo: {min: 3, max: 2}", "swap them"),
        ("skip: 3", "skip"),
        ("skip: [a", "is not YAML"),
        ("prefer: a\nprefer: b", "'prefer' is there twice"),
    ],
)
def test_rules_that_are_not_well_written_are_refused_with_the_key(
    choose: Any, config: Path, tmp_path: Path, text: str, words: str
) -> None:
    (config / "selections" / "mine.yaml").write_text(text)
    with pytest.raises(Invalid, match=words):
        choose(row("a.wav"), rules="mine")
    (finding,) = check_selection(SelectParams(catalog="x", rules="mine"), World(config, tmp_path))
    assert finding.kind == "error" and finding.key == "rules"


def test_rules_that_are_not_there_are_refused_with_the_nearest(config: Path) -> None:
    with pytest.raises(ValueError, match=r"no rules 'conservativ'; did you mean 'conservative'\? \(there are: conserv"):
        load_rules(config, "conservativ")


def test_a_step_that_contradicts_its_rules_is_refused(config: Path, tmp_path: Path) -> None:
    params = SelectParams(catalog="x", rules="conservative", min_duration=900.0)
    (finding,) = check_selection(params, World(config, tmp_path))
    assert "min_duration (900 s) is over max_duration (600 s)" in finding.message


def test_shipped_rules_have_nothing_wrong_with_them(tmp_path: Path, config: Path) -> None:
    for name in ("default", "conservative", "experimental"):
        assert not list(check_selection(SelectParams(catalog="x", rules=name), World(config, tmp_path)))


def test_nothing_selected_says_which_rule_removed_how_many(choose: Any) -> None:
    rows = [row("a.wav", 3.0), row("b.wav", 4.0), row("test.wav")]
    with pytest.raises(Invalid) as error:
        choose(*rows)
    assert "nothing selected of 3: min_duration removed 2 (such as a.wav: 3 s is under 30 s)" in str(error.value)
    assert "skip removed 1 (such as test.wav: its path has test)" in str(error.value)


def test_the_summary_has_counts_hours_mean_and_the_top_five(choose: Any) -> None:
    rows = [row(f"{number}.wav", 360.0) for number in range(9)] + [row("masters/x.wav", 1080.0), row("test.wav")]
    context = choose(*rows)
    facts = context.delivered().facts
    assert (facts["selected"], facts["of"], facts["hours"], facts["mean_s"]) == (10, 11, 1.2, 432.0)
    assert [one["rel_path"] for one in facts["top"]] == ["masters/x.wav", "0.wav", "1.wav", "2.wav", "3.wav"]
    text = describe_selection(ItemRecord(1, context.delivered().path, facts))
    assert "10 of 11 recordings selected by default, 1.20 hours" in text and "rejected by skip 1" in text


@pytest.mark.parametrize("form", ["csv", "json", "md"])
def test_a_catalogue_can_come_from_a_file_and_keeps_its_ids(choose: Any, find: Any, record: Any, form: str) -> None:
    record("b.wav")
    record("masters/a.wav")
    found = find(format=form).delivered().path
    context = choose(file=found, min_duration=0.1, format=form, output=f"selected.{form}")
    assert context.delivered().path.name == f"selected.{form}"
    assert [(one["id"], one["rel_path"]) for one in catalogue.read(context.delivered().path)] == [
        ("audio_0001", "masters/a.wav"), ("audio_0000", "b.wav"),
    ]  # fmt: skip


def test_a_list_from_somebodys_own_script_will_do(choose: Any, record: Any, disk: Path) -> None:
    record("sub/a.wav")
    (disk / "mine.csv").write_text("\ufeffrel_path,duration_sec,channels\r\nsub/a.wav,95.5,2.0\r\n")
    (one,) = catalogue.read(choose(file=disk / "mine.csv").delivered().path)
    assert (one["id"], one["path"], one["duration_sec"], one["channels"]) == (
        "audio_0000", str(disk / "sub/a.wav"), 95.5, 2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.csv", "", "holds no recordings"),
        ("x.csv", "id,name\n1,x\n", "row 1: has neither rel_path nor path"),
        ("x.csv", "rel_path,duration_sec\na.wav,long\n", "duration_sec is 'long', not a number"),
        ("x.csv", "rel_path,duration_sec\na.wav,nan\n", "duration_sec is 'nan', not a number"),
        ("x.json", '[{"rel_path": "a", "sample_rate": Infinity}]', "sample_rate is inf, not a number"),
        ("x.csv", "rel_path\na.wav,3\n", "line 2 has not as many cells"),
        ("x.json", "{}", "must be a list"),
        ("x.json", "[", "is no catalogue"),
        ("x.md", "# nothing\n", "there is no table"),
        ("x.txt", "x", "ends in .csv, .json or .md"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_the_reason(
    choose: Any, tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Invalid, match=words):
        choose(file=tmp_path / name)


def test_a_row_without_a_length_is_rejected_where_lengths_are_asked_for() -> None:
    assert judge(row("a.wav", None), Wishes(min_duration=1.0)).reason == "its length is not known"  # type: ignore[arg-type]
    assert not judge(row("a.wav", None), Wishes()).rule  # type: ignore[arg-type]


def beaten(duration_s: float, rate: int) -> np.ndarray:
    """120 clicks a minute that die away within 60 ms."""
    audio = np.zeros((1, round(duration_s * rate)), np.float32)
    click = np.sin(np.arange(480) * 0.9) * np.exp(-np.arange(480) / 80)
    for start in range(0, audio.shape[1] - 480, rate // 2):
        audio[0, start : start + 480] += click.astype(np.float32)
    return audio


@pytest.fixture
def sounds(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """A tone, noise, clicks and silence, as rows."""
    made = {
        "tone.wav": tone(440, 12.0, 8000, level_db=-20), "noise.wav": noise(12.0, 8000, level_db=-20),
        "clicks.wav": beaten(12.0, 8000), "silence.wav": np.zeros((1, 96_000), np.float32),
    }  # fmt: skip
    for name, audio in made.items():
        files.write(tmp_path / name, audio, 8000)
    return {name: row(name, 12.0, path=str(tmp_path / name)) for name in made}


@pytest.mark.parametrize(
    ("wish", "stay", "rule"),
    [
        ({"steadiness": {"min": 0.9}}, ["noise.wav", "tone.wav"], "steadiness"),
        ({"noisiness": {"min": 0.8}}, ["noise.wav"], "noisiness"),
        ({"noisiness": {"max": 0.2}}, ["clicks.wav", "tone.wav"], "noisiness"),
        ({"loudness": {"min": -17}}, ["noise.wav"], "loudness"),
        ({"tempo": {"min": 119, "max": 121}}, ["clicks.wav"], "tempo"),
    ],
)
def test_measured_rules_listen(choose: Any, sounds: Any, wish: dict[str, Any], stay: list[str], rule: str) -> None:
    context = choose(*sounds.values(), rules="experimental", **wish)
    assert chosen(context) == stay
    column = rules.MEASURED[rule][0]
    assert all(one[column] is not None for one in catalogue.read(context.delivered().path))
    assert {name for name, (by, _) in rejected(context).items() if by == rule} == set(sounds) - set(stay)
    assert rejected(context)["silence.wav"][1].startswith("it has no ")
    assert all(why.startswith((f"{rule} ", "it has no ")) for by, why in rejected(context).values() if by == rule)


def test_the_list_of_what_was_rejected_is_there_and_empty_where_all_stays(choose: Any) -> None:
    assert rejected(choose(row("a.wav"))) == {}


def test_what_was_measured_stands_in_the_catalogue_and_is_not_measured_again(
    context_factory: Any, sounds: Any, tmp_path: Path
) -> None:
    context = context_factory()
    heard = listening.measure(sounds["noise.wav"], ["noisiness"], context)
    assert heard["noisiness"] > 0.9
    (memory,) = context.cache_dir.iterdir()
    memory.write_text('{"noisiness": 0.123}')
    assert listening.measure(sounds["noise.wav"], ["noisiness"], context) == {"noisiness": 0.123}
    assert listening.measure(sounds["noise.wav"], ["steadiness"], context)["steadiness"] > 0.9
    files.write(tmp_path / "noise.wav", tone(440, 12.5, 8000), 8000)
    assert listening.measure(sounds["noise.wav"], ["noisiness"], context)["noisiness"] < 0.01


def test_a_recording_that_cannot_be_listened_to_is_rejected_for_that(choose: Any, sounds: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"bad")
    rows = [
        sounds["tone.wav"],
        row("bad.wav", path=str(tmp_path / "bad.wav")),
        row("gone.wav", path=str(tmp_path / "gone.wav")),
    ]
    context = choose(*rows, rules="experimental", loudness={"max": 0})
    assert chosen(context) == ["tone.wav"]
    reasons = rejected(context)
    assert "cannot be read as audio" in reasons["bad.wav"][1] and "run discover again" in reasons["gone.wav"][1]
    assert {by for by, _ in reasons.values()} == {"unreadable"}


def test_a_discovery_is_described_in_a_few_lines(find: Any, record: Any, disk: Path) -> None:
    record("a.wav")
    record("exports/b.wav")
    (disk / "bad.wav").write_bytes(b"bad")
    (disk / "c.wma").write_bytes(b"x")
    context = find()
    text = describe_discovery(ItemRecord(1, context.delivered().path, context.delivered().facts))
    for words in ("1 recording, ", "pcm 1", "1 could not be used", "bad.wav: ", ".wma 1", "skipped: exports 1"):
        assert words in text


def test_params_take_one_word_for_a_list() -> None:
    assert SelectParams(catalog="x", skip="test").skip == ["test"]
    with pytest.raises(ValidationError):
        SelectParams(catalog="x", rules="../secret")
