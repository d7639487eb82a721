"""The engine on music and on extremes: every kind in full, measured by other means than its own, and from its track."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.audio import files
from handlers.contract import Invalid
from handlers.textures import engine
from handlers.textures.engine import Dropped, Texture, mine
from handlers.textures.judge import judge
from handlers.textures.params import TexturesParams
from handlers.textures.profiles import Profile
from handlers.textures.wanted import Want, list_wants
from tests.handlers.textures.materials import SAMPLE_RATE, detuned_chord, drums, filtered_noise
from training.beats.music import make_piece

PEAK_DBTP = -3.0


@pytest.fixture
def dig(tmp_path: Path) -> Any:
    """Write a recording, mine it; return what was wanted with what came of it."""

    def do(audio: np.ndarray, sample_rate: int = SAMPLE_RATE, **how: Any) -> list[tuple[Want, Texture | Dropped]]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.wav"
        files.write(path, audio, sample_rate, subtype="FLOAT")
        counts = {kind: how.pop(kind) for kind in ("pads", "swells", "clouds", "hiss", "flickers") if kind in how}
        params = TexturesParams.model_validate({"input": "a", **counts})
        wants = list_wants(params, Profile(), None)
        made = mine(path, wants, profile=Profile(), crossfade_s=1.5, peak_dbtp=PEAK_DBTP, **how)
        return [(wants[one.place], one) for one in made]

    return do


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """Sixty-three seconds of a made-up piece, in stereo at 44.1 kHz."""
    return tracks(1, 63.0, 44_100)[0]


def tracks(count: int, duration_s: float, sample_rate: int) -> list[np.ndarray]:
    made = []
    for seed in range(count):
        piece = make_piece(7100 + seed, duration_s=duration_s + 4)
        mono = np.atleast_2d(piece.audio).mean(axis=0)
        places = np.arange(round(duration_s * sample_rate)) * piece.sample_rate / sample_rate
        mono = np.interp(places, np.arange(len(mono)), mono).astype(np.float32)
        made.append(np.stack([mono, 0.8 * np.roll(mono, 7)]))
    return made


def spectrum(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power by frequency of the mean of Hann windows, and the frequencies."""
    frames = np.lib.stride_tricks.sliding_window_view(audio[0], 4096)[::2048] * np.hanning(4096)
    return (np.abs(np.fft.rfft(frames, axis=1)) ** 2).mean(axis=0), np.fft.rfftfreq(4096, 1 / SAMPLE_RATE)


def test_a_minute_of_music_gives_the_full_count_of_every_kind(dig: Any, music: np.ndarray) -> None:
    made = dig(music)
    assert [one for _, one in made if isinstance(one, Dropped)] == [] and len(made) == 27
    for want, one in made:
        assert one.audio.shape == (2, round(want.length_s * SAMPLE_RATE)) and one.audio.dtype == np.float32
        assert one.loop == (want.kind in ("pads", "clouds", "hiss"))
        fine = np.abs(np.fft.irfft(np.fft.rfft(one.audio[0]), n=4 * one.audio.shape[1]) * 4)
        assert fine.max() <= 10 ** (PEAK_DBTP / 20) and np.abs(one.audio.mean(axis=1)).max() < 1e-4
    spans = sorted(span for _, one in made for span in one.facts["source_spans"])
    assert all(end_s <= start_s + 1e-6 for (_, end_s), (start_s, _) in itertools.pairwise(spans))
    assert spans[0][0] >= 0 and spans[-1][1] <= 63.0


def test_each_kind_is_what_it_is_called(dig: Any, music: np.ndarray) -> None:
    for want, one in dig(music, pads=1, swells=3, clouds=1, hiss=2, flickers=1):
        power, hertz = spectrum(one.audio)
        tenths = one.audio[:, : one.audio.shape[1] // 2205 * 2205].reshape(2, -1, 2205)
        level_db = 20 * np.log10(np.sqrt((tenths**2).mean(axis=(0, 2))) + 1e-6)
        match want.kind:
            case "pads":
                assert np.ptp(level_db) < 9
            case "swells":
                ranks = np.argsort(np.argsort(level_db))
                assert np.corrcoef(ranks, np.arange(len(ranks)))[0, 1] > 0.9 and level_db[-5] - level_db[4] > 18
            case "clouds":
                centred = one.audio[0] - one.audio[0].mean()
                likeness = np.fft.irfft(np.abs(np.fft.rfft(centred)) ** 2)
                assert np.abs(likeness[SAMPLE_RATE // 2 : len(likeness) // 2]).max() < 0.6 * likeness[0]
            case "hiss":
                assert power[hertz > 4000].sum() > 0.7 * power.sum() and np.ptp(level_db) < 4
                assert np.exp(np.log(power).mean()) > 0.1 * power.mean()
            case "flickers":
                assert power[hertz > 4000].sum() > 0.7 * power.sum() and np.ptp(level_db) > 12


def test_loops_run_on_across_their_seam(dig: Any, music: np.ndarray) -> None:
    for want, one in dig(music, swells=0, flickers=0, hiss=2, clouds=2):
        twice = np.concatenate([one.audio, one.audio], axis=1)
        steps = np.abs(np.diff(twice, axis=1))
        seam = steps[:, one.audio.shape[1] - 1]
        assert (seam <= 2 * np.median(steps, axis=1)).all(), (want.kind, want.number)


def test_a_steady_recording_is_cut_a_restless_one_frozen(dig: Any) -> None:
    steady, restless = (
        dig(audio, pads=1, swells=0, clouds=0, hiss=0, flickers=0)[0][1]
        for audio in (filtered_noise(30.0), 0.5 * detuned_chord(30.0) + drums(30.0))
    )
    assert (steady.facts["how"], restless.facts["how"]) == ("cut", "freeze")


def test_the_same_recording_gives_the_same_samples(dig: Any) -> None:
    audio = detuned_chord(20.0) + drums(20.0)
    first, second = (dig(audio, pads=1, swells=1, clouds=1, hiss=1, flickers=1) for _ in range(2))
    for (_, one), (_, other) in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.audio, other.audio)


def test_hiss_comes_from_percussion_first(dig: Any, tmp_path: Path) -> None:
    files.write(tmp_path / "kit.wav", drums(12.0)[:1], SAMPLE_RATE)
    made = dig(detuned_chord(30.0), pads=1, swells=0, clouds=0, hiss=2, flickers=1, drums=[tmp_path / "kit.wav"])
    assert [one.facts.get("from_drums") for _, one in made] == [None, "kit.wav", "kit.wav", "kit.wav"]
    assert all(one.audio.shape[0] == 2 for _, one in made)


def test_what_serves_already_is_left_alone(dig: Any) -> None:
    made = dig(filtered_noise(20.0), pads=1, swells=2, clouds=1, hiss=2, flickers=1, taken=[(0.0, 12.5)])
    assert min(start_s for _, one in made for start_s, _ in one.facts["source_spans"]) >= 12.5


def test_a_recording_without_highs_gives_hiss_of_its_tones_octaves_up(dig: Any) -> None:
    made = dig(detuned_chord(20.0), pads=0, swells=0, clouds=0, hiss=2, flickers=1)
    assert all(one.facts["octaves_up"] > 0 for want, one in made if want.kind == "hiss")


def test_at_8_khz_there_is_no_hiss_and_it_says_why(dig: Any) -> None:
    made = dig(drums(20.0)[:1, ::5], 8000, pads=1, swells=1, clouds=1, hiss=1, flickers=1)
    assert [isinstance(one, Dropped) for _, one in made] == [False, False, False, True, True]
    assert "4000 Hz" in made[-1][1].reason


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(drums(62.0, 150.0), id="drums"),
        pytest.param(filtered_noise(62.0, 100.0, 15_000.0), id="noise"),
        pytest.param(0.3 * detuned_chord(62.0) + 0.2, id="DC"),
        pytest.param(np.concatenate([np.zeros((2, 30 * SAMPLE_RATE), np.float32), drums(32.0)], axis=1), id="late"),
        pytest.param(drums(62.0) * np.float32([[1], [-1]]), id="channels that cancel"),
    ],
)
def test_extremes_give_most_of_what_is_wanted_and_reasons_for_the_rest(dig: Any, audio: np.ndarray) -> None:
    made = dig(audio, pads=2, swells=3, clouds=2, hiss=2, flickers=2)
    dropped = [one.reason for _, one in made if isinstance(one, Dropped)]
    assert len(dropped) <= 1 and all(dropped)


def test_of_a_lone_tone_most_is_made_and_not_tried_for_ever(dig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    monkeypatch.setattr(
        engine, "judge", lambda kind, *given, **named: tries.append(kind) or judge(kind, *given, **named)
    )
    time_s = np.arange(62 * SAMPLE_RATE) / SAMPLE_RATE
    made = dig(0.4 * np.sin(2 * np.pi * 440 * time_s, dtype=np.float32)[None])
    dropped = [(want.kind, one.reason) for want, one in made if isinstance(one, Dropped)]
    assert (
        len(dropped) <= 4
        and all(reason for _, reason in dropped)
        and {kind for kind, _ in dropped} <= {"clouds", "swells"}
    )
    assert len(tries) < 3 * len(made)


def test_of_a_recording_too_short_for_all_the_rest_is_dropped_with_the_reason(dig: Any) -> None:
    made = dig(filtered_noise(2.0))
    dropped = [one.reason for _, one in made if isinstance(one, Dropped)]
    assert 0 < len(dropped) < 27 and all("no passage" in reason or "from another" in reason for reason in dropped)


def test_silence_is_refused_with_its_level(dig: Any) -> None:
    with pytest.raises(Invalid, match=r"is silent: .* raise its level"):
        dig(np.full((2, 5 * SAMPLE_RATE), 1e-6, np.float32))
    with pytest.raises(Invalid, match="nothing can be mined"):
        dig(np.full((2, 500), 0.1, np.float32))


def test_a_texture_is_told_from_those_of_nine_other_tracks(dig: Any) -> None:
    sources = tracks(10, 30.0, 22_050)
    prints = [fingerprint(audio) for audio in sources]
    hits, count = 0, 0
    for number, audio in enumerate(sources):
        for _, one in dig(audio, 22_050, pads=2, swells=3, clouds=2, hiss=2, flickers=2):
            if isinstance(one, Texture):
                hits, count = hits + (nearest(fingerprint(one.audio), prints) == number), count + 1
    assert count >= 105 and hits >= TOLD * count


TOLD = 0.85
"""Share of textures, flickers included, whose track is found; one in ten by chance. Measured: 0.92 to 0.98."""


def fingerprint(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum in dB in 32 bands, and amplitude by pitch class, at 22.05 kHz."""
    frames = np.lib.stride_tricks.sliding_window_view(audio.mean(axis=0), 4096)[::2048]
    power = sum((np.abs(np.fft.rfft(frame * np.hanning(4096))) ** 2 for frame in frames), np.zeros(2049))
    hertz = np.fft.rfftfreq(4096, 1 / 22_050)
    edges = np.searchsorted(hertz, np.geomspace(50, 10_000, 33))
    edges = np.maximum.accumulate(edges + np.arange(33) * (np.diff(edges, prepend=-1) <= 0))
    bands = np.add.reduceat(power[: edges[-1]], edges[:-1])
    tonal = (hertz > 80) & (hertz < 2500)
    classes = np.round(12 * np.log2(hertz[tonal] / 440)).astype(int) % 12
    return 10 * np.log10(bands / bands.sum() + 1e-9), np.bincount(classes, np.sqrt(power[tonal]), 12)


def nearest(one: tuple[np.ndarray, np.ndarray], others: list[tuple[np.ndarray, np.ndarray]]) -> int:
    """The other whose spectrum and chroma, each beside their mean over all, correlate best."""
    common = np.mean([chroma / np.linalg.norm(chroma) for _, chroma in others], axis=0)
    mine_ = one[1] / np.linalg.norm(one[1]) - common
    bands = np.array([1 - np.corrcoef(one[0], other)[0, 1] for other, _ in others])
    chromas = np.array([1 - np.corrcoef(mine_, chroma / np.linalg.norm(chroma) - common)[0, 1] for _, chroma in others])
    return int(np.argmin(bands / bands.mean() + chromas / chromas.mean()))
