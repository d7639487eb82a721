"""Profiles: merged over the default, old keys read, anything else refused with the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.textures.profiles import Profile, bars_in, list_profiles, load_profile

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture
def write(tmp_path: Path):
    folder = tmp_path / "profiles"
    folder.mkdir()

    def do(name: str, text: str) -> Path:
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return do


def test_the_shipped_default_is_what_holds_without_a_file(tmp_path: Path) -> None:
    written = load_profile(CONFIG, "default")
    assert written.model_copy(update={"summary": ""}) == Profile() == load_profile(tmp_path, "default")
    counts = (
        written.pads.count,
        written.swells.count,
        written.clouds.count,
        written.hiss.count,
        written.flickers.count,
    )
    assert counts == (3, 6, 6, 8, 4) and len(written.pads.durations) == 3


def test_bright_is_short_and_high() -> None:
    bright = load_profile(CONFIG, "bright")
    assert (bright.pads.durations, bright.pads.crossfade) == ([1.5, 2.5], 0.05)
    assert bright.drones.airy_highpass_hz == 8000
    assert (bright.clouds.pitch_shift_range.min, bright.clouds.pitch_shift_range.max) == (-2, 8)
    assert (bright.hiss.bandpass_low_hz, bright.hiss.bandpass_high_hz) == (7000, 16_000)


@pytest.mark.parametrize("name", ["default", "bright", "dark", "noisy"])
def test_every_shipped_profile_is_well_written_and_says_what_it_is(name: str) -> None:
    assert name in list_profiles(CONFIG) and load_profile(CONFIG, name).summary


def test_a_profile_names_only_what_differs(write) -> None:
    write("default", "pads: {count: 5}\nhiss: {count: 1}\n")
    mine = load_profile(write("mine", "pads: {durations: [2 bars, 4]}\n"), "mine")
    assert (mine.pads.count, mine.pads.durations, mine.pads.crossfade) == (5, ["2 bars", 4.0], 1.5)
    assert mine.hiss.count == 1 and mine.clouds == Profile().clouds
    assert [bars_in(length) for length in mine.pads.durations] == [2.0, None]


def test_keys_of_existing_files_are_read(write) -> None:
    config = write(
        "old",
        """
global: {sample_rate: 48000, output_bit_depth: 16, target_peak_dbfs: -6}
pad_miner: {target_durations_sec: [1.5, 2.5], loop_crossfade_ms: 50}
drones: {airy_highpass_hz: 8000}
clouds: {pitch_shift_range: {min: -2, max: 8}}
hiss: {bandpass_low_hz: 7000, bandpass_high_hz: 16000}
""",
    )
    old, bright = load_profile(config, "old"), load_profile(CONFIG, "bright")
    assert (old.output.sample_rate, old.output.bits, old.output.peak) == (48_000, 16, -6.0)
    assert (old.pads, old.hiss, old.clouds) == (bright.pads, bright.hiss, bright.clouds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pad: {count: 3}", r"mine.yaml: pad: no such key; did you mean 'pads'\?"),
        ("hiss: {bandpas_low_hz: 7000}", r"hiss.bandpas_low_hz: no such key; did you mean 'bandpass_low_hz'\?"),
        (
            "pad_miner: {loop_crosfade_ms: 50}",
            r"pad_miner.loop_crosfade_ms: no such key; did you mean 'loop_crossfade_ms'\?",
        ),
        ("globals: {sample_rate: 44100}", r"globals: no such key; did you mean 'global'\?"),
        ("global: {}", "global: holds no keys"),
        ("clouds: {pitch_shift_range: {mix: 1}}", r"clouds.pitch_shift_range.mix: no such key; did you mean"),
        ("clouds: {pitch_shift_range: {min: 8, max: -2}}", r"min \(8\) is over max \(-2\)"),
        ("hiss: {bandpass_low_hz: 15000}", "leaves no band"),
        ("pads: {durations: []}", "pads.durations: List should have at least 1 item"),
        ("pads: {durations: [2 beats]}", "is not a time"),
        ("pads: {durations: [99 bars]}", "outside 0.25 to 64 bars"),
        ("pads: {durations: [90]}", "90 s is outside"),
        ("pads: {crossfade: 1}\npad_miner: {loop_crossfade_ms: 50}", "two names of one key"),
        ("global: {output_bit_depth: 20}", r"mine.yaml: global.output_bit_depth \(output.bits\): .* \(it is 20\)"),
        ("pad_miner: {loop_crossfade_ms: '50'}", r"pad_miner.loop_crossfade_ms \(pads.crossfade\): '50' is not a time"),
        ("pads: {count: 3}\npads: {count: 4}", "'pads' is there twice"),
        ("pads: {count: '3'}", r"pads.count: .*valid integer.* \(it is '3'\)"),
        ("- pads", "holds no keys"),
        ("pads: {", "is not YAML"),
    ],
)
def test_what_is_not_understood_is_refused_with_file_key_and_remedy(write, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_profile(write("mine", text), "mine")


def test_an_unknown_profile_is_named_with_the_nearest(write) -> None:
    config = write("bright", "")
    assert load_profile(config, "bright") == Profile()
    with pytest.raises(
        ValueError, match=r"no profile 'brigth'; did you mean 'bright'\? \(there are: bright, default\)"
    ):
        load_profile(config, "brigth")
