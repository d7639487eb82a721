"""Several seeds side by side: on paper and on the page, each item in the terms one chooses by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from daemon.pages import write
from daemon.pages.compare import sparkline
from tests.daemon.pages.conftest import Shelf, manifest_of, step_entry

RISING = [-60.0, -36.0, -30.0, -24.0, -18.0, -12.0, -6.0, -0.5]


def stem(shelf: Shelf, seed: int, number: int, **facts: Any) -> dict[str, Any]:
    """One item in its seed's folder: what a stem has, and its checks and energy."""
    (shelf.folder / f"seed-{seed}").mkdir(exist_ok=True)
    item = shelf.stem("beds", number, 2.0, **facts)
    for file in item["files"]:
        (shelf.folder / file["name"]).rename(shelf.folder / f"seed-{seed}" / file["name"])
        file["name"] = f"seed-{seed}/{file['name']}"
    return {**item, "label": f"seed-{seed}/beds/{number}"}


@pytest.fixture
def two_seeds(shelf: Shelf) -> tuple[Path, dict[str, Any]]:
    passed = {"passed": True, "failed": [], "takes": 1}
    failed = {"passed": False, "failed": ["drift", "gap"], "takes": 4}
    items = {
        7: [stem(shelf, 7, 1, gate=passed, energy_db=RISING), stem(shelf, 7, 2, gate=passed)],
        3: [stem(shelf, 3, 1, gate=failed, energy_db=[value - 12 for value in RISING], tempo_bpm=131.5, key="F# minor")],
    }
    steps = [step_entry(f"seed-{seed}/beds", "stems", made, seed=seed) for seed, made in items.items()]
    return shelf.folder, manifest_of(steps, seed=7, seeds=[7, 3], document="seeds: [7, 3]\ndo: stems\n")


def test_each_item_is_compared_over_its_seeds(two_seeds: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = two_seeds
    write(folder, manifest)
    lines = (folder / "compare.md").read_text().splitlines()
    assert lines[0] == "# industrial-set: 2 seeds side by side"
    first = lines.index("## beds/1")
    link = "[industrial-set_beds_1.wav](seed-{0}/industrial-set_beds_1.wav)"
    assert lines[first + 2 : first + 6] == [
        "| Seed | Length | Tempo | Key | Loudness | True peak | Gate | Energy | File |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| 7 | 0:02.0 | 128.0 BPM | A minor | −14.1 LUFS | −1.0 dBTP | passed | ▁▁▁▁▃▅▇█ | {link.format(7)} |",
        f"| 3 | 0:02.0 | 131.5 BPM | F# minor | −14.1 LUFS | −1.0 dBTP | failed: drift, gap, 4 takes | ▁▁▁▁▁▁▃▅ | {link.format(3)} |",
    ]
    second = lines[lines.index("## beds/2") :]
    assert "| ![energy](seed-7/industrial-set_beds_2_picture.png) |" in second[4]
    assert second[5].startswith("| 3 | not made |")


def test_the_page_shows_the_same_with_a_player_each(two_seeds: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = two_seeds
    write(folder, manifest)
    page = (folder / "index.html").read_text()
    compare = page[page.index('id="compare"') : page.index("</section>", page.index('id="compare"'))]
    assert compare.count("<audio") == 3 and compare.count("<rect") == 2 * len(RISING) and compare.count("<img") == 1
    assert "failed: drift, gap, 4 takes" in compare and "not made" in compare
    for link in re.findall(r'(?:href|src)="(seed-[^"#]+)"', page):
        assert (folder / link).is_file(), link
    for anchor in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{anchor}"' in page
    assert "Seeds</dt><dd>7, 3" in page and 'href="compare.md"' in page


def test_the_report_names_the_seeds_and_how_to_repeat_them(two_seeds: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = two_seeds
    write(folder, manifest)
    report = (folder / "report.md").read_text()
    assert "| Seeds | 7, 3 ([side by side](compare.md)) |" in report
    assert "submit outbox/20261121-020315-industrial-set-0042/job.yaml" in report and "seed: 7`" not in report


def test_a_job_of_one_seed_has_no_comparison(shelf: Shelf) -> None:
    write(shelf.folder, manifest_of([step_entry("beds", "stems", [shelf.stem("beds", 1, 1.0)])]))
    assert not (shelf.folder / "compare.md").exists()
    assert 'id="compare"' not in (shelf.folder / "index.html").read_text()


def test_energy_is_drawn_on_the_scale_of_what_it_is_compared_with() -> None:
    assert sparkline([-24, -12, 0], 0) == "▁▅█" and sparkline([-24, -12, 0], 12) == "▁▁▅"


@pytest.mark.parametrize("energy", ["loud", [1], [1, "2"], [True, 2.0], [0.0] * 65, {"a": 1}, [1e300, 0.0]])
def test_energy_of_another_shape_is_passed_over(shelf: Shelf, energy: Any) -> None:
    step = step_entry("seed-7/beds", "stems", [stem(shelf, 7, 1, energy_db=energy)], seed=7)
    write(shelf.folder, manifest_of([step], seeds=[7, 3]))
    assert "![energy]" in (shelf.folder / "compare.md").read_text()


def test_layers_are_played_and_the_other_files_linked(shelf: Shelf) -> None:
    item = shelf.stem("beds", 1, 1.0, kept_from="20261121-020315-old-0001/beds/1")
    names = [("drums.wav", "part", "drums"), ("bass.wav", "part", "bass"), ("x.mid", "sidecar", "midi"), ("x.log", "sidecar", "log")]
    item["files"] += [shelf.file(name, kind, label) for name, kind, label in names]
    write(shelf.folder, manifest_of([step_entry("beds", "stems", [item])]))
    page = (shelf.folder / "index.html").read_text()
    assert page.count("<audio") == 3 and "Player: drums of beds/1" in page and "2 layers" in page
    assert all(f'href="{name}" download' in page for name in ("x.mid", "x.log", "drums.wav"))
    assert ">MIDI <" in page and ">LOG <" in page and ">drums WAV <" in page
    assert 'title="As it was, from 20261121-020315-old-0001/beds/1"' in page
    report = (shelf.folder / "report.md").read_text()
    assert "| [drums.wav](drums.wav) | part: drums |" in report and "| [x.log](x.log) | sidecar: log |" in report
    assert "kept: as it was, from 20261121-020315-old-0001/beds/1" in report
