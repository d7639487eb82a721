"""Files that arrive in every way files arrive, at one running daemon: each is taken once, whole, and none too soon."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once

PAUSES_S = (0.5, 5.0, 30.0)
FIRST, REST = "do: wreck\n", "items: 2\n"
"""The first half of a file is a job too, but not the one that was meant."""

TOOLS = {
    "cp": "cp {source} {target}",
    "mv": "mv {source} {target}",
    "install": "install -m 644 {source} {target}",
    "dd": "dd if={source} of={target} bs=4 status=none",
    "tee": "cat {source} | tee {target} >/dev/null",
    "scp": "scp -q {source} {target}",
    "rsync": "rsync -a --temp-dir={folder} {source} {target}",
    "sed": "cp {source} {target}.tmp && sed -i s/items/items/ {target}.tmp && mv {target}.tmp {target}",
    "vim": "vim -Nes -u NONE {target} -c '0r {source}' -c x",
    "ln": "ln {source} {target}",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableHouse]:
    """One daemon for all of this file, started while three writers were in the middle of their files."""
    house = BreakableHouse(tmp_path_factory.mktemp("arriving") / "home")
    # Other ways of arriving wait for nothing: the kernel says when nobody has a file open.
    house.configure(settle="60s", lanes={"cpu": {"workers": 2}})
    begun = threading.Barrier(len(PAUSES_S) + 1)

    def write(pause_s: float) -> None:
        with open(house.inbox / f"slow-{pause_s:g}.yaml".replace("0.5", "half"), "w") as file:
            file.write(FIRST)
            file.flush()
            begun.wait()
            time.sleep(pause_s)
            file.write(REST)

    house.writers = [threading.Thread(target=write, args=(pause_s,)) for pause_s in PAUSES_S]  # type: ignore[attr-defined]
    for writer in house.writers:  # type: ignore[attr-defined]
        writer.start()
    begun.wait()
    house.start()
    yield house
    for writer in house.writers:  # type: ignore[attr-defined]
        writer.join()
    house.kill()


def taken(house: BreakableHouse, name: str) -> list[int]:
    """How many items each job of that name made, once all of them are over."""
    jobs = "SELECT id, state FROM jobs WHERE name = ?"
    eventually(
        lambda: (rows := house.rows(jobs, name)) and all(row["state"] == "done" for row in rows), f"{name} is done"
    )
    return [
        house.rows("SELECT count(*) FROM artifacts WHERE job_id = ?", row["id"])[0][0] for row in house.rows(jobs, name)
    ]


def test_every_tool_that_brings_a_file_brings_one_job(house: BreakableHouse) -> None:
    there = {tool: line for tool, line in TOOLS.items() if shutil.which(tool)}
    aside = house.home / "aside"
    aside.mkdir()
    for tool, line in there.items():
        source = aside / f"by-{tool}.yaml"
        source.write_text(FIRST + REST)
        words = line.format(source=source, target=house.inbox / source.name, folder=aside)
        subprocess.run(["sh", "-c", words], check=True, stdin=subprocess.DEVNULL)
    assert {tool: taken(house, f"by-{tool}") for tool in there} == {tool: [2] for tool in there}


def test_an_accepted_file_that_is_touched_or_edited_starts_nothing(house: BreakableHouse) -> None:
    house.drop("settled.yaml", FIRST + REST)
    accepted = house.inbox / "accepted" / f"{house.ended('settled')['id']}.yaml"
    eventually(accepted.exists, "it is set aside")
    os.utime(accepted)
    accepted.write_text(FIRST)
    house.drop("barrier.yaml", FIRST)
    house.ended("barrier")
    assert taken(house, "settled") == [2]


def test_names_of_every_kind_are_jobs_and_none_of_them_reaches_a_terminal(house: BreakableHouse) -> None:
    names = [
        b"caf\xe9-latin.yaml", b"two\nlines.yaml", b"-rf.yaml", b"n" * 250 + b".yaml", b"\x1b[31mred.yaml", b"space  and\ttab.yaml",
        unicodedata.normalize("NFC", "für-form.yaml").encode(), unicodedata.normalize("NFD", "für-form.yaml").encode(),
        "\u202elmay.yaml".encode(), b"$(reboot).yaml", b"a;b|c&d.yaml", b"quote'\".yaml",
    ]  # fmt: skip
    before = house.count()
    for name in names:
        part = os.fsencode(house.home) + b"/part"
        Path(os.fsdecode(part)).write_text(FIRST)
        os.rename(part, os.fsencode(house.inbox) + b"/" + name)
    eventually(lambda: house.count() >= before + len(names), "all are done")
    assert not [name for name in os.listdir(os.fsencode(house.inbox)) if name in names], "all were set aside"
    rows = house.rows("SELECT id, source_path FROM jobs")
    assert all(folder.replace("-", "").isalnum() for folder in (row["id"] for row in rows))
    shown = house.drophammer("list", "--limit", "50") + house.drophammer("logs", "--limit", "500") + house.output()
    assert "\x1b" not in shown and "\u202e" not in shown and "two\nlines" not in shown
    assert published_once(house) == []


def test_a_folder_of_many_drops_is_taken_whole_when_it_is_moved_in(house: BreakableHouse) -> None:
    batch = house.home / "batch"
    (batch / "deep" / "deeper").mkdir(parents=True)
    for number in range(30):
        (batch / ("" if number % 3 else "deep/deeper") / f"batch-{number}.yaml").write_text(FIRST + REST)
    batch.rename(house.inbox / "batch")
    assert [taken(house, f"batch-{number}") for number in range(30)] == [[2]] * 30


def test_a_folder_that_is_deleted_and_made_again_is_watched_again(house: BreakableHouse) -> None:
    project = house.inbox / "project"
    for name in ("one", "two", "three"):
        project.mkdir()
        (project / f"again-{name}.yaml").write_text(FIRST + REST)
        assert taken(house, f"again-{name}") == [2]
        shutil.rmtree(project)


def test_a_writer_that_pauses_is_waited_for_however_long(house: BreakableHouse) -> None:
    names = ["slow-half", "slow-5", "slow-30"]
    assert [taken(house, name) for name in names] == [[2]] * 3
    assert not house.rows("SELECT 1 FROM rejections WHERE path LIKE '%slow%'")
