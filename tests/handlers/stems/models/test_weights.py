"""Weights: where they are found, which are needed, and what a glance tells of them, without torch."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import pytest

from handlers.stems.models.manifest import Model, ModelsError, Weights, read_manifest
from handlers.stems.models.records import FileRecord, Record, read_records, write_record
from handlers.stems.models.weights import (
    LIBRARIES,
    Shelves,
    codec_pointer,
    hub_cache,
    look_at,
    missing_libraries,
    models_folder,
    shelves,
)

OWN = Weights(repository="x/small", folder="small", files=["state_dict.bin", "compression_state_dict.bin"])
T5 = Weights(repository="x/t5-base", cached_as=("t5-base",), folder="t5-base", files=["config.json", "model.safetensors"])
CODEC = Weights(repository="x/codec", folder="codec", files=["config.json"], one_of=("a.bin", "b.bin"), if_pointed_to=True)
SMALL = Model(
    backend="audiocraft", summary="made by the tests", licence="x", commercial=False, sample_rate=32000, channels=1,
    weights=(OWN, T5, CODEC),
)  # fmt: skip


def zipped(path: Path, words: object) -> None:
    """A file as torch saves it: a zip with one pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(words, protocol=2))


def tensors(path: Path, size: int = 100) -> None:
    """A file as safetensors saves it: the length of a header, the header, the numbers."""
    header = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))


def put(weights: Weights, place: Path) -> Path:
    """All files of some weights, whole."""
    for name in (*weights.files, *weights.one_of[:1]):
        if name.endswith(".json"):
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_text("{}")
        elif name.endswith(".safetensors"):
            tensors(place / name)
        else:
            zipped(place / name, {"best_state": name})
    return place


def point(place: Path, name: str = "x/codec") -> None:
    """Make the codec's file only name another folder."""
    zipped(place / "compression_state_dict.bin", {"pretrained": name, "exported": True})


@pytest.fixture
def places(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path / "home" / "models", (tmp_path / "other",), tmp_path / "hub")


def cached(hub: Path, repository: str, weights: Weights, commit: str = "c" * 40) -> Path:
    """Weights in the hub's cache, with `main` at their commit."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    return put(weights, folder / "snapshots" / commit)


def test_without_anything_all_but_a_codec_of_its_own_is_missing(places):
    assert [weights.folder for weights in places.missing(SMALL)] == ["small", "t5-base"]


def test_what_is_here_is_not_missing(places):
    put(T5, places.own / "t5-base")
    assert [weights.folder for weights in places.missing(SMALL)] == ["small"]


def test_half_a_model_is_missing(places):
    put(OWN, places.own / "small")
    (places.own / "small" / "state_dict.bin").unlink()
    assert OWN in places.missing(SMALL)


def test_a_codec_that_is_only_named_is_missing_until_one_of_its_files_is_here(places):
    put(OWN, places.own / "small")
    point(places.own / "small")
    assert CODEC in places.missing(SMALL)
    put(CODEC, places.own / "codec")
    assert CODEC not in places.missing(SMALL)
    (places.own / "codec" / "a.bin").rename(places.own / "codec" / "b.bin")
    assert CODEC not in places.missing(SMALL)
    (places.own / "codec" / "b.bin").unlink()
    assert CODEC in places.missing(SMALL)


def test_a_configured_folder_and_the_hubs_cache_are_used_in_place(places):
    there = put(OWN, places.others[0] / "small")
    snapshot = cached(places.hub, "t5-base", T5)
    assert (places.find(OWN), places.find(T5)) == (there, snapshot)
    assert places.missing(SMALL) == [] and not places.own.exists()


def test_in_the_hubs_cache_the_revision_counts(places):
    first, second = "1" * 40, "2" * 40
    old = cached(places.hub, "x/small", OWN, first)
    new = cached(places.hub, "x/small", OWN, second)
    assert places.find(OWN) == new
    assert places.find(OWN.model_copy(update={"revision": first})) == old
    assert places.find(OWN.model_copy(update={"revision": "3" * 40})) is None
    places.own.mkdir(parents=True)
    write_record(places.own, "small", Record("x/small", first))
    assert places.find(OWN) == old, "what was recorded is not changed by somebody else's download"


def test_a_local_folder_is_used_in_place_and_never_looked_for_elsewhere(places, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    local = OWN.model_copy(update={"repository": "", "local": "~/mine"})
    put(OWN, places.own / "small")
    assert places.find(local) is None
    mine = put(OWN, tmp_path / "mine")
    assert places.find(local) == mine


def test_a_model_in_several_places_is_assembled_from_links(places, tmp_path):
    put(OWN, places.own / "small")
    put(T5, places.own / "t5-base")
    assert places.assemble(SMALL, tmp_path / "cache") == places.own
    (places.own / "t5-base").rename(tmp_path / "t5-base")
    snapshot = cached(places.hub, "x/t5-base", T5)
    for _ in range(2):
        view = places.assemble(SMALL, tmp_path / "cache")
        assert (view / "t5-base").resolve() == snapshot and (view / "small").resolve() == places.own / "small"
    assert not (places.own / "t5-base").exists()


@pytest.mark.parametrize("name", ["state_dict.bin", "model.safetensors", "config.json"])
def test_a_file_that_is_cut_off_is_seen_at_a_glance(places, name):
    for weights in (OWN, T5):
        put(weights, places.own / weights.folder)
    assert places.damaged(SMALL) == []
    (path,) = places.own.glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:-1])
    (said,) = places.damaged(SMALL)
    assert str(path) in said


def test_a_file_of_another_size_than_recorded_is_damaged(places):
    put(OWN, places.own / "small")
    put(T5, places.own / "t5-base")
    size = (places.own / "small" / "state_dict.bin").stat().st_size
    write_record(places.own, "small", Record("x/small", "1" * 40, {"state_dict.bin": FileRecord("0" * 64, size + 1)}))
    (said,) = places.damaged(SMALL)
    assert f"has {size} bytes and had {size + 1}" in said


def test_torchs_older_format_is_no_damage(tmp_path):
    (tmp_path / "old.bin").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2))
    assert look_at(tmp_path / "old.bin") == ""


def test_a_record_is_kept_beside_others_and_can_be_forgotten(tmp_path):
    kept = Record("x/a", "1" * 40, {"f.bin": FileRecord("a" * 64, 3)})
    write_record(tmp_path, "a", kept)
    write_record(tmp_path, "b", Record("x/b"))
    assert read_records(tmp_path) == {"a": kept, "b": Record("x/b")}
    write_record(tmp_path, "b", None)
    assert read_records(tmp_path) == {"a": kept}
    (tmp_path / "recorded.json").write_text("[")
    assert read_records(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\x03\x04 cut off"])
def test_a_codec_file_that_is_no_zip_names_nothing(tmp_path, content):
    path = tmp_path / "compression_state_dict.bin"
    path.write_bytes(content)
    assert codec_pointer(path) is None
    assert codec_pointer(tmp_path / "absent.bin") is None


def test_looking_for_a_name_executes_nothing(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    with zipfile.ZipFile(tmp_path / "trap.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"trap": Trap(), "pretrained": "x/y"}, protocol=2))
    assert codec_pointer(tmp_path / "trap.bin") == "x/y"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({"HOME": "/d"}, "/d/.cache/huggingface/hub"),
    ],
)
def test_the_hubs_cache_is_where_its_own_library_keeps_it(monkeypatch, variables, folder):
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(hub_cache()) == folder


def test_libraries_are_found_by_a_process_that_missed_them_before(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert missing_libraries() == list(LIBRARIES)
    for name in LIBRARIES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    assert missing_libraries() == []


def test_weights_lie_beside_the_configuration(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.yaml").write_text("folders: [elsewhere, ~/weights]\nmodels: {}\n")
    found = shelves(tmp_path / "config")
    assert found.own == models_folder(tmp_path / "config") == tmp_path / "models"
    assert found.others == (tmp_path / "elsewhere", Path("~/weights").expanduser())


def test_weights_come_from_the_hub_or_from_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"either `repository:` or `local:`"):
        Weights(folder="x", files=["a"])
    (tmp_path / "models.yaml").write_text("aliases: {bed: smal}\nmodels: {small: {}}\n")
    with pytest.raises(ModelsError):
        read_manifest(tmp_path / "models.yaml")
