"""Audio files: what is written is read again, and what is wrong is said."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from handlers.audio import files
from handlers.audio.formats import encoding
from handlers.contract import Invalid, Transient
from tests.fixtures.sound import integers, noise, tone

RATE = 44_100


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "mp3", "ogg", "opus"])
def test_every_format_is_read_again_with_its_exact_length(tmp_path: Path, suffix: str) -> None:
    rate = 48_000 if suffix == "opus" else RATE
    audio = tone(440, 1.2345, rate)
    path = tmp_path / f"a.{suffix}"
    files.write(path, audio, rate)
    again, again_rate = files.read(path)
    assert (again.shape, again_rate, again.dtype) == (audio.shape, rate, np.float32)
    # A lossy tone is still that tone, at its place.
    assert np.sqrt(np.mean((again - audio)[:, 4000:-4000] ** 2)) < 0.02
    info = files.probe(path)
    assert (info.frames, info.channels, info.sample_rate) == (audio.shape[1], 2, rate)
    assert info.duration_s == pytest.approx(audio.shape[1] / rate)


@pytest.mark.parametrize(("suffix", "bits"), [("wav", 16), ("wav", 24), ("flac", 16), ("flac", 24), ("aiff", 24)])
def test_integer_samples_survive_reading_and_writing(tmp_path: Path, suffix: str, bits: int) -> None:
    samples = integers(70_000, bits)
    sf.write(tmp_path / f"a.{suffix}", samples.T, RATE, subtype=f"PCM_{bits}")
    audio, _ = files.read(tmp_path / f"a.{suffix}")
    files.write(tmp_path / f"b.{suffix}", audio, RATE, subtype=f"PCM_{bits}")
    assert np.array_equal(sf.read(tmp_path / f"b.{suffix}", dtype="int32")[0].T, samples)


def test_32_bit_samples_survive_in_double_precision(tmp_path: Path) -> None:
    samples = integers(5_000, 32)
    sf.write(tmp_path / "a.wav", samples.T, RATE, subtype="PCM_32")
    with files.Reader(tmp_path / "a.wav", dtype="float64") as reader:
        files.write(tmp_path / "b.wav", reader.read(5_000), RATE, subtype="PCM_32")
    assert np.array_equal(sf.read(tmp_path / "b.wav", dtype="int32")[0].T, samples)


def test_what_passes_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", np.array([[1.5, -1.5, 0.0]], np.float32), RATE, subtype="PCM_16")
    assert sf.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [32767, -32768, 0]


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_blocks_are_the_whole_file(tmp_path: Path, suffix: str) -> None:
    files.write(tmp_path / f"a.{suffix}", noise(4), RATE)
    whole, _ = files.read(tmp_path / f"a.{suffix}")
    with files.Reader(tmp_path / f"a.{suffix}") as reader:
        assert np.array_equal(np.concatenate(list(reader.blocks(10_007)), axis=1), whole)
        for start in (0, 1, 44_100, 100_003):
            reader.seek(start)
            assert np.array_equal(reader.read(9_000), whole[:, start : start + 9_000])


def test_more_than_a_minute_of_ogg_is_written_in_one_call(tmp_path: Path) -> None:
    files.write(tmp_path / "a.ogg", tone(220, 65, 8_000), 8_000)
    assert files.probe(tmp_path / "a.ogg").frames == 65 * 8_000


def test_lossy_settings_reach_the_encoder(tmp_path: Path) -> None:
    audio = noise(6)

    def kbps(name: str, **setting: float) -> float:
        path = tmp_path / name
        files.write(path, audio, RATE, how=encoding(path, **setting))
        return path.stat().st_size * 8 / 6 / 1000

    assert kbps("a.mp3", kbps=192) == pytest.approx(192, rel=0.02)
    assert kbps("b.mp3", kbps=96) == pytest.approx(96, rel=0.02)
    assert kbps("c.mp3", vbr=0) > 1.3 * kbps("d.mp3", vbr=5)
    assert kbps("e.ogg", quality=8) > 1.3 * kbps("f.ogg", quality=3)


def test_tags_are_in_the_file(tmp_path: Path) -> None:
    for suffix in ("wav", "flac", "mp3", "ogg"):
        path = tmp_path / f"a.{suffix}"
        files.write(path, tone(440, 0.5), RATE, tags={"title": "Nachtübung", "artist": "Drophammer"})
        with sf.SoundFile(path) as file:
            assert (file.title, file.artist) == ("Nachtübung", "Drophammer")


def test_reading_converts_rate_and_channels(tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", tone(440, 1, 22_050) * np.array([[1.0], [0.0]], np.float32), 22_050)
    audio, rate = files.read(tmp_path / "a.wav", sample_rate=44_100, mono=True)
    assert (audio.shape, rate) == ((1, 44_100), 44_100)
    assert np.abs(audio - 0.5 * tone(440, 1, channels=1))[:, 500:-500].max() < 1e-4


def _write_truncated(path: Path, share: float = 0.5) -> None:
    files.write(path, noise(3), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.wav", None, "no such file"),
        ("song.m4a", b"....ftypM4A ", r"\.m4a audio cannot be read here; convert it to \.flac"),
        ("notes.txt", b"hello", "'.txt' cannot be read"),
        ("empty.wav", b"", "cannot be read as audio"),
        ("liar.flac", b"this is a letter, not music" * 40, "cannot be read as audio"),
    ],
)
def test_what_is_no_audio_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=message) as caught:
        files.read(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3"])
def test_a_truncated_file_is_refused_with_its_place(tmp_path: Path, suffix: str) -> None:
    _write_truncated(tmp_path / f"half.{suffix}")
    with pytest.raises(Invalid, match=rf"half\.{suffix}: (holds \d+ of|ends after 1\.|cannot be decoded somewhere after)"):
        files.read(tmp_path / f"half.{suffix}")


def test_a_file_without_frames_is_refused(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros((0, 2)), RATE)
    with pytest.raises(Invalid, match="holds 0 frames"):
        files.probe(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_refused_with_its_place(tmp_path: Path, value: float) -> None:
    audio = tone(440, 2)
    audio[1, 66_150] = value
    sf.write(tmp_path / "a.wav", audio.T, RATE, subtype="FLOAT")
    with pytest.raises(Invalid, match=r"holds (nan|inf) at 1\.5000 s, channel 2"):
        files.read(tmp_path / "a.wav")
    with pytest.raises(Invalid, match="NaN or infinity"):
        files.write(tmp_path / "b.wav", audio, RATE)


def test_requests_that_no_format_can_honour_are_refused(tmp_path: Path) -> None:
    audio = tone(440, 0.1)
    for call, message in [
        (lambda: files.write(tmp_path / "a.m4a", audio, RATE), r"'\.m4a' is not one of"),
        (lambda: files.write(tmp_path / "a.mp3", audio, 96_000), "mp3 cannot hold 96000 Hz"),
        (lambda: files.write(tmp_path / "a.opus", audio, RATE), "opus cannot hold 44100 Hz"),
        (lambda: files.write(tmp_path / "a.flac", audio, RATE, subtype="FLOAT"), "flac"),
        (lambda: files.write(tmp_path / "a.wav", audio, RATE, tags={"mood": "dark"}), "unknown tag 'mood'"),
        (lambda: encoding("a.ogg", kbps=192), "kbps: 192 is a setting of mp3"),
        (lambda: encoding("a.mp3", kbps=500), "kbps: 500 is outside 32..320"),
    ]:
        with pytest.raises(Invalid, match=message):
            call()


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow over 100 kB, as on a disk with no room left."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_full_disk_is_the_worlds_fault(tmp_path: Path, small_disk: None, suffix: str) -> None:
    with pytest.raises(Transient, match="is the disk full"):
        files.write(tmp_path / f"a.{suffix}", noise(12), RATE)


def test_a_missing_folder_is_the_worlds_fault(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="cannot be created"):
        files.write(tmp_path / "gone" / "a.wav", noise(0.1), RATE)
