"""The seed is put into a person's own job file and nothing else in it changes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from daemon.pages.repeat import command, find_seed, other_seed

WITHOUT = [
    "do: beats\ninput: ./x.wav\n",
    "# ä comment\n\nname: größe\ndo: beats\n",
    "{do: beats, input: ./x.wav}",
    "---\ndo: beats\n",
    "  do: beats\n  input: ./x.wav\n",
    "\ufeffdo: beats\n",
    "steps:\n  seed: {do: beats}\n",
    "do: beats\r\ninput: x\r\n",
]
WITH = [
    "seed: 7\ndo: beats\n",
    "name: ä\nseed:   7   # mine\ndo: beats\n",
    "{do: beats, seed: 7}",
    "do: beats\nseed: '7'\n",
    '"seed": 7\ndo: x',
]
NOT_NAMED = ["seed:\ndo: beats\n", "do: beats\nseed: ~\n", "do: beats\nseed: null # draw one\n", "do: beats\nseed:"]


@pytest.mark.parametrize("document", [*WITHOUT, *WITH, *NOT_NAMED])
def test_job_file_gets_the_seed_and_keeps_all_else(document: str) -> None:
    text = find_seed(document)
    assert text is not None and text.named == (document in WITH)
    before, after = yaml.safe_load(document), yaml.safe_load(text.with_seed(4_294_967_295))
    assert after == {**before, "seed": 4_294_967_295}
    for comment in ("# ä comment", "# mine", "# draw one"):
        assert (comment in document) == (comment in text.with_seed(1))


@pytest.mark.parametrize("document", ["", "- a\n- b\n", "just words", "a: [", "seed: {a: 1}\n"])
def test_text_with_no_place_for_a_seed_has_none(document: str) -> None:
    assert find_seed(document) is None


@pytest.mark.parametrize("document", WITHOUT)
def test_printed_command_makes_the_same_file(document: str, tmp_path: Path) -> None:
    place = tmp_path / "out box"
    place.mkdir()
    (place / "job.yaml").write_text(document, encoding="utf-8", newline="")
    text = find_seed(document)
    line = command(str(place), "kick's study", 12, text)
    assert (line is None) == (text is not None and not text.plain)
    if line is not None:
        made, _, submit = line.partition(" && ")
        subprocess.run(["sh", "-c", made], cwd=tmp_path, check=True)
        assert yaml.safe_load((tmp_path / "kick's study.yaml").read_bytes()) == {**yaml.safe_load(document), "seed": 12}
        assert shlex.split(submit) == ["./drophammer", "submit", "kick's study.yaml"]


def test_variation_has_another_seed_and_always_the_same_one() -> None:
    assert other_seed(7, "a") == other_seed(7, "a") != 7
    assert 0 <= other_seed(7, "a") < 2**32
