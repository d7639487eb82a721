"""The real daemon: a job waits for weights, then for libraries, and goes on by itself when they are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from daemon.cli.app import app
from handlers.stems.models.manifest import Weights
from handlers.stems.models.weights import missing_libraries
from tests.conftest import CHECKOUT, House, eventually
from tests.handlers.stems.models.late_library import VARIABLE
from tests.handlers.stems.models.test_weights import put, zipped

OWN = Weights(repository="x/small", folder="small", files=["state_dict.bin", "compression_state_dict.bin"])
T5 = Weights(repository="x/t5-base", folder="t5-base", files=["config.json", "model.safetensors"])
NAME = "drophammer_late_library"
PLAYER = {"summary": "made by the tests", "sample_rate": 32000, "channels": 1}
MANIFEST = {
    "setup": [{"run": "make setup-musicgen", "fetches": "much"}],
    "aliases": {"bed": "small", "quick": "procedural"},
    "models": {
        "procedural": {**PLAYER, "backend": "procedural", "licence": "none", "commercial": True},
        "small": {
            **PLAYER, "backend": "audiocraft", "licence": "CC-BY-NC-4.0", "commercial": False,
            "weights": [
                {"repository": weights.repository, "folder": weights.folder, "files": list(weights.files)} for weights in (OWN, T5)
            ],
        },
    },
}  # fmt: skip


@pytest.fixture
def house(house: House) -> House:
    """An installation with two models, one of which needs weights."""
    (house.home / "config" / "models.yaml").write_text(yaml.safe_dump(MANIFEST))
    return house


@pytest.mark.skipif(bool(missing_libraries()), reason="the libraries of MusicGen are not installed; `make test` adds them")
def test_a_job_waits_for_weights_and_libraries_and_goes_on_when_they_are_there(house: House, tmp_path: Path) -> None:
    stick, late = tmp_path / "stick", tmp_path / "late"
    for weights in (OWN, T5):
        put(weights, stick / weights.folder)
    zipped(stick / "small" / "state_dict.bin", {"best_state": {}, "xp.cfg": ""})
    late.mkdir()
    house.configure(handlers=["tests.handlers.stems.models.late_library:HANDLER"])
    house.start(PYTHONPATH=f"{CHECKOUT}:{late}", HF_HUB_CACHE=str(tmp_path / "hub"), **{VARIABLE: NAME})
    house.drop("set.yaml", {"do": "stems", "model": "bed", "style": "industrial/bed", "duration": 2})

    def waits_for(words: str) -> bool:
        job = house.job("set")
        return bool(job) and job["state"] == "waiting" and words in job["reason"]

    eventually(lambda: waits_for("make setup-musicgen && ./drophammer models fetch small"), "it waits for both")
    done = CliRunner().invoke(app, ["models", "import", "bed", str(stick)], env={"DROPHAMMER_HOME": str(house.home)})
    assert done.exit_code == 0, done.output
    eventually(lambda: waits_for("make setup-musicgen") and not waits_for("models fetch"), "it waits for the libraries only")
    (late / NAME).mkdir()
    (late / NAME / "__init__.py").touch()
    eventually(lambda: house.job("set")["state"] != "waiting", "it goes on")


def test_a_licence_is_held_to_at_intake_and_an_alias_is_told_by_its_model(house: House) -> None:
    house.start()
    shop = {"do": "stems", "style": "industrial/bed", "duration": 1, "commercial": True}
    house.drop("shop.yaml", {**shop, "model": "bed"})
    reason = house.inbox / "rejected" / "shop.yaml.reason.txt"
    eventually(reason.exists, "it is refused")
    assert "'small' may not be used commercially: its licence is CC-BY-NC-4.0" in reason.read_text()
    house.drop("quick.yaml", {**shop, "model": "quick"})
    house.ended("quick")
    (row,) = house.rows("SELECT facts FROM artifacts WHERE kind = 'primary'")
    assert json.loads(row["facts"])["model"] == "procedural"
