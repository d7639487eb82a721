"""What is wrong with a piece is said by name, before anything is delivered; what is only unusual is mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from handlers.audio import files
from handlers.contract import Invalid
from handlers.mix.mixdown import run
from tests.fixtures.sound import noise, tone
from tests.handlers.mix.conftest import parse

RATE = 44_100


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["crossfade", "cut", "filter"])
def test_what_is_not_a_number_is_refused_with_its_place(mix: Callable[..., Any], kind: str, value: float) -> None:
    broken = noise(3, seed=1)
    broken[1, RATE] = value
    with pytest.raises(Invalid, match=rf"b\.wav: holds {value} at 1\.0000 s, channel 2"):
        mix(noise(3), broken, transition={"kind": kind})


@pytest.mark.parametrize("phase", ["loading", "warming up", "working", "encoding"])
def test_a_file_that_vanishes_at_any_time_fails_by_name_and_delivers_nothing(
    tmp_path: Path, context_factory: Callable[..., Any], phase: str
) -> None:
    for name in ("a", "b", "c"):
        sf.write(tmp_path / f"{name}.wav", noise(5).T, RATE)
    context = context_factory({name: tmp_path / f"{name}.wav" for name in ("a", "b", "c")})

    def remove(now: str, *amounts: Any) -> None:
        if now == phase:
            (tmp_path / "c.wav").unlink(missing_ok=True)

    context.progress = remove
    with pytest.raises(Invalid, match=r"c\.wav: there is no such file; was it moved or deleted"):
        run(parse(["a", "b", "c"], loudness=-23), context)
    assert context.emitted == []


@pytest.mark.parametrize("kind", ["cut", "crossfade", "filter", "echo_out"])
def test_a_piece_of_one_sample_goes_through_every_transition(mix: Callable[..., Any], kind: str) -> None:
    length = {} if kind == "cut" else {"duration": 1}
    context = mix(noise(3), noise(1, seed=1)[:, :1], noise(3, seed=2), transition={"kind": kind, **length})
    assert context.delivered().facts["frames"] == 6 * RATE + 1
    if kind == "filter":
        assert "a crossfade instead, because 0.000 s are too short for it" in context.warnings[0]


@pytest.mark.parametrize("kind", ["crossfade", "filter", "echo_out"])
def test_silence_goes_through_every_transition(mix: Callable[..., Any], kind: str) -> None:
    silence = np.zeros((2, 3 * RATE), np.float32)
    context = mix(noise(3), silence, noise(3, seed=2), loudness=-23, transition={"kind": kind, "duration": 1})
    assert context.delivered().facts["integrated_lufs"] == pytest.approx(-23, abs=0.1)
    assert any("b: silent or shorter than 0.4 s, so without a loudness" in warning for warning in context.warnings)


def test_eleven_kilohertz_of_one_channel_beside_stereo_is_converted_once(mix: Callable[..., Any]) -> None:
    low = tone(440, 3, 11_025, channels=1)
    context = mix(tone(440, 3), low, rates=(RATE, 11_025), formats=[{"wav": {"bits": 32}}], transition={"duration": 1})
    audio, rate = files.read(context.delivered().path)
    assert (audio.shape, rate) == ((2, 5 * RATE), RATE)
    assert np.array_equal(audio[0, 3 * RATE :], audio[1, 3 * RATE :])
    # Its own band and nothing above: no images of a bad conversion.
    spectrum = np.abs(np.fft.rfft(audio[0, 3 * RATE : 4 * RATE] * np.hanning(RATE)))
    assert 20 * np.log10(spectrum[5_600:].max() / spectrum.max()) < -100
    (said,) = [facts for _, message, facts in context.logged if "soxr VHQ" in message]
    assert (said["from_rate"], said["to_rate"], said["from_channels"], said["to_channels"]) == (11_025, RATE, 1, 2)


@pytest.mark.parametrize("keys", [{}, {"loudness": -23}, {"transition": {"kind": "beatmatch"}}])
def test_one_track_alone_needs_no_transition(mix: Callable[..., Any], keys: dict[str, Any]) -> None:
    context = mix(noise(3), **keys)
    assert context.delivered().facts["frames"] == 3 * RATE
    assert context.delivered().facts["transitions"] == [] and context.warnings == []
