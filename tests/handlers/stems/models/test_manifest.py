"""config/models.yaml: the shipped one is whole, and what is not well written is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.stems.models.manifest import ModelsError, read_manifest

CONFIG = Path(__file__).parents[4] / "config"
DIMENSIONS = {
    "musicgen-small": (1024, 24, 4), "musicgen-medium": (1536, 48, 4), "musicgen-large": (2048, 48, 4),
    "musicgen-melody": (1536, 48, 4), "musicgen-stereo-small": (1024, 24, 8), "musicgen-stereo-medium": (1536, 48, 8),
    "musicgen-stereo-large": (2048, 48, 8),
}  # fmt: skip
"""Width, layers and codebooks of the published models, by their papers."""
CODEC, T5, T5_ENCODER, T5_WIDTH, CARD, FRAMES = 57e6, 223e6, 110e6, 768, 2048, 1504


def write(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_text(text)
    return path


def test_every_model_that_jobs_name_is_there():
    manifest = read_manifest(CONFIG / "models.yaml")
    family = [f"musicgen-{name}" for name in ("small", "medium", "large", "melody", "stereo-small", "stereo-medium", "stereo-large", "style")]
    assert list(manifest.models) == ["procedural", *family]
    assert manifest.resolve("bed")[0] == "musicgen-small" and manifest.resolve("transition")[0] == "musicgen-medium"
    assert [entry.run for entry in manifest.setup] == ["make setup-musicgen"]
    assert "setup-musicgen:" in (CONFIG.parent / "Makefile").read_text()


def test_nothing_that_was_not_looked_up_is_claimed():
    for model in read_manifest(CONFIG / "models.yaml").models.values():
        for weights in model.weights:
            assert weights.revision == "" and set(weights.files.values()) == {""}


@pytest.mark.parametrize("key", DIMENSIONS)
def test_sizes_and_memory_are_what_the_parameters_come_to(key):
    width, layers, books = DIMENSIONS[key]
    # Melody prepends its conditions and has no cross-attention.
    each = (12 if key == "musicgen-melody" else 16) * width**2
    parameters = layers * each + books * (2 * CARD + 1) * width + T5_WIDTH * width
    kept = 2 * 2 * layers * width * FRAMES * 2  # Keys and values, with words and without, in 16 bits.
    model = read_manifest(CONFIG / "models.yaml").models[key]
    assert model.weights[0].about_gb == pytest.approx((2 * parameters + 4 * CODEC) / 1e9, abs=0.06)
    assert model.memory_gb == pytest.approx((2 * parameters + 4 * (CODEC + T5_ENCODER) + kept) / 1e9, abs=0.06)
    assert model.weights[1].about_gb == pytest.approx(4 * T5 / 1e9, abs=0.06)


def test_an_alias_can_be_pointed_elsewhere(tmp_path):
    text = (CONFIG / "models.yaml").read_text().replace("bed: musicgen-small", "bed: procedural")
    assert read_manifest(write(tmp_path, text)).resolve("bed")[0] == "procedural"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ModelsError, match="did you mean 'musicgen-melody'"):
        read_manifest(CONFIG / "models.yaml").resolve("musicgen-melodie")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("aliases: {bed: musicgen-smal}", "did you mean 'musicgen-small'"),
        ("aliases: {procedural: musicgen-small}", "there is a model of that name"),
        ("colour: red", "colour"),
    ],
)
def test_what_is_not_well_written_is_named(tmp_path, line, said):
    text = (CONFIG / "models.yaml").read_text().replace("aliases:\n  bed: musicgen-small\n  transition: musicgen-medium\n", f"{line}\n")
    with pytest.raises(ModelsError, match=said):
        read_manifest(write(tmp_path, text))


def test_a_model_of_audiocraft_without_weights_is_refused(tmp_path):
    entry = "\n  mine: {backend: audiocraft, summary: x, licence: x, commercial: true, sample_rate: 32000, channels: 1}\n"
    with pytest.raises(ModelsError, match=r"models\.mine.*weights"):
        read_manifest(write(tmp_path, (CONFIG / "models.yaml").read_text() + entry))


def test_a_hash_that_is_none_is_refused(tmp_path):
    text = (CONFIG / "models.yaml").read_text().replace('state_dict.bin: ""', "state_dict.bin: abc", 1)
    with pytest.raises(ModelsError, match=r"files\.state_dict\.bin"):
        read_manifest(write(tmp_path, text))
