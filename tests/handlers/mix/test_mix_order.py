"""Orders: by turns, repeated to a length, from an order.txt that ffmpeg reads too, or planned with pins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile as sf

from handlers.audio import files
from handlers.audio.delivery.concat import quoted, read_concat, write_concat
from handlers.contract import InputFile, Invalid
from handlers.mix.mixdown import run
from handlers.mix.params import MixParams
from tests.fixtures.sound import noise

RATE = 8_000
CUT = {"transition": {"kind": "cut"}}


def piece(folder: Path, name: str, seconds: float = 1.0, **facts: Any) -> InputFile:
    path = folder / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, noise(seconds, RATE, seed=len(name)).T, RATE, subtype="PCM_16")
    return InputFile(path, name, "0" * 64, facts)


@pytest.fixture
def mixed(tmp_path: Path, context_factory: Callable[..., Any]) -> Callable[..., Any]:
    def make(inputs: dict[str, Any], **keys: Any) -> Any:
        context = context_factory(inputs)
        run(MixParams.model_validate(keys), context)
        return context

    return make


def sources(context: Any) -> list[str]:
    return [track["source"] for track in context.delivered().facts["tracks"]]


def test_turns_pass_over_what_has_no_more(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    beds = [piece(tmp_path, f"beds/{n}") for n in range(1, 4)]
    lifts = [piece(tmp_path, f"lifts/{n}") for n in range(1, 3)]
    context = mixed({"beds": beds, "lifts": lifts}, interleave=["beds", "lifts"], **CUT)
    assert sources(context) == ["beds/1", "lifts/1", "beds/2", "lifts/2", "beds/3"]


def test_an_order_is_repeated(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    inputs = {name: piece(tmp_path, name) for name in ("a", "b")}
    assert sources(mixed(inputs, order=["a", "b", "a"], repeat=2, **CUT)) == ["a", "b", "a", "a", "b", "a"]


@pytest.mark.parametrize(("length", "ends"), [("9s", 9.0), ("1.5s", 2.0), (3.4, 3.0)])
def test_a_length_is_met_to_the_nearest_piece(
    tmp_path: Path, mixed: Callable[..., Any], length: Any, ends: float
) -> None:
    # Pieces of 2 s and 1.5 s that overlap by half a second end at 2, 3, 4.5, 5.5, 7, 8, 9.5 ...
    inputs = {"a": piece(tmp_path, "a", 2.0), "b": piece(tmp_path, "b", 1.5)}
    context = mixed(inputs, order=["a", "b"], length=length, transition={"duration": 0.5})
    expected = min([2, 3, 4.5, 5.5, 7, 8, 9.5], key=lambda end: abs(end - ends))
    assert context.delivered().facts["duration_s"] == pytest.approx(expected)


def test_the_order_of_a_mix_is_played_by_ffmpeg_and_accepted_edited(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    inputs = {name: piece(tmp_path / "it's here", name, 0.5) for name in ("a", "b b")}
    context = mixed(inputs, order=["a", "b b", "a"], formats=["wav"], **CUT)
    order = context.delivered("sidecar", label="order").path
    played = tmp_path / "played.wav"
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", "-f", "concat", "-safe", "0", "-i", order, "-c", "copy", played], check=True)
    assert np.array_equal(sf.read(played, dtype="int16")[0], sf.read(context.delivered().path, dtype="int16")[0])

    lines = order.read_text(encoding="utf-8").splitlines()
    edited = tmp_path / "order.txt"
    edited.write_text("\n".join(reversed([line for line in lines if "a.wav" not in line])) + "\n", encoding="utf-8")
    again = mixed(
        {"./order.txt": InputFile(edited, "./order.txt", "0" * 64), "a": inputs["a"], "b": inputs["b b"]},
        order="./order.txt", pieces=["a", "b"], **CUT,
    )  # fmt: skip
    assert sources(again) == ["b b"]


def test_an_order_means_files_beside_it_and_nothing_elsewhere(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    piece(tmp_path / "inbox", "sub/a")
    piece(tmp_path, "secret")
    order = tmp_path / "inbox" / "order.txt"
    order.write_text("file sub/a.wav\nfile 'sub/a.wav'\n", encoding="utf-8")
    given = {"./order.txt": InputFile(order, "./order.txt", "0" * 64)}
    assert sources(mixed(given, order="./order.txt", **CUT)) == ["sub/a.wav", "sub/a.wav"]
    for line in ("../secret.wav", str(tmp_path / "secret.wav"), "nowhere.wav"):
        order.write_text(f"file sub/a.wav\nfile '{line}'\n", encoding="utf-8")
        with pytest.raises(Invalid, match=r"order.txt: line 2: .* is neither one of the job's pieces \(none\)"):
            mixed(given, order="./order.txt", **CUT)


def test_an_order_that_was_moved_is_told_by_the_ends_of_its_paths(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    items = [piece(tmp_path / "outbox" / str(n), "bed") for n in (1, 2)]
    items = [InputFile(one.path, f"from/beds/{n}", one.sha256) for n, one in enumerate(items, 1)]
    order = tmp_path / "order.txt"
    order.write_text("ffconcat version 1.0\n# edited\nfile 2/bed.wav\nduration 1\nfile 1/bed.wav\n", encoding="utf-8")
    inputs = {"./order.txt": InputFile(order, "./order.txt", "0" * 64), "from/beds": items}
    assert sources(mixed(inputs, order="./order.txt", pieces=["from/beds"], **CUT)) == ["from/beds/2", "from/beds/1"]
    order.write_text("file bed.wav\n", encoding="utf-8")
    with pytest.raises(Invalid, match="neither one of"):
        mixed(inputs, order="./order.txt", pieces=["from/beds"], **CUT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no piece"),
        ("# nothing\n", "names no piece"),
        ("file 'a.wav", "line 1: a quote is not closed"),
        ("file a.wav\ninpoint 3\n", "line 2: 'inpoint 3' cannot be honoured"),
        ("a.wav\n", "line 1: 'a.wav' cannot be honoured"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "order.txt").write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match=message):
        read_concat(tmp_path / "order.txt")


def test_names_survive_quoting(tmp_path: Path) -> None:
    names = ["it's.wav", "'", "a b", "back\\slash", "#5", "''x''"]
    write_concat(tmp_path / "order.txt", [(name, "a\ncomment") for name in names], remark="two\nlines")
    assert [entry.path for entry in read_concat(tmp_path / "order.txt")] == names
    assert quoted("it's") == "'it'\\''s'"


def test_a_reference_that_holds_nothing_is_named(mixed: Callable[..., Any]) -> None:
    with pytest.raises(Invalid, match="order.1: 'beds' holds no audio"):
        mixed({"beds": []}, order=["beds"])
    with pytest.raises(Invalid, match="interleave.1: 'beds' holds no audio"):
        mixed({"beds": []}, interleave=["beds"])


def planned_pieces(folder: Path) -> list[InputFile]:
    keys = ["A minor", "E minor", "B minor", "F# minor", "D minor"]
    made = []
    for number, (tempo, key) in enumerate(zip((120, 121, 122, 123, 119), keys, strict=True), 1):
        facts = {"tempo_bpm": float(tempo), "key": key, "integrated_lufs": -20.0 + number, "onsets": 4}
        made.append(piece(folder, f"p{number}", **facts))
    return made


def test_a_set_plans_itself_keeps_its_pins_and_says_why(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    pieces = planned_pieces(tmp_path)
    inputs = {"all": pieces, "one": pieces[2]}
    context = mixed(inputs, order="auto", pieces=["all"], pin=[{"piece": "one", "at": "last"}], **CUT)
    assert sorted(sources(context)) == ["p1", "p2", "p3", "p4", "p5"] and sources(context)[-1] == "p3"
    facts = context.delivered().facts["plan"]
    assert facts["distance"] <= facts["random_median"]
    text = context.delivered("sidecar", label="plan").path.read_text(encoding="utf-8")
    assert "pinned here" in text and text.count("\n| ") == 1 + 5
    json.dumps(facts)


def test_a_planned_set_takes_what_fits_and_always_its_pins(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    pieces = planned_pieces(tmp_path)
    context = mixed(
        {"all": pieces, "one": pieces[4]}, order="auto", pieces=["all"], length="3s", pin=[{"piece": "one", "at": 1}], **CUT
    )  # fmt: skip
    assert len(sources(context)) == 3 and sources(context)[0] == "p5"


@pytest.mark.parametrize(
    ("pin", "message"),
    [
        ([{"piece": "all", "at": 1}], "pin.1: 'all' is not one of the pieces"),
        ([{"piece": "one", "at": 9}], "pin.1: there is no place 9 in a set of 5"),
        ([{"piece": "one", "at": 1}, {"piece": "one", "at": "last"}], "pin.2: one at last: .* pinned already"),
        ([{"piece": "other", "at": 1}], "pin.1: 'other' is not one of the pieces"),
    ],
)
def test_pins_that_cannot_be_are_refused(
    tmp_path: Path, mixed: Callable[..., Any], pin: list[dict[str, Any]], message: str
) -> None:
    pieces = planned_pieces(tmp_path)
    inputs = {"all": pieces, "one": pieces[2], "other": piece(tmp_path, "other")}
    with pytest.raises(Invalid, match=message):
        mixed(inputs, order="auto", pieces=["all"], pin=pin, **CUT)


def test_what_is_not_known_of_a_piece_is_heard(tmp_path: Path, mixed: Callable[..., Any]) -> None:
    inputs = {name: piece(tmp_path, name, 3.0) for name in ("a", "b")}
    context = mixed(inputs, order="auto", pieces=["a", "b"], **CUT)
    assert sorted(sources(context)) == ["a", "b"]
    assert "tempo not known" in context.delivered("sidecar", label="plan").path.read_text(encoding="utf-8")
    assert files.probe(context.delivered().path).duration_s == pytest.approx(6.0)
