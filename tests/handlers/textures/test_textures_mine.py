"""A `textures` run, from recordings to named and numbered files: what is delivered, resumed, left out and refused."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from handlers.audio import files
from handlers.audio.loudness import measure
from handlers.contract import Cancelled, InputFile, Invalid, ItemRecord
from handlers.textures.mine import run
from handlers.textures.outlook import describe
from handlers.textures.params import TexturesParams
from tests.fixtures.sound import noise, tone
from tests.handlers.textures.materials import SAMPLE_RATE, detuned_chord, drums, filtered_noise, read_loop

FEW = {"pads": 2, "swells": 1, "clouds": 1, "hiss": 1, "flickers": 1, "durations": [2, 3], "crossfade": 0.5}
PADS = {"kinds": ["pads"], "pads": 2, "durations": [2], "crossfade": 0.5}


@pytest.fixture
def mine(context_factory: Any, tmp_path: Path) -> Any:
    """Write recordings, run, return the context."""

    def do(*recordings: np.ndarray, sample_rate: int = SAMPLE_RATE, completed: Any = None, **params: Any) -> Any:
        paths = []
        for number, audio in enumerate(recordings, 1):
            paths.append(tmp_path / f"{len(list(tmp_path.iterdir()))}-{number}.wav")
            files.write(paths[-1], audio, sample_rate, subtype="FLOAT")
        context = context_factory(inputs={"old": paths}, completed=completed)
        run(TexturesParams.model_validate({"input": "old", **params}), context)
        return context

    return do


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """Forty seconds with steady, moving and bright parts."""
    parts = [detuned_chord(12.0), drums(8.0), filtered_noise(12.0), filtered_noise(8.0, 3000.0, 15_000.0, seed=3)]
    return np.concatenate(parts, axis=1)


def primaries(context: Any) -> list[Any]:
    return [one for one in context.emitted if one.kind == "primary"]


def mining(context: Any, item: int) -> dict[str, Any]:
    return json.loads(context.delivered("sidecar", item=item, label="mining").path.read_text())


def test_every_kind_is_delivered_with_its_name_its_number_and_its_facts(mine: Any, music: np.ndarray) -> None:
    context = mine(music, **FEW)
    made = primaries(context)
    assert [one.item for one in made] == [1, 2, 3, 4, 5, 6] and context.warnings == []
    places = [one.facts["published"] for one in made]
    assert places == [
        "by_source/old/pads/old_pad01.wav", "by_source/old/pads/old_pad02.wav",
        "by_source/old/swells/old_swell01_warm.wav", "by_source/old/clouds/old_cloud01.wav",
        "by_source/old/hiss/old_hiss01.wav", "by_source/old/hiss/old_flicker01.wav",
    ]  # fmt: skip
    for one in made:
        facts, info = one.facts, files.probe(one.path)
        assert (info.sample_rate, info.channels, info.subtype) == (SAMPLE_RATE, 2, "PCM_24")
        assert info.frames == facts["frames"] == round(facts["duration_s"] * SAMPLE_RATE)
        assert facts["how"] in ("cut", "freeze", "grains") and facts["measures"]
        assert all(0 <= start_s < end_s <= 40.001 for start_s, end_s in facts["source_spans"])
        audio, rate = files.read(one.path)
        assert measure(audio, rate).true_peak_dbtp <= -2.9
        assert str(facts["number"]) in describe(ItemRecord(one.item, one.path, facts))
    assert [one.facts["duration_s"] for one in made[:2]] == [2.0, 3.0]


def test_every_loop_has_loop_points_that_span_it(mine: Any, music: np.ndarray) -> None:
    context = mine(music, **FEW)
    loops = [one for one in primaries(context) if one.facts["loop"]]
    assert {one.facts["texture"] for one in loops} >= {"pad", "cloud", "hiss"}
    for one in loops:
        assert read_loop(one.path) == (0, one.facts["frames"] - 1)


def test_each_texture_has_a_picture_and_the_last_what_belongs_to_the_source(mine: Any, music: np.ndarray) -> None:
    context = mine(music, **FEW)
    last = primaries(context)[-1].item
    for one in primaries(context):
        picture = context.delivered("sidecar", item=one.item, label="picture")
        assert picture.facts["published"] == f"by_source/old/pictures/{Path(one.facts['published']).stem}.png"
    overview = context.delivered("sidecar", item=last, label="source")
    with Image.open(overview.path) as image:
        assert len(image.getcolors()) > 6  # Lanes in their colours.
    assert overview.facts["published"] == "by_source/old/pictures/old_source.png"
    document = mining(context, last)
    assert [one["published"] for one in document["textures"]] == [one.facts["published"] for one in primaries(context)]
    assert document["dropped"] == [] and document["track_slug"] == "old"
    assert [one.item for one in context.emitted if one.label == "mining"] == [last]


def test_pictures_can_be_left_out(mine: Any) -> None:
    context = mine(filtered_noise(9.0), pictures=False, **PADS)
    assert not [one for one in context.emitted if one.path.suffix == ".png"]


def test_hiss_is_taken_from_percussion_first(context_factory: Any, tmp_path: Path, music: np.ndarray) -> None:
    files.write(tmp_path / "tape.wav", music, SAMPLE_RATE)
    files.write(tmp_path / "hats.wav", drums(6.0, seed=5), SAMPLE_RATE)
    context = context_factory(inputs={"in": tmp_path / "tape.wav", "hats": tmp_path / "hats.wav"})
    run(TexturesParams.model_validate({"input": "in", **FEW, "drums": ["hats"]}), context)
    taken = {one.facts["texture"]: one.facts.get("from_drums") for one in primaries(context)}
    assert taken == {"pad": None, "swell": None, "cloud": None, "hiss": "hats.wav", "flicker": "hats.wav"}


def test_no_passage_is_cut_twice(mine: Any) -> None:
    # Six sounds that stand, one after the other: two pads of the same noise would be one pad twice.
    parts = [filtered_noise(5.0, 150.0 * 2**octave, 300.0 * 2**octave, seed=octave) for octave in range(6)]
    played = np.concatenate(parts, axis=1)
    context = mine(played, kinds=["pads"], pads=6, durations=[3, 2], crossfade=0.5)
    cuts = sorted(tuple(one.facts["source_spans"][0]) for one in primaries(context) if one.facts["how"] == "cut")
    assert len(primaries(context)) == 6 and len(cuts) >= 3
    assert all(end_s <= start_s + 1e-3 for (_, end_s), (start_s, _) in itertools.pairwise(cuts))


def test_the_same_recording_gives_the_same_textures(mine: Any, music: np.ndarray) -> None:
    first, second = (mine(music, **FEW) for _ in range(2))
    assert [one.path.read_bytes() for one in primaries(first)] == [one.path.read_bytes() for one in primaries(second)]


def test_what_an_earlier_attempt_finished_is_not_made_again(mine: Any, music: np.ndarray) -> None:
    whole = mine(music, **FEW)
    done = {item: ItemRecord(item, Path("x"), whole.delivered(item=item).facts) for item in (1, 3, 4)}
    rest = mine(music, completed=done, **FEW)
    assert [one.item for one in primaries(rest)] == [2, 5, 6]
    for one in primaries(rest):
        assert one.facts["published"] == whole.delivered(item=one.item).facts["published"]
    # The list of the whole recording counts what was there before.
    assert len(mining(rest, 6)["textures"]) == 6


def test_a_recording_that_was_finished_is_not_even_read(context_factory: Any, tmp_path: Path) -> None:
    (tmp_path / "gone.wav").write_bytes(b"no audio")
    files.write(tmp_path / "b.wav", filtered_noise(9.0), SAMPLE_RATE)
    done = {item: ItemRecord(item, Path("x"), {"last_of_source": item == 2, "source_spans": []}) for item in (1, 2)}
    context = context_factory(inputs={"in": [tmp_path / "gone.wav", tmp_path / "b.wav"]}, completed=done)
    run(TexturesParams.model_validate({"input": "in", **PADS}), context)
    assert [one.item for one in primaries(context)] == [3, 4] and context.warnings == []


def test_tracks_of_one_name_lie_in_two_folders(context_factory: Any, tmp_path: Path) -> None:
    inputs = []
    for number, folder in enumerate(("ep", "lp")):
        (tmp_path / folder).mkdir()
        files.write(tmp_path / folder / "CON.wav", filtered_noise(6.0, seed=number), SAMPLE_RATE)
        inputs.append(InputFile(tmp_path / folder / "CON.wav", f"{folder}/CON.wav", str(number)))
    context = context_factory(inputs={"in": inputs})
    run(TexturesParams.model_validate({"input": "in", **PADS, "pads": 1}), context)
    assert [one.facts["track_slug"] for one in primaries(context)] == ["ep_con", "lp_con"]


def test_an_item_of_a_step_is_called_by_its_step_and_number(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "x.wav", filtered_noise(6.0), SAMPLE_RATE)
    context = context_factory(inputs={"each": InputFile(tmp_path / "x.wav", "beds/3", "0")})
    run(TexturesParams.model_validate({"input": "each", **PADS, "pads": 1}), context)
    assert primaries(context)[0].facts["published"] == "by_source/beds_3/pads/beds_3_pad01.wav"


def test_a_row_of_a_catalogue_names_its_textures(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "x.wav", filtered_noise(6.0), SAMPLE_RATE)
    facts = {"slug": "tape_7", "id": "audio_0007", "rel_path": "old/x.wav"}
    context = context_factory(inputs={"each": InputFile(tmp_path / "x.wav", "old/x.wav", "0", facts)})
    run(TexturesParams.model_validate({"input": "each", **PADS, "pads": 1}), context)
    (pad,) = primaries(context)
    assert pad.facts["published"].startswith("by_source/tape_7/pads/")
    assert pad.facts["source_row"] == {"id": "audio_0007", "rel_path": "old/x.wav"}


def test_a_catalogue_is_mined_row_by_row(context_factory: Any, tmp_path: Path) -> None:
    for number in range(4):
        files.write(tmp_path / f"t{number}.wav", filtered_noise(6.0, seed=number), SAMPLE_RATE)
    rows = "".join(f"audio_{number:04d},t{number}.wav,6.00,44100,2,1.6\n" for number in range(4))
    (tmp_path / "selected.csv").write_text("id,rel_path,duration_sec,sample_rate,channels,file_size_mb\n" + rows)
    context = context_factory(inputs={"./selected.csv": tmp_path / "selected.csv"})
    keys = {"sources": "./selected.csv", "start_index": 1, "count": 2, **PADS, "pads": 1}
    run(TexturesParams.model_validate(keys), context)
    assert [one.facts["source"] for one in primaries(context)] == ["t1.wav", "t2.wav"]


def test_each_profile_has_its_own_folder_and_items(mine: Any) -> None:
    context = mine(filtered_noise(20.0), profiles=["default"], kinds=["pads"], pads=2, durations=[2])
    assert {one.facts["published"].rpartition("/")[0] for one in primaries(context)} == {"by_source/old/default/pads"}


def test_profiles_of_ones_own_are_read_from_the_configuration(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", filtered_noise(20.0), SAMPLE_RATE)
    context = context_factory(inputs={"a": tmp_path / "a.wav"})
    (context.config_dir / "profiles").mkdir()
    for name, text in (("one", "pads: {count: 1, durations: [2]}"), ("two", "pads: {count: 2, durations: [1500ms]}")):
        (context.config_dir / "profiles" / f"{name}.yaml").write_text(f"{text}\nglobal: {{output_bit_depth: 16}}\n")
    run(TexturesParams.model_validate({"input": "a", "profiles": ["one", "two"], "kinds": "pads"}), context)
    made = [(one.item, one.facts["profile"], one.facts["duration_s"]) for one in primaries(context)]
    assert made == [(1, "one", 2.0), (2, "two", 1.5), (3, "two", 1.5)]
    assert files.probe(primaries(context)[0].path).subtype == "PCM_16"
    with pytest.raises(Invalid, match=r"no profile 'on'; did you mean 'one'"):
        run(TexturesParams.model_validate({"input": "a", "profile": "on"}), context)


def test_a_pack_for_a_tr8s_is_whole_bars_in_mono_in_its_folders(
    mine: Any, context_factory: Any, tmp_path: Path
) -> None:
    files.write(tmp_path / "loop.wav", filtered_noise(20.0), SAMPLE_RATE)
    source = InputFile(tmp_path / "loop.wav", "loop.wav", "0", {"tempo_bpm": 123.0})
    context = context_factory(inputs={"in": source})
    run(TexturesParams.model_validate({"input": "in", "pack": "tr8s", **PADS, "durations": [2, 4]}), context)
    for one, bars in zip(primaries(context), (1, 2), strict=True):
        info = files.probe(one.path)
        assert (info.sample_rate, info.channels, info.frames) == (44_100, 1, round(bars * 240 / 123 * 44_100))
        folder, _, name = one.facts["published"].rpartition("/")
        assert folder == "by_source/loop/ROLAND/TR-8S/SAMPLE" and len(name) <= 16


def test_a_recording_without_a_beat_is_said_to_have_none_where_bars_are_asked_for(mine: Any) -> None:
    context = mine(filtered_noise(9.0), kinds=["pads"], pads=1, durations=["1 bar"])
    assert [one.facts["duration_s"] for one in primaries(context)] == [2.0]
    assert any("old: has no beat" in warning for warning in context.warnings)


def test_bars_are_those_of_the_recordings_own_tempo(mine: Any) -> None:
    context = mine(drums(24.0, tempo_bpm=125.0), kinds=["pads"], pads=1, durations=["1 bar"])
    assert primaries(context)[0].facts["duration_s"] == pytest.approx(240 / 125, rel=2e-3)


def test_a_pack_for_a_game_is_ogg_with_an_index(mine: Any) -> None:
    context = mine(filtered_noise(9.0), pack="game", **PADS)
    index = json.loads(context.delivered("sidecar", item=2, label="index").path.read_text())
    assert [sound["file"] for sound in index["sounds"]] == ["pads/old_pad01.ogg", "pads/old_pad02.ogg"]
    for one, sound in zip(primaries(context), index["sounds"], strict=True):
        assert files.probe(one.path).frames == sound["loop_end"] == 2 * SAMPLE_RATE and sound["loop_start"] == 0


def test_a_pack_for_a_daw_is_stereo_at_a_common_rate(mine: Any) -> None:
    context = mine(noise(9.0, 96_000, channels=1), sample_rate=96_000, pack="daw", **PADS)
    for one in primaries(context):
        info = files.probe(one.path)
        assert (info.sample_rate, info.channels, info.subtype, info.frames) == (48_000, 2, "PCM_24", 96_000)
        assert read_loop(one.path) == (0, 95_999)


# --- Bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (96_000, 2), (44_100, 1), (44_100, 4)])
def test_rate_and_channels_stay_as_they_are(mine: Any, sample_rate: int, channels: int) -> None:
    context = mine(noise(9.0, sample_rate, channels=channels), sample_rate=sample_rate, **PADS)
    for one in primaries(context):
        info = files.probe(one.path)
        assert (info.sample_rate, info.channels, info.frames) == (sample_rate, channels, 2 * sample_rate)


def test_a_constant_offset_is_taken_out(mine: Any, music: np.ndarray) -> None:
    for one in primaries(mine(music + np.float32([[0.2], [-0.1]]), **FEW)):
        audio, _ = files.read(one.path)
        assert np.abs(audio.mean(axis=1)).max() < 10 ** (-50 / 20)


@pytest.mark.parametrize(
    ("played", "reason"),
    [
        pytest.param(np.zeros((2, 20 * SAMPLE_RATE), np.float32), "silent", id="silence"),
        pytest.param(np.full((2, 20 * SAMPLE_RATE), 0.4, np.float32), "silent", id="DC"),
        pytest.param(noise(20.0, level_db=-95.0), "silent", id="dither"),
        pytest.param(np.full((1, 1), 0.5, np.float32), "old", id="one sample"),
    ],
)
def test_what_holds_nothing_is_refused_with_the_reason(mine: Any, played: np.ndarray, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        mine(played)


def test_of_one_second_what_can_be_made_is_made_and_the_rest_has_its_reason(mine: Any) -> None:
    try:
        context = mine(filtered_noise(1.0), pads=1, swells=0, clouds=1, hiss=0, flickers=1)
    except Invalid as error:
        assert "0 of 3 textures" in str(error)
        return
    made = primaries(context)
    assert len(made) + len(mining(context, made[-1].item)["dropped"]) == 3


def test_an_hour_is_mined_without_ever_being_held_whole(context_factory: Any, tmp_path: Path) -> None:
    sample_rate, minute = 8_000, noise(60.0, 8_000, channels=1)
    with files.Writer(tmp_path / "hour.wav", sample_rate, 1, subtype="PCM_16") as writer:
        for _ in range(60):
            writer.write(minute)
    context = context_factory(inputs={"in": tmp_path / "hour.wav"})
    tracemalloc.start()
    try:
        run(TexturesParams.model_validate({"input": "in", **PADS}), context)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [one.facts["frames"] for one in primaries(context)] == [2 * sample_rate] * 2
    assert peak < 3600 * sample_rate * np.dtype(np.float32).itemsize


def test_fewer_than_asked_for_is_a_warning_with_the_reason(mine: Any) -> None:
    context = mine(filtered_noise(1.0), kinds=["pads"], pads=8, durations=[2], crossfade=1)
    made = primaries(context)
    dropped = mining(context, made[-1].item)["dropped"]
    assert 1 <= len(made) < 8 and len(dropped) == 8 - len(made) and all(one["reason"] for one in dropped)
    assert f"{len(made)} of 8 textures" in context.warnings[0] and dropped[0]["reason"] in context.warnings[0]


def test_among_several_what_cannot_be_mined_is_left_out_with_a_warning(context_factory: Any, tmp_path: Path) -> None:
    broken = noise(8.0)
    broken[1, 5000] = np.nan
    # Not by our own writer, which refuses it.
    soundfile.write(tmp_path / "nan.wav", broken.T, SAMPLE_RATE, subtype="FLOAT")
    files.write(tmp_path / "whole.flac", noise(8.0), SAMPLE_RATE)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "whole.flac").read_bytes()[:400_000])
    files.write(tmp_path / "silent.wav", np.zeros((2, 9 * SAMPLE_RATE), np.float32), SAMPLE_RATE)
    files.write(tmp_path / "good.wav", filtered_noise(9.0), SAMPLE_RATE)
    names = ["nan.wav", "cut.flac", "silent.wav", "good.wav"]
    params = TexturesParams.model_validate({"input": "in", **PADS})
    context = context_factory(inputs={"in": [tmp_path / name for name in names]})
    run(params, context)
    assert {one.facts["source"] for one in primaries(context)} == {"in/4"}
    assert [one.item for one in primaries(context)] == [7, 8]
    assert len(context.warnings) == 3
    for name, warning in zip(("nan.wav", "cut.flac", "silent"), context.warnings, strict=True):
        assert name in warning
    for name in names[:3]:
        with pytest.raises(Invalid, match=name.removesuffix(".wav")):
            run(params, context_factory(inputs={"in": tmp_path / name}))
    with pytest.raises(Invalid, match="holds no audio"):
        run(params, context_factory(inputs={"in": []}))


def test_cancelling_leaves_nothing_half_done(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", tone(220.0, 20.0), SAMPLE_RATE)
    context = context_factory(inputs={"a": tmp_path / "a.wav"}, cancel_at=2)
    with pytest.raises(Cancelled):
        run(TexturesParams(input="a", pads=1), context)
    assert context.emitted == []


def test_progress_grows_to_the_number_of_recordings(mine: Any) -> None:
    context = mine(*(filtered_noise(6.0, seed=seed) for seed in (1, 2)), **PADS)
    amounts = [done for _, done, _, _ in context.progressed]
    assert amounts == sorted(amounts) and context.progressed[-1][1:] == (2, 2, "files") and len(amounts) > 4
