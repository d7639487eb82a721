"""`make setup-musicgen`: which build of torch, what is asked of pip, and that nothing is done twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from handlers.stems.models import install

ROOT = Path(__file__).parents[4]


def recipe(target: str) -> str:
    """What make would run in an environment where nothing is set up yet."""
    command = ["make", "-n", "-C", str(ROOT), target, "VENV=/nowhere/venv"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def machine(tmp_path: Path):
    """The two folders in which the kernel shows cards; writes a card into them."""

    def show(*, driver: bool, device_class: str = "0x030200") -> tuple[Path, Path]:
        device = tmp_path / "bus" / "0000:01:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x10de\n")
        (device / "class").write_text(f"{device_class}\n")
        if driver:
            entry = tmp_path / "gpus" / "0000:01:00.0"
            entry.mkdir(parents=True)
            (entry / "information").write_text("Model: \t\t Some Card 24GB\nIRQ:   \t\t 1\n")
        return tmp_path / "gpus", tmp_path / "bus"

    return show


def test_a_card_with_its_driver_is_named(machine):
    gpus, _ = machine(driver=True)
    assert install.driven_cards(gpus) == ["Some Card 24GB"]


def test_a_card_without_its_driver_is_known_from_the_bus(machine):
    _, bus = machine(driver=False)
    assert install.has_undriven_card(bus)


def test_an_audio_device_of_the_same_maker_is_no_card(machine):
    _, bus = machine(driver=False, device_class="0x040300")
    assert not install.has_undriven_card(bus)


@pytest.mark.parametrize(
    ("asked", "cards", "undriven", "said"),
    [
        ("auto", ["Some Card"], True, "torch for CUDA: for Some Card."),
        ("auto", [], True, "torch for CPU: an NVIDIA card is here, but not its driver; with driver 580"),
        ("auto", [], False, "torch for CPU: no NVIDIA card was found."),
        ("cpu", ["Some Card"], True, "torch for CPU: asked for."),
    ],
)
def test_the_build_follows_the_card_and_size_and_room_are_said_first(monkeypatch, capsys, asked, cards, undriven, said):
    done = []
    monkeypatch.setattr(install, "driven_cards", lambda: cards)
    monkeypatch.setattr(install, "has_undriven_card", lambda: undriven)
    monkeypatch.setattr(install, "installed_build", lambda: "")
    monkeypatch.setattr(install, "install", lambda build, pins: (done.append((build, capsys.readouterr().out)), 0)[1])
    assert install.main(["--build", asked]) == 0
    ((build, before),) = done
    assert before.startswith(said) and f"torch for {build.upper()}" in before
    assert "GB to fetch" in before and "Free on this disk: " in before


def test_without_room_nothing_is_begun(monkeypatch, capsys):
    monkeypatch.setattr(install, "installed_build", lambda: "")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**9))
    monkeypatch.setattr(install, "install", lambda build, pins: pytest.fail("it was begun"))
    assert install.main(["--build", "cpu"]) == 1
    assert "make 1.5 GB free" in capsys.readouterr().err


def test_the_smaller_build_is_asked_for_first_and_only_an_unknown_one_is_given_up(monkeypatch):
    asked: list[tuple[str, ...]] = []

    def pip(*words: str) -> tuple[int, str]:
        asked.append(words)
        return (1, install.UNKNOWN[0]) if words[0].endswith("+cpu") else (0, "")

    monkeypatch.setattr(install, "installed_build", lambda: "")
    monkeypatch.setattr(install, "pip", pip)
    assert install.install("cpu", install.read_pins(install.CONSTRAINTS)) == 0
    assert [words[0] for words in asked] == ["torch==2.13.0+cpu", "torch==2.13.0", install.NEEDED[0], "--no-deps"]
    monkeypatch.setattr(install, "pip", lambda *words: (1, "No space left on device"))
    assert install.install("cpu", install.read_pins(install.CONSTRAINTS)) == 1


def test_the_build_for_a_card_is_not_satisfied_by_the_one_without():
    from packaging.specifiers import SpecifierSet

    first, second = (SpecifierSet(wanted.removeprefix("torch")) for wanted in install.torch_requirements("cuda", "2.13.0"))
    assert "2.13.0+cpu" not in first and "2.13.0" in first
    assert "2.13.0+cu130" in second


def test_in_an_environment_that_has_all_nothing_is_done(monkeypatch, capsys):
    build = install.installed_build()
    if not build:
        pytest.skip("torch is not installed; `make test` adds it")
    monkeypatch.setattr(install, "install", lambda build, pins: pytest.fail("it was done again"))
    assert install.main(["--build", build]) == 0
    assert "It is here already" in capsys.readouterr().out


def test_what_is_installed_in_another_version_is_outdated():
    pins = install.read_pins(install.CONSTRAINTS)
    assert {"torch", "audiocraft", *install.NEEDED} <= set(pins)
    assert "einops" in install.outdated({**pins, "einops": "0.0.1"})


def test_the_tests_set_up_what_musicgen_needs_and_the_demo_does_not():
    assert "handlers.stems.models.install" in recipe("test")
    assert "handlers.stems.models.install" in recipe("setup-musicgen")
    assert "handlers.stems.models.install" not in recipe("demo")
