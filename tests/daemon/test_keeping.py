"""Keep what you love, and the rest of the job is made anew around it with another seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from daemon.cli.app import app
from tests.conftest import House, eventually

PROBE = {"do": "probe", "tells": True}
STEPS: dict[str, Any] = {"beds": {**PROBE, "items": 3}, "mix": {**PROBE, "input": ["beds"]}}


def call(house: House, *words: str, status: int = 0) -> str:
    """What `drophammer WORDS` says; on stderr where it refuses."""
    done = CliRunner().invoke(app, words, env={"DROPHAMMER_HOME": str(house.home)})
    assert done.exit_code == status, done.output
    return done.stderr if status else done.stdout


def keep(house: House, job: str, *items: str, **more: str) -> list[str]:
    return house.ask("keep", job=job, items=" ".join(items), **more)["kept"]


def again(house: House, *words: str) -> tuple[Path, dict[str, Any]]:
    """Make a job anew; the new one's folder and manifest."""
    job = house.ended(json.loads(call(house, "again", "--json", *words))["id"])
    return Path(job["folder"]), house.manifest(job)


def text_of(folder: Path, item: str) -> str:
    (path,) = folder.glob(f"*_{item}.txt")
    return path.read_text()


def test_kept_items_are_taken_over_and_all_else_is_new(running: House) -> None:
    running.drop("set.yaml", {"name": "set", "seed": 7, "steps": STEPS})
    old = running.ended("set")
    assert keep(running, old["id"], "beds/3", "beds/1") == ["beds/1", "beds/3"]
    assert keep(running, old["id"], "beds/1", drop="yes") == ["beds/3"]
    folder, manifest = again(running, "set", "--seed", "8")
    assert [text_of(folder, f"beds_{item}") for item in (1, 2, 3)] == ["8 beds  1\n", "8 beds  2\n", "7 beds  3\n"]
    assert text_of(folder, "mix_1") == "8 mix ['8 beds  1', '8 beds  2', '7 beds  3'] 1\n"
    kept = manifest["steps"][0]["items"][2]
    assert kept["facts"]["kept_from"] == f"{old['id']}/beds/3"
    assert [file["kind"] for file in kept["files"]] == ["primary", "sidecar"]
    assert manifest["job"]["from_job"] == old["id"] and manifest["job"]["seed"] == 8
    assert f"{old['id']}/beds/3" in (folder / "report.md").read_text()


def test_the_new_job_file_says_what_it_does_and_makes_the_same_again(running: House) -> None:
    text = "# my set\nname: set\nseed: 7   # lucky\nsteps:\n  beds: {do: probe, tells: true, items: 2}   # two\n"
    running.drop("set.yaml", text)
    old = running.ended("set")["id"]
    keep(running, old, "beds/2")
    folder, _ = again(running, "set", "--seed", "8")
    assert (folder / "job.yaml").read_text() == (
        f"# Made by `./drophammer again`: {old} with another seed, keeping beds/2.\n"
        f"# my set\nfrom: {old}\nname: set\nseed: 8   # lucky\n"
        "steps:\n  beds: {keep: {2: from/beds/2}, do: probe, tells: true, items: 2}   # two\n"
    )
    running.drop("copy.yaml", (folder / "job.yaml").read_text().replace("name: set", "name: copy"))
    copy = Path(running.ended("copy")["folder"])
    assert [text_of(copy, f"beds_{item}") for item in (1, 2)] == ["8 beds  1\n", "7 beds  2\n"]


def test_again_of_an_again_takes_from_the_newer_one(running: House) -> None:
    running.drop("set.yaml", {"name": "set", "seed": 7, "steps": STEPS})
    keep(running, running.ended("set")["id"], "beds/3")
    second, _ = again(running, "set", "--seed", "8")
    keep(running, second.name, "beds/1")
    third, manifest = again(running, second.name, "--seed", "9")
    assert [text_of(third, f"beds_{item}") for item in (1, 2, 3)] == ["8 beds  1\n", "9 beds  2\n", "9 beds  3\n"]
    document = manifest["job"]["document"]
    assert document.count("Made by") == 1 and document.count("from:") == 1 and document.count("keep:") == 1
    alone, _ = again(running, third.name, "--all", "--seed", "10")
    assert [text_of(alone, f"beds_{item}") for item in (1, 2, 3)] == [f"10 beds  {item}\n" for item in (1, 2, 3)]
    assert "from" not in yaml.safe_load((alone / "job.yaml").read_text())


def test_the_best_of_several_seeds_make_one_job(running: House) -> None:
    running.drop("many.yaml", {"seeds": [7, 3], **PROBE, "items": 3})
    many = running.ended("many")["id"]
    keep(running, many, "seed-3/probe/2", "seed-7/probe/2")
    folder, manifest = again(running, "many", "--seed", "8")
    assert [text_of(folder, f"probe_{item}") for item in (1, 2, 3)] == ["3 probe  2\n", "7 probe  2\n", "8 probe  3\n"]
    assert manifest["job"]["seeds"] == []


def test_new_items_share_tempo_and_key_with_what_is_kept(house: House) -> None:
    house.configure(handlers=["tests.probes:HANDLER", "tests.probes:TUNED"])
    house.start()
    tuned = {"do": "tuned", "items": 2}
    steps = {"beds": {**tuned, "tempo": [120, 130]}, "lift": tuned, "hard": {**tuned, "tempo": 150.0}, "other": PROBE}
    house.drop("set.yaml", {"name": "set", "seed": 7, "steps": steps})
    keep(house, house.ended("set")["id"], "beds/1")
    text = yaml.safe_load(call(house, "again", "set", "--dry-run"))["steps"]
    assert text["beds"] == {**tuned, "tempo": 123.5, "key": "F# minor", "keep": {1: "from/beds/1"}}
    assert text["lift"] == {**tuned, "tempo": 123.5, "key": "F# minor"}
    assert text["hard"] == {**tuned, "tempo": 150, "key": "F# minor"} and text["other"] == PROBE


def test_what_is_gone_or_changed_is_not_kept(running: House) -> None:
    running.drop("set.yaml", {"name": "set", "seed": 7, "steps": STEPS})
    old = running.ended("set")
    keep(running, old["id"], "beds/3")
    third = Path(old["folder"]) / "set_beds_3.txt"
    sound = third.read_bytes()
    third.write_bytes(b"retagged")
    refused = call(running, "again", "set", status=1)
    assert (
        f"{third} was changed since it was made. To go on without it: ./drophammer keep {old['id']} beds/3" in refused
    )
    # The worker, too, looks at what it takes over.
    third.write_bytes(sound)
    call(running, "pause")
    new = json.loads(call(running, "again", "set", "--json"))["id"]
    eventually(lambda: (job := running.job(new)) and job["state"] == "queued", "the job waits for its lane")
    third.write_bytes(b"retagged")
    call(running, "resume")
    assert "from/beds/3" in running.ended(new, "failed")["reason"]
    third.unlink()
    assert f"{third} is gone" in call(running, "again", old["id"], status=1)


def test_only_finished_items_of_their_own_are_kept(running: House) -> None:
    each = {**PROBE, "input": ["each"], "for_each": {"in": "beds"}}
    running.drop("set.yaml", {"steps": {"beds": STEPS["beds"], "each-bed": each, "mix": STEPS["mix"]}})
    running.ended("set")
    there = "there are beds/1 to beds/3, each-bed/1 to each-bed/3 and mix/1"
    assert f"has no finished item 'beds/4'; {there}" in call(running, "keep", "set", "beds/1", "beds/4", status=2)
    assert f"has no finished item 'beds'; {there}" in call(running, "keep", "set", "beds", status=2)
    made_from = "each-bed/1 is made from another item (for_each), and anew with it: keep that one"
    assert made_from in call(running, "keep", "set", "each-bed/1", status=2)
    assert running.rows("SELECT * FROM kept") == [], "one of two was kept"


def test_again_refuses_what_it_cannot_make(running: House) -> None:
    running.drop("set.yaml", {"name": "set", "seed": 7, "steps": STEPS})
    old = running.ended("set")["id"]
    assert f"nothing of {old} is kept. Mark what you love: ./drophammer keep {old} beds/1" in call(
        running, "again", "set", status=1
    )
    keep(running, old, "beds/1")
    assert "--seed 7: " in call(running, "again", "set", "--seed", "7", status=2)
    running.drop("slow.yaml", {**PROBE, "seconds": 60})
    eventually(lambda: (job := running.job("slow")) and job["state"] == "running", "it runs")
    assert "is running: wait until it has ended" in call(running, "again", "slow", status=1)
    running.drop("remix.yaml", {"from": "set", **PROBE, "input": ["from/beds/1"]})
    keep(running, running.ended("remix")["id"], "probe/1")
    assert "takes items from another job itself (from: set)" in call(running, "again", "remix", status=1)


def test_what_a_failed_job_finished_can_be_kept_too(running: House) -> None:
    running.drop("set.yaml", {"seed": 7, **PROBE, "items": 3, "end": "invalid", "until": str(running.home / "gate")})
    keep(running, running.ended("set", "failed")["id"], "probe/2")
    (running.home / "gate").touch()
    folder, _ = again(running, "set", "--seed", "8")
    assert [text_of(folder, f"probe_{item}") for item in (1, 2, 3)] == ["8 probe  1\n", "7 probe  2\n", "8 probe  3\n"]


def test_show_says_what_is_kept(running: House) -> None:
    running.drop("set.yaml", {"seed": 7, **PROBE, "items": 2})
    job = running.ended("set")
    assert call(running, "keep", "set", "probe/2") == f"{job['id']} keeps probe/2\n"
    lines = call(running, "show", "set").splitlines()
    assert [("(kept)" in line) for line in lines if line.strip().startswith("/")] == [False, True]
    files = json.loads(call(running, "show", "set", "--json"))["files"]
    assert [(file["item"], file["kept"]) for file in files if file["kind"] == "primary"] == [(1, False), (2, True)]
