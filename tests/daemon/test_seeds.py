"""`seeds:`: one whole result per seed in one job, each what `seed:` alone would have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import House, eventually

PROBE = {"do": "probe", "tells": True}
STEPS: dict[str, Any] = {
    "beds": {**PROBE, "items": 3},
    "pads": {**PROBE, "input": ["each"], "for_each": {"in": "beds"}},
    "mix": {**PROBE, "input": ["beds/3", "beds/1"]},
}


def texts(folder: Path) -> dict[str, str]:
    """What each item's file says, by its name without the job's."""
    return {path.name.partition("_")[2]: path.read_text() for path in folder.glob("*.txt")}


def test_each_seed_gives_the_files_that_it_gives_alone(running: House) -> None:
    running.drop("many.yaml", {"seeds": [7, 3], "steps": STEPS})
    for seed in (7, 3):
        running.drop(f"alone{seed}.yaml", {"seed": seed, "steps": STEPS})
    folder = Path(running.ended("many")["folder"])
    for seed in (7, 3):
        alone = texts(Path(running.ended(f"alone{seed}")["folder"]))
        assert alone["mix_1.txt"].startswith(f"{seed} mix ['{seed} beds  3', '{seed} beds  1']")
        assert len(alone) == 7 and texts(folder / f"seed-{seed}") == alone
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"seed-7", "seed-3"}


def test_a_later_job_reads_the_items_of_one_seed(running: House) -> None:
    running.drop("many.yaml", {"seeds": [7, 3], **PROBE, "items": 2})
    running.ended("many")
    remix = {"one": {**PROBE, "input": ["from/seed-3/probe/2"]},
             "each": {**PROBE, "input": ["each"], "for_each": {"in": "from/seed-7/probe"}}}  # fmt: skip
    running.drop("remix.yaml", {"seed": 1, "from": "many", "steps": {"a" + name: step for name, step in remix.items()}})
    made = texts(Path(running.ended("remix")["folder"]))
    assert made["aone_1.txt"].strip() == "1 aone ['3 probe  2'] 1"
    assert made["aeach_002-1.txt"].strip() == "1 aeach ['7 probe  2'] 1"


def test_a_reference_without_the_seed_says_which_there_are(running: House) -> None:
    running.drop("many.yaml", {"seeds": [7, 3], **PROBE})
    many = running.ended("many")["id"]
    running.drop("remix.yaml", {"from": "many", **PROBE, "input": ["from/probe/1"]})
    assert (
        f"{many} has no step probe; it has seed-7/probe and seed-3/probe" in running.ended("remix", "failed")["reason"]
    )


def test_the_manifest_says_which_seed_made_what(running: House) -> None:
    running.drop("many.yaml", {"seeds": [7, 3], **PROBE})
    manifest = running.manifest(running.ended("many"))
    assert manifest["job"]["seeds"] == [7, 3]
    assert [(step["name"], step["seed"]) for step in manifest["steps"]] == [("seed-7/probe", 7), ("seed-3/probe", 3)]
    assert [step["items"][0]["files"][0]["name"] for step in manifest["steps"]] == [
        "seed-7/many_probe_1.txt", "seed-3/many_probe_1.txt",
    ]  # fmt: skip


def test_a_failed_job_of_many_seeds_is_taken_up_where_it_was(running: House) -> None:
    gate = running.home / "gate"
    job = {"seeds": [7, 3], **PROBE, "items": 2, "end": "invalid", "until": str(gate)}
    running.drop("many.yaml", job)
    failed = Path(running.ended("many", "failed")["folder"])
    assert texts(failed / "seed-7") == {"probe_1.txt": "7 probe  1\n"}
    gate.touch()
    running.ask("retry", job=failed.name)
    folder = Path(running.ended("many")["folder"])
    assert {seed: len(texts(folder / f"seed-{seed}")) for seed in (7, 3)} == {7: 2, 3: 2}
    emitted = running.rows("SELECT attempts.number FROM artifacts JOIN attempts ON attempts.id = attempt_id "
                           "WHERE published = 'seed-7/many_probe_1.txt'")  # fmt: skip
    assert [row["number"] for row in emitted] == [1], "what was finished was made again"


def test_copies_of_many_seeds_lie_in_a_folder_each(house: House, tmp_path: Path) -> None:
    house.configure(deliver={"daw": str(tmp_path / "daw")})
    house.start()
    house.drop("many.yaml", {"seeds": [7, 3], **PROBE, "deliver": {"to": "daw"}})
    house.ended("many")

    wanted = [tmp_path / "daw" / "many" / f"seed-{seed}" / "many_probe_1.txt" for seed in (7, 3)]
    eventually(lambda: all(path.exists() for path in wanted), "both are delivered")
    assert [path.read_text() for path in wanted] == ["7 probe  1\n", "3 probe  1\n"]
