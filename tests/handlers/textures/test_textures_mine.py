"""A `textures` run, from recordings to loops: what is chosen, how it loops, and what bad input gives."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from handlers.audio import files
from handlers.audio.loudness import measure
from handlers.contract import Cancelled, Invalid, ItemRecord
from handlers.textures.mine import PEAK_DBTP, run
from handlers.textures.outlook import describe
from handlers.textures.params import TexturesParams
from tests.fixtures.sound import noise, tone
from tests.handlers.textures.materials import SAMPLE_RATE, detuned_chord, drums, filtered_noise, read_loop


@pytest.fixture
def mine(context_factory: Any, tmp_path: Path) -> Any:
    """Write recordings, run, return the context."""

    def do(*recordings: np.ndarray, sample_rate: int = SAMPLE_RATE, completed: Any = None, **params: Any) -> Any:
        paths = []
        for audio in recordings:
            paths.append(tmp_path / f"{len(list(tmp_path.iterdir()))}.wav")
            files.write(paths[-1], audio, sample_rate, subtype="FLOAT")
        context = context_factory(inputs={"old": paths}, completed=completed)
        run(TexturesParams(input="old", **params), context)
        return context

    return do


def primaries(context: Any) -> list[Any]:
    return [one for one in context.emitted if one.kind == "primary"]


def spans(context: Any) -> list[tuple[float, float]]:
    return [(one.facts["start_s"], one.facts["end_s"]) for one in primaries(context)]


@pytest.mark.parametrize("steady", [filtered_noise(12.0), detuned_chord(12.0)], ids=["noise", "chord"])
def test_the_steady_part_is_taken_and_not_the_drums(mine: Any, steady: np.ndarray) -> None:
    played = np.concatenate([drums(10.0), steady, drums(10.0, seed=1)], axis=1)
    context = mine(played, pads=2, durations=[4, 3], crossfade=0.5)
    assert len(primaries(context)) == 2
    for start_s, end_s in spans(context):
        assert start_s >= 10.0 and end_s <= 22.0
    assert context.warnings == []


def test_pads_have_their_exact_lengths_in_the_order_asked_for(mine: Any) -> None:
    context = mine(filtered_noise(30.0), pads=5, durations=[1.25, "2.5s", 4], crossfade=0.25)
    assert [one.item for one in primaries(context)] == [1, 2, 3, 4, 5]
    for one, length_s in zip(primaries(context), (1.25, 2.5, 4.0, 1.25, 2.5), strict=True):
        info = files.probe(one.path)
        assert info.frames == round(length_s * SAMPLE_RATE) == one.facts["frames"]
        assert (info.sample_rate, info.channels, info.subtype) == (SAMPLE_RATE, 2, "PCM_24")
        assert one.facts["end_s"] - one.facts["start_s"] == pytest.approx(length_s + 0.25, abs=1e-4)


def test_no_passage_is_used_twice(mine: Any) -> None:
    context = mine(filtered_noise(30.0), pads=8, durations=[3, 2], crossfade=0.5)
    placed = sorted(spans(context))
    assert len(placed) == 8
    assert all(end_s <= start_s for (_, end_s), (start_s, _) in itertools.pairwise(placed))


def test_the_longer_pads_leave_room_for_the_shorter(mine: Any) -> None:
    context = mine(filtered_noise(30.0))
    assert [one.facts["duration_s"] for one in primaries(context)] == [4.0, 8.0, 12.0]
    assert context.warnings == []


@pytest.mark.parametrize(
    "played",
    [
        filtered_noise(14.0),
        filtered_noise(14.0, 20.0, 20_000.0, seed=3),
        detuned_chord(14.0),
        detuned_chord(14.0, seed=5),
    ],
    ids=["band noise", "white noise", "chord", "another chord"],
)
def test_seams_are_continuous(mine: Any, played: np.ndarray) -> None:
    (pad,) = primaries(mine(played, pads=1, durations=[6], crossfade=1))
    loop, _ = files.read(pad.path)
    steps = np.abs(np.diff(loop, axis=1))
    bends = np.abs(np.diff(loop, n=2, axis=1))
    around = np.concatenate([loop[:, -2:], loop[:, :2]], axis=1)
    assert np.all(np.abs(around[:, 2] - around[:, 1]) <= 2 * np.median(steps, axis=1))
    assert np.all(np.abs(np.diff(around, n=2, axis=1)).max(axis=1) <= 3 * np.median(bends, axis=1))
    # The fade neither dips nor swells: its level in tenths of a second is that of the rest, played over and over.
    tenth = SAMPLE_RATE // 10
    level_db = 10 * np.log10(np.mean(loop.reshape(2, -1, tenth) ** 2, axis=(0, 2)))
    assert np.percentile(level_db[-10:], 10) >= np.percentile(level_db[:-10], 10) - 2
    assert level_db[-10:].max() <= level_db[:-10].max() + 2
    assert pad.facts["seam"]["jump"] <= 2 and pad.facts["seam"]["slope"] <= 3


def test_the_loop_goes_on_as_the_recording_did(mine: Any) -> None:
    played = filtered_noise(8.0)
    (pad,) = primaries(mine(played, pads=1, durations=[3], crossfade=0.5))
    loop, _ = files.read(pad.path)
    start = round((pad.facts["start_s"] + pad.facts["crossfade_s"]) * SAMPLE_RATE)
    gain = 10 ** (pad.facts["gain_db"] / 20)
    around = np.concatenate([loop[:, -8:], loop[:, :8]], axis=1)
    # Eight samples before the seam the fade is within 0.1 % of its end.
    np.testing.assert_allclose(around, played[:, start - 8 : start + 8] * gain, atol=2e-3)


def test_loop_points_span_the_file(mine: Any) -> None:
    (pad,) = primaries(mine(filtered_noise(8.0), pads=1, durations=[2.5], crossfade=0.5))
    assert read_loop(pad.path) == (0, round(2.5 * SAMPLE_RATE) - 1)


def test_pads_have_no_dc_and_peak_at_their_target(mine: Any) -> None:
    context = mine(filtered_noise(12.0) + np.float32([[0.2], [-0.1]]), pads=2, durations=[3], crossfade=0.5)
    for pad in primaries(context):
        loop, rate = files.read(pad.path)
        assert measure(loop, rate).true_peak_dbtp == pytest.approx(PEAK_DBTP, abs=0.05)
        assert np.abs(loop.mean(axis=1)).max() < 1e-5
        assert pad.facts["true_peak_dbtp"] == pytest.approx(PEAK_DBTP, abs=0.05)


def test_the_same_recording_gives_the_same_pads(mine: Any) -> None:
    played = np.concatenate([detuned_chord(10.0), filtered_noise(10.0)], axis=1)
    first, second = (mine(played, pads=3, durations=[2], crossfade=0.5) for _ in range(2))
    assert [one.path.read_bytes() for one in primaries(first)] == [one.path.read_bytes() for one in primaries(second)]


def test_numbers_run_on_through_all_files_and_finished_pads_are_skipped(mine: Any) -> None:
    recordings = [filtered_noise(8.0, seed=seed) for seed in (1, 2, 3)]
    whole = mine(*recordings, pads=2, durations=[2], crossfade=0.5)
    assert [(one.item, one.facts["source"]) for one in primaries(whole)] == [
        (1, "old/1"), (2, "old/1"), (3, "old/2"), (4, "old/2"), (5, "old/3"), (6, "old/3"),
    ]  # fmt: skip
    done = {item: ItemRecord(item, Path("x")) for item in (1, 2, 3, 5)}
    rest = mine(*recordings, pads=2, durations=[2], crossfade=0.5, completed=done)
    assert [one.item for one in primaries(rest)] == [4, 6]
    for one in primaries(rest):
        assert one.path.read_bytes() == whole.delivered(item=one.item).path.read_bytes()
    assert all(whole.delivered("sidecar", item=item, label="picture").path.suffix == ".png" for item in range(1, 7))
    assert "steadiness" in describe(ItemRecord(1, Path("x"), whole.delivered(item=1).facts))
    assert {phase for phase, *_ in whole.progressed} == {"working"} and whole.progressed[-1][1:3] == (3, 3)


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (96_000, 2), (44_100, 4)])
def test_rate_and_channels_stay_as_they_are(mine: Any, sample_rate: int, channels: int) -> None:
    played = noise(6.0, sample_rate, channels=channels)
    (pad,) = primaries(mine(played, sample_rate=sample_rate, pads=1, durations=[3], crossfade=0.5))
    info = files.probe(pad.path)
    assert (info.sample_rate, info.channels, info.frames) == (sample_rate, channels, 3 * sample_rate)
    assert read_loop(pad.path) == (0, 3 * sample_rate - 1)


def test_a_region_that_does_not_loop_is_replaced_and_the_reason_logged(mine: Any) -> None:
    # The steadiest sound there is, whose end and beginning cancel: 300.5 periods in three seconds.
    played = np.concatenate([tone(300.5 / 3, 6.0), filtered_noise(6.0)], axis=1)
    context = mine(played, pads=1, durations=[3], crossfade=0.5)
    ((start_s, _),) = spans(context)
    assert start_s >= 5.5
    refused = [message for _, message, facts in context.logged if "does not loop" in message and facts["dip_db"] < -2]
    assert refused and "dip" in refused[0] and "old" in refused[0]


def test_silence_between_music_is_no_pad(mine: Any) -> None:
    played = np.concatenate([np.zeros((2, 8 * SAMPLE_RATE), np.float32), detuned_chord(6.0)], axis=1)
    ((start_s, _),) = spans(mine(played, pads=1, durations=[3], crossfade=0.5))
    assert start_s >= 8.0


def test_fewer_pads_than_asked_for_is_a_warning(mine: Any) -> None:
    context = mine(filtered_noise(6.0), pads=3, durations=[3], crossfade=0.5)
    assert len(primaries(context)) == 1
    assert context.warnings and "old: 1 of 3 pads" in context.warnings[0]


def test_pads_cut_from_drums_alone_are_said_to_move(mine: Any) -> None:
    context = mine(drums(20.0), pads=1, durations=[4], crossfade=0.5)
    assert len(primaries(context)) == 1 and primaries(context)[0].facts["steadiness"] < 0.33
    assert any("1 of 1 pads still move" in warning for warning in context.warnings)


@pytest.mark.parametrize(
    ("played", "reason"),
    [
        pytest.param(np.zeros((2, 20 * SAMPLE_RATE), np.float32), "is silent", id="silence"),
        pytest.param(np.full((2, 20 * SAMPLE_RATE), 0.4, np.float32), "is silent", id="DC"),
        pytest.param(noise(20.0, level_db=-95.0), "is silent", id="dither"),
        pytest.param(filtered_noise(1.0), r"1\.00 s is too short: the shortest pad needs 5\.5 s", id="one second"),
        pytest.param(np.full((1, 1), 0.5, np.float32), "0.00 s is too short", id="one sample"),
    ],
)
def test_what_holds_no_pad_is_refused_with_the_reason(mine: Any, played: np.ndarray, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        mine(played)


def test_among_several_what_holds_no_pad_is_left_out_with_a_warning(mine: Any) -> None:
    silence = np.zeros((2, 9 * SAMPLE_RATE), np.float32)
    context = mine(silence, filtered_noise(9.0), pads=1, durations=[3], crossfade=0.5)
    assert [(one.item, one.facts["source"]) for one in primaries(context)] == [(1, "old/2")]
    assert any("old/1: is silent" in warning for warning in context.warnings)


def test_nan_and_damaged_files_are_refused(context_factory: Any, tmp_path: Path) -> None:
    broken = noise(8.0)
    broken[1, 5000] = np.nan
    # Not by our own writer, which refuses it.
    soundfile.write(tmp_path / "nan.wav", broken.T, SAMPLE_RATE, subtype="FLOAT")
    files.write(tmp_path / "whole.flac", noise(8.0), SAMPLE_RATE)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "whole.flac").read_bytes()[:400_000])
    for name in ("nan.wav", "cut.flac"):
        with pytest.raises(Invalid, match=name):
            run(TexturesParams(input="in", pads=1, durations=[3]), context_factory(inputs={"in": tmp_path / name}))
    with pytest.raises(Invalid, match="holds no audio"):
        run(TexturesParams(input="in"), context_factory(inputs={"in": []}))


def test_cancelling_leaves_nothing_half_done(context_factory: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", tone(220.0, 20.0), SAMPLE_RATE)
    context = context_factory(inputs={"a": tmp_path / "a.wav"}, cancel_at=2)
    with pytest.raises(Cancelled):
        run(TexturesParams(input="a", pads=1), context)
    assert context.emitted == []


def test_params_and_outlook_stay_light() -> None:
    code = (
        "import sys, handlers.textures.params, handlers.textures.outlook;"
        "heavy = {'numpy', 'scipy', 'librosa', 'soundfile'} & set(sys.modules); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
