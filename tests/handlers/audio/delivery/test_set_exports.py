"""What other programs read of a set, read back by readers that are not ours: times agree within a frame."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cueparser
import imageio_ffmpeg
import mutagen
import numpy as np
import opentimelineio as otio
import pytest
import rpp
import soundfile as sf

from handlers.audio import files
from handlers.audio.delivery.acid import write_acid
from handlers.audio.delivery.chapters import Chapter, embed_chapters, write_ffmetadata
from handlers.audio.delivery.choices import FormatChoice
from handlers.audio.delivery.cue_sheet import CueTrack, cue_time, write_cue_sheet
from handlers.audio.delivery.edl import Cut, write_edl
from handlers.audio.delivery.encode import encoding_of
from handlers.audio.delivery.opus import writer_of
from handlers.audio.delivery.reaper import ReaperItem, write_reaper
from handlers.audio.formats import OPUS_RATES
from handlers.contract import Invalid
from tests.fixtures.sound import noise, tone

RATE = 44_100
CHAPTERS = [Chapter(0.0, 1.25, "Öpening = #1"), Chapter(1.25, 2.7183, "two; b\\c"), Chapter(2.7183, 4.0, "[last]")]
SF_GET_LOOP_INFO = 0x10E0


def test_a_cue_sheet_is_read_with_its_times(tmp_path: Path) -> None:
    tracks = [CueTrack(0.0, "One", "Me"), CueTrack(61.5, 'Two "b"', "Me"), CueTrack(7325.013, "Late")]
    write_cue_sheet(tmp_path / "a.cue", "a b.flac", tracks, title="Set", performer="Me")
    sheet = cueparser.CueSheet()
    sheet.setOutputFormat("%title%", "%title%")
    sheet.setData((tmp_path / "a.cue").read_text(encoding="utf-8"))
    sheet.parse()
    assert (sheet.title, sheet.performer, sheet.file) == ("Set", "Me", "a b.flac")
    assert [track.title for track in sheet.tracks] == ["One", "Two 'b'", "Late"]
    for track, wanted in zip(sheet.tracks, tracks, strict=True):
        minutes, seconds, frames = map(int, track.offset.split(":"))
        assert minutes * 60 + seconds + frames / 75 == pytest.approx(wanted.start_s, abs=0.51 / 75)
    assert cue_time(59.999) == "01:00:00"


def test_an_edl_is_read_by_opentimelineio_on_the_frame(tmp_path: Path) -> None:
    cuts = [Cut(0.0, "a intro"), Cut(3.337, "b: drop"), Cut(3.339, "too near"), Cut(3700.5, "late")]
    write_edl(tmp_path / "a.edl", cuts, 3725.25, title="Set", audio_name="set.wav")
    timeline = otio.adapters.read_from_file(str(tmp_path / "a.edl"), rate=25)
    clips = [clip for track in timeline.audio_tracks() for clip in track]
    assert timeline.name == "Set"
    # One event on both channels is a clip on each.
    first = clips[: len(clips) // len(timeline.audio_tracks())]
    assert [clip.name for clip in first] == ["a intro", "b: drop", "late"]
    starts = [clip.source_range.start_time.to_seconds() for clip in first]
    assert starts == pytest.approx([0.0, 3.337, 3700.5], abs=0.5 / 25)
    assert first[-1].source_range.end_time_exclusive().to_seconds() == pytest.approx(3725.25, abs=0.5 / 25)
    with pytest.raises(ValueError, match="1200 cuts"):
        write_edl(tmp_path / "b.edl", [Cut(n, "x") for n in range(1200)], 1200, title="", audio_name="")


def ffmpeg_chapters(path: Path) -> list[tuple[float, str]]:
    """Starts and titles as ffmpeg reads them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "ffmetadata", "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = []
    for block in text.split("[CHAPTER]")[1:]:
        fields = dict(line.split("=", 1) for line in block.strip().splitlines())
        top, bottom = map(int, fields["TIMEBASE"].split("/"))
        title = fields["title"].replace("\\", "") if "\\\\" not in fields["title"] else fields["title"]
        found.append((int(fields["START"]) * top / bottom, title))
    return found


def test_chapters_beside_a_file_are_read_by_ffmpeg(tmp_path: Path) -> None:
    write_ffmetadata(tmp_path / "chapters.txt", CHAPTERS, title="a=b")
    found = ffmpeg_chapters(tmp_path / "chapters.txt")
    assert [start for start, _ in found] == pytest.approx([one.start_s for one in CHAPTERS], abs=0.001)
    assert [title for _, title in found] == ["Öpening = #1", "two\\; b\\\\c", "[last]"]


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus"])
def test_chapters_inside_a_file_are_read_and_its_sound_is_untouched(tmp_path: Path, suffix: str) -> None:
    rate = 48_000 if suffix == "opus" else RATE
    path = tmp_path / f"a.{suffix}"
    files.write(path, noise(4.0, rate), rate, tags={"title": "Sét", "artist": "Me"})
    before, _ = sf.read(path)
    many = [Chapter(one.start_s + n / 100, 4.0, one.title) for n in range(40) for one in CHAPTERS]
    chapters = sorted(many)[:120] if suffix != "mp3" else CHAPTERS
    assert embed_chapters(path, chapters, {"title": "Sét", "artist": "Me"})
    after, _ = sf.read(path)
    np.testing.assert_array_equal(before, after)
    read = mutagen.File(path)
    if suffix == "mp3":
        frames = sorted(read.tags.getall("CHAP"), key=lambda frame: frame.start_time)
        starts = [frame.start_time / 1000 for frame in frames]
        titles = [frame.sub_frames["TIT2"].text[0] for frame in frames]
        assert read.tags["CTOC:toc"].child_element_ids == ["ch1", "ch2", "ch3"]
        assert (read.tags["TIT2"].text, read.tags["TPE1"].text) == (["Sét"], ["Me"])
    else:
        times = [read[f"CHAPTER{number:03d}"][0].split(":") for number in range(1, len(chapters) + 1)]
        starts = [int(hours) * 3600 + int(minutes) * 60 + float(seconds) for hours, minutes, seconds in times]
        titles = [read[f"CHAPTER{number:03d}NAME"][0] for number in range(1, len(chapters) + 1)]
        assert (read["title"], read["artist"]) == (["Sét"], ["Me"])
    assert starts == pytest.approx([one.start_s for one in chapters], abs=0.001)
    assert titles == [one.title for one in chapters]
    # ffmpeg counts an MP3's chapters from where its encoder's delay ends: a frame of MP3 earlier.
    within = 0.0262 if suffix == "mp3" else 0.0011
    assert [start for start, _ in ffmpeg_chapters(path)] == pytest.approx(starts, abs=within)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_more_chapters_than_a_page_of_ogg_holds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    files.write(path, noise(3.0, 48_000), 48_000)
    before, _ = sf.read(path)
    chapters = [Chapter(n / 1000, n / 1000, "x" * 100) for n in range(900)]
    embed_chapters(path, chapters, {})
    np.testing.assert_array_equal(before, sf.read(path)[0])
    assert mutagen.File(path)["CHAPTER900NAME"] == ["x" * 100]


def test_a_wav_has_no_chapters_and_a_false_suffix_is_named(tmp_path: Path) -> None:
    files.write(tmp_path / "a.wav", tone(440, 0.1), RATE)
    assert not embed_chapters(tmp_path / "a.wav", CHAPTERS, {})
    for suffix, message in (("flac", "is no FLAC"), ("ogg", "no OGG page")):
        (tmp_path / "a.wav").rename(tmp_path / f"a.{suffix}")
        with pytest.raises(Invalid, match=message):
            embed_chapters(tmp_path / f"a.{suffix}", CHAPTERS, {})
        (tmp_path / f"a.{suffix}").rename(tmp_path / "a.wav")


def test_a_tempo_is_read_by_libsndfile(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    files.write(path, tone(440, 1.0), RATE)
    before, _ = sf.read(path)
    write_acid(path, 127.5, 16, meter=(3, 4))
    np.testing.assert_array_equal(before, sf.read(path)[0])
    with sf.SoundFile(path) as file:
        # SF_LOOP_INFO: numerator and denominator (short), mode, beats, tempo (float), root key, six reserved.
        info = sf._ffi.new("int[12]")
        assert sf._snd.sf_command(file._file, SF_GET_LOOP_INFO, info, 44)
        raw = bytes(sf._ffi.buffer(info))
    assert (int.from_bytes(raw[0:2], "little"), int.from_bytes(raw[2:4], "little")) == (3, 4)
    assert int.from_bytes(raw[8:12], "little") == 16
    assert np.frombuffer(raw[12:16], "<f4")[0] == pytest.approx(127.5)


def test_a_reaper_project_is_read_with_places_fades_and_stretches(tmp_path: Path) -> None:
    items = [
        ReaperItem('a "b"', "/x/a b.flac", 0.0, 10.0, 0.0, 0.0, 4.0, 0.5),
        ReaperItem("c", "c.mp3", 6.0, 8.5, 1.25, 4.0, 0.0, 1.0, [(0.0, 0.0), (2.0, 2.1)]),
    ]
    write_reaper(
        tmp_path / "a.rpp", items, sample_rate=RATE, tempi=[(0.0, 128.0), (7.5, 130.0)], markers=[(6.0, "it's")]
    )
    project = rpp.loads((tmp_path / "a.rpp").read_text(encoding="utf-8"))
    tracks = project.findall("TRACK")
    assert [track.find("NAME")[1] for track in tracks] == ['a "b"', "c"]
    for track, wanted in zip(tracks, items, strict=True):
        item = track.find("ITEM")
        for name, value in (("POSITION", wanted.start_s), ("LENGTH", wanted.length_s), ("SOFFS", wanted.offset_s)):
            assert float(item.find(name)[1]) == pytest.approx(value)
        assert float(item.find("FADEIN")[2]) == wanted.fade_in_s
        assert float(item.find("VOLPAN")[1]) == wanted.gain
        assert item.find("SOURCE").find("FILE")[1] == wanted.path
    assert [float(one) for one in tracks[1].find("ITEM").find("SM")[1:] if one != "+"] == [0.0, 0.0, 2.0, 2.1]
    assert [float(point[1]) for point in project.find("TEMPOENVEX").findall("PT")] == [0.0, 7.5]
    assert float(project.find("MARKER")[2]) == 6.0


@pytest.mark.parametrize(("kbps", "rate"), [(64, 44_100), (128, 48_000), (192, 96_000)])
def test_opus_takes_any_rate_and_about_its_bits(tmp_path: Path, kbps: int, rate: int) -> None:
    path = tmp_path / "a.opus"
    how = encoding_of(FormatChoice.model_validate({"opus": {"kbps": kbps}}))
    sound = tone(440, 4.0, rate) + noise(4.0, rate, level_db=-40)
    with writer_of(path, rate, 2, how, {"title": "x"}) as writer:
        for start in range(0, sound.shape[1], 10_000):
            writer.write(sound[:, start : start + 10_000])
    audio, read_rate = files.read(path)
    assert read_rate in OPUS_RATES and audio.shape[1] == 4 * 48_000
    assert np.abs(audio[0] - tone(440, 4.0, 48_000)[0])[1000:-1000].max() < 0.12
    assert path.stat().st_size * 8 / 4 == pytest.approx(kbps * 1000, rel=0.35)
