"""The whole path, with the real daemon: drop, ledger, lane, handler, outbox."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sqlite3
import time
from pathlib import Path

from tests.conftest import House, eventually


def test_a_dropped_job_is_published_whole(running: House) -> None:
    running.drop("first.yaml", {"do": "probe", "items": 2, "text": "hello", "seed": 7})
    job = running.ended("first")
    folder = Path(job["folder"])
    assert folder.parent == running.outbox
    assert {
        "first_probe_1.txt",
        "first_probe_2.txt",
        "job.yaml",
        "manifest.json",
        "report.md",
        "index.html",
        "log.jsonl",
    } == set(os.listdir(folder))
    assert (folder / "first_probe_2.txt").read_text() == "hello 2\n"
    assert (running.outbox / "latest").resolve() == folder
    assert not (running.inbox / "first.yaml").exists()
    assert (
        (running.inbox / "accepted" / f"{job['id']}.yaml").read_text()
        == (folder / "job.yaml").read_text()
        == job["document"]
    )
    eventually(lambda: not list((running.outbox / ".staging").iterdir()), "staging is cleared")


def test_the_manifest_holds_what_made_each_item(running: House) -> None:
    running.drop("first.yaml", {"do": "probe", "text": "hello", "seed": 7})
    job = running.ended("first")
    manifest = running.manifest(job)
    (step,) = manifest["steps"]
    (item,) = step["items"]
    (file,) = item["files"]
    content = (Path(job["folder"]) / file["name"]).read_bytes()
    assert file["sha256"] == hashlib.sha256(content).hexdigest() and file["size_bytes"] == len(content)
    assert manifest["job"]["seed"] == 7 and manifest["job"]["state"] == "done"
    assert step["params"]["text"] == "hello" and step["params"]["seconds"] == 0.0
    assert item["facts"] == {"item_text": "hello"}


def test_steps_feed_each_other_in_the_order_of_their_needs(running: House) -> None:
    running.drop(
        "chain.yaml",
        {
            "steps": {
                "last": {"do": "probe", "input": ["middle"]},
                "middle": {"do": "probe", "input": ["first/2"], "items": 3},
                "first": {"do": "probe", "items": 2},
            }
        },
    )
    job = running.ended("chain")
    order = running.rows("SELECT step FROM lane_use WHERE job_id = ? ORDER BY started_at", job["id"])
    assert [row["step"] for row in order] == ["first", "middle", "last"]
    steps = {step["name"]: step for step in running.manifest(job)["steps"]}
    assert [entry["label"] for entry in steps["middle"]["inputs"]] == ["first/2"]
    assert [entry["label"] for entry in steps["last"]["inputs"]] == ["middle/1", "middle/2", "middle/3"]


def test_the_same_text_dropped_twice_is_two_jobs(running: House) -> None:
    for _ in range(2):
        running.drop("again.yaml", {"do": "probe"})
        time.sleep(0.3)
    eventually(lambda: len(running.rows("SELECT 1 FROM jobs WHERE state = 'done'")) == 2, "both are done")


def test_a_job_waits_for_its_input_and_says_so(running: House) -> None:
    running.drop("wants.yaml", {"do": "probe", "input": ["./takes/kick.wav"]})
    job = eventually(lambda: (job := running.job("wants")) and job["reason"] and job, "it waits")
    assert job["state"] == "waiting" and "./takes/kick.wav is not here" in job["reason"]
    running.drop("takes/kick.wav", b"RIFF" + bytes(100))
    running.ended("wants")


def test_with_no_cpu_workers_nothing_overlaps(house: House) -> None:
    house.configure(lanes={"cpu": {"workers": 0}})
    house.start()
    for number in range(6):
        house.drop(f"job-{number}.yaml", {"do": "probe", "seconds": 0.1})
    eventually(lambda: len(house.rows("SELECT 1 FROM jobs WHERE state = 'done'")) == 6, "all are done")
    spans = [tuple(row) for row in house.rows("SELECT started_at, ended_at FROM attempts ORDER BY started_at")]
    assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(spans))


def test_for_each_runs_once_an_item_and_counts_failures(running: House) -> None:
    running.drop(
        "many.yaml",
        {
            "steps": {
                "sources": {"do": "probe", "items": 4},
                "mine": {
                    "do": "probe",
                    "input": ["each"],
                    "for_each": {"in": "sources", "start": 1, "limit": 2},
                    "text": "x",
                },
                "gather": {"do": "probe", "input": ["mine"]},
            }
        },
    )
    job = running.ended("many")
    runs = running.rows(
        "SELECT each FROM runs JOIN steps ON steps.id = runs.step_id WHERE steps.name = 'mine' ORDER BY ordinal"
    )
    assert [row["each"] for row in runs] == ["sources/2", "sources/3"]
    steps = {step["name"]: step for step in running.manifest(job)["steps"]}
    assert [entry["label"] for entry in steps["gather"]["inputs"]] == ["mine/1", "mine/2"]
    assert (Path(job["folder"]) / "many_mine_002-1.txt").exists()


def test_a_finished_job_feeds_another(running: House) -> None:
    running.drop("source.yaml", {"steps": {"beds": {"do": "probe", "items": 3}}})
    source = running.ended("source")
    running.drop("remix.yaml", {"from": "source", "steps": {"again": {"do": "probe", "input": ["from/beds/3"]}}})
    job = running.ended("remix")
    assert job["from_job"] == source["id"]
    (entry,) = running.manifest(job)["steps"][0]["inputs"]
    assert Path(entry["path"]) == Path(source["folder"]) / "source_beds_3.txt"


def test_a_finished_item_that_was_changed_is_not_read(running: House) -> None:
    running.drop("source.yaml", {"steps": {"beds": {"do": "probe"}}})
    source = running.ended("source")
    (Path(source["folder"]) / "source_beds_1.txt").write_text("changed")
    running.drop("remix.yaml", {"from": source["id"], "steps": {"again": {"do": "probe", "input": ["from/beds/1"]}}})
    assert "is not the file its job made" in running.ended("remix", "failed")["reason"]


def test_progress_reaches_the_ledger_with_its_phase(running: House) -> None:
    running.drop("long.yaml", {"do": "probe", "items": 4, "seconds": 0.7})
    row = eventually(
        lambda: running.rows("SELECT * FROM runs WHERE phase = 'working' AND done >= 2"), "progress shows"
    )[0]
    assert (row["total"], row["unit"]) == (4, "items")
    running.ended("long")


def test_dropped_audio_goes_to_the_first_route_once(house: House) -> None:
    house.configure(on_audio=[{"match": "probes/**", "do": "probe"}, {"match": "*", "do": "beats"}])
    # A probe's `input` is a list; a route gives one file, so this one is refused with a note, and beats is not tried.
    house.start()
    house.drop("elsewhere/take.wav", b"RIFF" + bytes(40))
    house.drop("take.m4a", b"x")
    rows = eventually(lambda: (rows := house.rows("SELECT * FROM drops")) and len(rows) == 2 and rows, "both are seen")
    notes = {Path(row["path"]).name: row["note"] for row in rows}
    assert "no route" in notes["take.wav"] and "cannot be read here" in notes["take.m4a"]
    assert (house.inbox / "take.m4a").exists()


def test_the_ledger_opens_in_any_browser(running: House) -> None:
    running.drop("one.yaml", {"do": "probe"})
    job = running.ended("one")
    (row,) = running.rows("SELECT * FROM recent_jobs")
    assert row["id"] == job["id"] and row["took_s"] >= 0
    assert running.rows("SELECT * FROM lane_use")[0]["handler"] == "probe"
    assert running.rows("PRAGMA foreign_key_check") == []
    lines = [json.loads(line) for line in (Path(job["folder"]) / "log.jsonl").read_text().splitlines()]
    assert "accepted" in [line["event"] for line in lines]


def test_what_was_queued_for_a_lane_that_is_gone_runs_in_the_other(house: House) -> None:
    house.start()
    house.ask("pause")
    house.drop(
        "queued.yaml",
        {
            "steps": {
                "first": {"do": "probe", "items": 2},
                "mine": {"do": "probe", "input": ["each"], "for_each": {"in": "first"}},
            }
        },
    )
    eventually(lambda: house.job("queued"), "it is accepted")
    house.stop()
    house.configure(lanes={"cpu": {"workers": 0}})
    house.start()
    house.ask("resume")
    house.ended("queued")
    assert {row["lane"] for row in house.rows("SELECT lane FROM attempts")} == {"gpu"}


def test_a_waiting_job_whose_parameters_are_no_longer_taken_says_so(running: House) -> None:
    running.drop("wants.yaml", {"do": "probe", "input": ["./takes/kick.wav"]})
    eventually(lambda: (job := running.job("wants")) and job["reason"], "it waits")
    running.stop()
    connection = sqlite3.connect(running.state / "ledger.sqlite3")
    connection.execute("""UPDATE steps SET params = '{"gone": 1}'""")
    connection.commit()
    connection.close()
    running.start()
    eventually(lambda: "does not take its parameters any more" in running.job("wants")["reason"], "it says so")


def test_an_item_that_the_earlier_job_does_not_have_is_an_error_in_words(running: House) -> None:
    running.drop("source.yaml", {"steps": {"beds": {"do": "probe", "items": 3}}})
    source = running.ended("source")
    running.drop("remix.yaml", {"from": "source", "steps": {"again": {"do": "probe", "input": ["from/beds/9"]}}})
    assert f"step beds of {source['id']} has 3 items" in running.ended("remix", "failed")["reason"]


def test_an_outbox_and_an_inbox_behind_links_work_like_any_other(house: House) -> None:
    for name in ("inbox", "outbox"):
        (house.home / f"real-{name}").mkdir()
        (house.home / f"link-{name}").symlink_to(house.home / f"real-{name}")
    house.configure(
        inboxes=["link-inbox"], outbox="link-outbox", on_audio=[{"match": "*", "do": "probe"}], roots=["link-inbox"]
    )
    house.inbox, house.outbox = house.home / "link-inbox", house.home / "link-outbox"
    house.start()
    house.drop("chain.yaml", {"steps": {"a": {"do": "probe"}, "b": {"do": "probe", "input": ["a", "./take.wav"]}}})
    house.drop("take.wav", b"RIFF" + bytes(40))
    house.ended("chain")
    eventually(lambda: house.rows("SELECT 1 FROM drops WHERE sha256 IS NOT NULL"), "the recording is hashed")


def test_a_recording_that_was_seen_but_not_hashed_is_taken_up_at_the_next_start(house: House) -> None:
    house.configure(on_audio=[{"match": "*", "do": "probe"}])
    house.start()
    house.drop("take.wav", b"RIFF" + bytes(40))
    eventually(lambda: house.rows("SELECT 1 FROM drops WHERE sha256 IS NOT NULL"), "the recording is hashed")
    house.stop()
    connection = sqlite3.connect(house.state / "ledger.sqlite3")
    connection.execute("UPDATE drops SET sha256 = NULL, note = NULL")  # As if killed before that.
    connection.commit()
    connection.close()
    house.start()
    eventually(lambda: house.rows("SELECT 1 FROM drops WHERE sha256 IS NOT NULL"), "it is hashed now")


def test_a_reload_that_brings_a_handler_brings_it_to_warm_workers_too(running: House) -> None:
    running.drop("warm.yaml", {"do": "probe"})
    running.ended("warm")
    (running.home / "stranger.py").write_text(
        "from handlers.contract import Handler, Params\n"
        "def run(params, context): context.log('hello')\n"
        "HANDLER = Handler('stranger', '', Params, 'stranger:run')\n"
    )
    running.configure(handlers=["tests.probes:HANDLER", "stranger:HANDLER"])
    running.ask("reload")
    running.drop("new.yaml", {"do": "stranger"})
    running.ended("new")


def test_a_finished_job_feeds_another_after_the_outbox_was_moved(running: House) -> None:
    running.drop("source.yaml", {"steps": {"beds": {"do": "probe"}}})
    running.ended("source")
    running.stop()
    running.outbox.rename(running.home / "larger-disk")
    running.configure(outbox="larger-disk")
    running.start()
    running.drop("remix.yaml", {"from": "source", "steps": {"again": {"do": "probe", "input": ["from/beds/1"]}}})
    assert Path(running.ended("remix")["folder"]).parent == running.home / "larger-disk"


def test_a_phase_that_begins_too_soon_for_the_ledger_is_there_soon_after(running: House) -> None:
    running.drop("two.yaml", {"do": "probe", "phases": ["loading", "warming up"], "seconds": 3})
    eventually(lambda: running.rows("SELECT 1 FROM runs WHERE phase = 'warming up'"), "the second phase shows")
    running.ended("two")
