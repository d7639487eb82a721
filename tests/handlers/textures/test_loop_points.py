"""Loop points in WAV files, read back by a reader of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from handlers.audio import files
from handlers.audio.delivery.loop_points import write_loop
from handlers.contract import Invalid
from tests.fixtures.sound import noise
from tests.handlers.textures.materials import read_chunks, read_loop


@pytest.mark.parametrize(
    ("subtype", "channels", "frames"), [("PCM_16", 1, 4410), ("PCM_24", 1, 4411), ("PCM_24", 2, 999), ("FLOAT", 8, 77)]
)
def test_a_loop_is_read_back_and_the_sound_is_untouched(
    tmp_path: Path, subtype: str, channels: int, frames: int
) -> None:
    path = tmp_path / "a.wav"
    files.write(path, noise(1.0, channels=channels)[:, :frames], 44_100, subtype=subtype, tags={"title": "odd"})
    before, sound = read_chunks(path), soundfile.read(path)[0]
    write_loop(path, 5, frames - 1, 44_100)
    after = read_chunks(path)
    assert read_loop(path) == (5, frames - 1)
    assert {name: chunk for name, chunk in after.items() if name != b"smpl"} == before
    assert (soundfile.read(path)[0] == sound).all()
    with soundfile.SoundFile(path) as file:
        assert file.title == "odd" and "smpl" in file.extra_info


def test_what_cannot_carry_a_loop_is_refused_untouched(tmp_path: Path) -> None:
    wav, flac = tmp_path / "a.wav", tmp_path / "a.flac"
    for path in (wav, flac):
        files.write(path, noise(0.1), 44_100)
    whole = wav.read_bytes(), flac.read_bytes()
    for path, first, last, reason in (
        (flac, 0, 99, "is no RIFF WAVE"),
        (wav, 0, 4410, "outside its 4410 samples"),
        (wav, 9, 9, "from sample 9 to 9"),
        (wav, -1, 9, "from sample -1"),
    ):
        with pytest.raises(Invalid, match=reason):
            write_loop(path, first, last, 44_100)
    assert (wav.read_bytes(), flac.read_bytes()) == whole
    write_loop(wav, 0, 4409, 44_100)
    with pytest.raises(Invalid, match="has loop points already"):
        write_loop(wav, 0, 4409, 44_100)
