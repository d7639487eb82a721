"""Verifying, removing and importing weights: no network, nothing lost that another model needs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from handlers.contract import Invalid, Transient
from handlers.stems.models.fetch import locked
from handlers.stems.models.holdings import bring_in, remove, verify
from handlers.stems.models.manifest import Manifest
from handlers.stems.models.records import read_records
from handlers.stems.models.weights import Shelves
from tests.handlers.stems.models.test_weights import CODEC, OWN, SMALL, T5, cached, point, put, zipped

LARGE_OWN = OWN.model_copy(update={"repository": "x/large", "folder": "large"})
MANIFEST = Manifest(models={"small": SMALL, "large": SMALL.model_copy(update={"weights": (LARGE_OWN, T5, CODEC)})})


@pytest.fixture
def places(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path / "home" / "models", (), tmp_path / "hub")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder laid out as models/ is, as it would come from another machine."""
    for weights in (OWN, T5, CODEC):
        put(weights, tmp_path / "stick" / weights.folder)
    for name in ("state_dict.bin", "compression_state_dict.bin"):
        zipped(tmp_path / "stick" / "small" / name, {"best_state": name, "xp.cfg": ""})
    return tmp_path / "stick"


@pytest.fixture
def said() -> list[str]:
    return []


def test_what_is_brought_in_is_copied_and_recorded(places, stick, said):
    bring_in("small", stick, MANIFEST, places, said.append)
    assert places.missing(SMALL) == [] and not (places.own / "codec").exists(), "the codec's file holds a codec"
    path = places.own / "small" / "state_dict.bin"
    assert read_records(places.own)["small"].files["state_dict.bin"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (stick / "small" / "state_dict.bin").exists() and not path.is_symlink()
    bring_in("small", stick, MANIFEST, places, said.append)
    assert sum("is here already" in line for line in said) == 2


def test_a_codec_that_is_only_named_is_brought_in_too(places, stick, said):
    point(stick / "small")
    bring_in("small", stick, MANIFEST, places, said.append)
    assert places.missing(SMALL) == [] and places.find(CODEC) == places.own / "codec"


def test_files_without_folders_and_a_hubs_cache_are_understood(places, stick, said, tmp_path):
    put(T5, places.own / "t5-base")
    bring_in("small", stick / "small", MANIFEST, places, said.append)
    assert places.missing(SMALL) == []
    carried = tmp_path / "carried"
    cached(carried, "x/large", LARGE_OWN)
    for name in ("state_dict.bin", "compression_state_dict.bin"):
        (path,) = carried.glob(f"*/snapshots/*/{name}")
        zipped(path, {"best_state": 1, "xp.cfg": ""})
    bring_in("large", carried, MANIFEST, places, said.append)
    assert places.find(LARGE_OWN) == places.own / "large"


@pytest.mark.parametrize("how", ["cut", "another", "absent"])
def test_what_is_not_what_it_must_be_is_named_and_nothing_is_copied(places, stick, said, how):
    path = stick / "small" / "state_dict.bin"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif how == "another":
        zipped(path, {"weights": 1})
    else:
        path.unlink()
    with pytest.raises(Invalid, match=r"state_dict\.bin.*Nothing was copied"):
        bring_in("small", stick, MANIFEST, places, said.append)
    assert not places.own.exists()


def test_a_hash_in_the_manifest_holds_for_what_is_brought_in(places, stick, said):
    strict = OWN.model_copy(update={"files": {"state_dict.bin": "a" * 64, "compression_state_dict.bin": ""}})
    manifest = Manifest(models={"small": SMALL.model_copy(update={"weights": (strict, T5, CODEC)})})
    with pytest.raises(Invalid, match=f"must be {'a' * 64}"):
        bring_in("small", stick, manifest, places, said.append)


def test_verifying_records_what_nobody_knew_and_finds_a_changed_byte(places, stick, said):
    put(OWN, places.own / "small")
    put(T5, places.own / "t5-base")
    assert [(verdict.compared, verdict.wrong) for verdict in verify(["small", "large"], MANIFEST, places)] == [(False, ()), (False, ())]
    assert [verdict.compared for verdict in verify(["small"], MANIFEST, places)] == [True, True]
    path = places.own / "t5-base" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    ((fault,),) = [verdict.wrong for verdict in verify(["small"], MANIFEST, places) if verdict.wrong]
    assert fault.startswith(f"{path} is damaged")


def test_a_changed_byte_in_the_hubs_cache_is_found_by_the_files_name(places):
    snapshot = cached(places.hub, "x/small", OWN)
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir()
    path = snapshot / "state_dict.bin"
    blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(blob)
    path.symlink_to(blob)
    assert [verdict.wrong for verdict in verify(["small"], MANIFEST, places)] == [()]
    zipped(blob, {"best_state": "something else"})
    assert "is damaged" in "".join(next(verify(["small"], MANIFEST, places)).wrong)


def test_what_another_model_needs_stays(places, said):
    for weights in (OWN, LARGE_OWN, T5):
        put(weights, places.own / weights.folder)
    list(verify(["small", "large"], MANIFEST, places))
    remove("small", MANIFEST, places, said.append)
    assert not (places.own / "small").exists() and set(read_records(places.own)) == {"large", "t5-base"}
    assert f"stays: {places.own / 't5-base'}, which large needs" in said
    remove("large", MANIFEST, places, said.append)
    assert read_records(places.own) == {} and not (places.own / "t5-base").exists()
    with pytest.raises(Invalid, match="nothing of 'small' is here"):
        remove("small", MANIFEST, places, said.append)


def test_what_is_not_ours_is_never_removed(places, said):
    snapshot = cached(places.hub, "x/small", OWN)
    put(T5, places.own / "t5-base")
    (places.own / "t5-base" / "notes.txt").write_text("mine")
    remove("small", MANIFEST, places, said.append)
    assert f"stays: {snapshot}, which is not ours" in said
    assert [path.name for path in (places.own / "t5-base").iterdir()] == ["notes.txt"]


def test_two_commands_do_not_work_on_one_folder(places):
    with locked(places.own), pytest.raises(Transient, match="in use by another"), locked(places.own):
        pass
