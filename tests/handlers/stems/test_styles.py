"""Styles and models as people write them, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from handlers.stems.models.manifest import ModelsError, read_models
from handlers.stems.styles import StyleError, list_styles, load_style, read_family

CONFIG = Path(__file__).parents[3] / "config"
FAMILY = {
    "summary": "a test",
    "tempo": [120, 130],
    "keys": ["A minor"],
    "styles": {"bed": {"summary": "one", "prompt": "a kick", "form": "track", "parts": ["kick", "bass"]}},
}


def write(folder: Path, document: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return path


def test_the_shipped_styles_are_there_and_well_written():
    names = list_styles(CONFIG / "styles")
    assert {
        "industrial/bed",
        "industrial/transition",
        "techno/bed",
        "techno/transition",
        "darkwave/bed",
        "ambient/bed",
    } <= set(names)
    for name in names:
        style = load_style(CONFIG / "styles", name)
        assert len(style.character.prompt) > 200
    assert {path.stem for path in (CONFIG / "styles").glob("*.yaml")} == {name.split("/")[0] for name in names}


def test_a_style_of_ones_own_is_read(tmp_path):
    write(tmp_path, FAMILY)
    style = load_style(tmp_path, "mine/bed")
    assert (style.tempo, style.keys, style.character.parts) == ((120.0, 130.0), ("A minor",), ("kick", "bass"))


@pytest.mark.parametrize(
    ("where", "key", "value", "said"),
    [
        ((), "tempi", [1, 2], "mine.yaml: tempi: no such key; did you mean 'tempo'?"),
        (("styles", "bed"), "dirve", 0.5, "mine.yaml: styles.bed.dirve: no such key; did you mean 'drive'?"),
        (
            ("styles", "bed"),
            "drive",
            1.5,
            "mine.yaml: styles.bed.drive: Input should be less than or equal to 1 (it is 1.5)",
        ),
        (("styles", "bed"), "parts", ["kick", "kazoo"], "mine.yaml: styles.bed.parts.1: Input should be 'kick'"),
        ((), "tempo", [130, 120], "runs downwards"),
        ((), "keys", ["H minor"], "'H minor' is not a key"),
    ],
)
def test_a_mistake_in_a_style_names_file_key_and_remedy(tmp_path, where, key, value, said):
    document = yaml.safe_load(yaml.safe_dump(FAMILY))
    place = document
    for name in where:
        place = place[name]
    place[key] = value
    with pytest.raises(StyleError) as error:
        read_family(write(tmp_path, document))
    assert said in str(error.value)


def test_a_key_written_twice_is_refused(tmp_path):
    text = yaml.safe_dump(FAMILY) + "tempo: [1, 2]\n"
    with pytest.raises(StyleError, match="'tempo' is there twice"):
        read_family(write(tmp_path, text))


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "? {a: b} : c\n"])
def test_a_file_that_is_no_family_is_refused_by_name(tmp_path, text):
    with pytest.raises(StyleError, match=r"mine\.yaml"):
        read_family(write(tmp_path, text))


@pytest.mark.parametrize("name", ["mine/bde", "mien/bed", "mine", "../secret/bed"])
def test_an_unknown_style_names_those_there_are(tmp_path, name):
    write(tmp_path, FAMILY)
    with pytest.raises(StyleError, match=r"there are: mine/bed"):
        load_style(tmp_path, name)


def test_a_broken_family_hides_no_other(tmp_path):
    write(tmp_path, FAMILY)
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    assert list_styles(tmp_path) == ["mine/bed"]
    assert load_style(tmp_path, "mine/bed").family == "mine"


def test_the_models_that_jobs_name_are_listed_with_their_licence():
    models = read_models(CONFIG / "models.yaml")
    assert models["procedural"].commercial
    assert models["procedural"].weights == ()
    for name in ("musicgen-small", "musicgen-medium", "musicgen-large", "musicgen-melody", "musicgen-style"):
        model = models[name]
        assert (model.licence, model.commercial, model.sample_rate) == ("CC-BY-NC-4.0", False, 32_000)
        assert model.weights[0].repository == f"facebook/{name}"


def test_a_missing_models_file_says_so(tmp_path):
    with pytest.raises(ModelsError, match=r"models\.yaml: cannot be read"):
        read_models(tmp_path / "models.yaml")
