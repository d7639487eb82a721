"""Chapters: named places that players and podcast programs jump to, beside a file and inside it.

Beside: ffmpeg's metadata text (``ffmpeg -i mix.mp3 -i chapters.txt -map_metadata 1 -c copy out.mp3``). Inside: ID3v2.4
frames `CHAP` and `CTOC` (id3.org, ID3v2 Chapter Frame Addendum 1.0) in MP3, and ``CHAPTER001`` comments (Xiph wiki,
"Chapter Extension") in FLAC, OGG Vorbis and Opus. The sound is copied, byte for byte.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from handlers.contract import Invalid

_ID3_TEXT = {"title": b"TIT2", "artist": b"TPE1", "album": b"TALB", "genre": b"TCON", "date": b"TDRC",
             "software": b"TSSE", "copyright": b"TCOP"}  # fmt: skip
_FLAC_COMMENT, _LAST = 4, 0x80
_PAGE = struct.Struct("<4sBBqIIIB")
_SEGMENTS = 255


class Chapter(NamedTuple):
    """A named stretch, in seconds."""

    start_s: float
    end_s: float
    title: str


def write_ffmetadata(path: Path | str, chapters: Sequence[Chapter], *, title: str = "") -> None:
    """Write chapters as ffmpeg's metadata text, times in milliseconds."""
    lines = [";FFMETADATA1", *([f"title={_escaped(title)}"] if title else [])]
    for chapter in chapters:
        start, end = round(chapter.start_s * 1000), round(chapter.end_s * 1000)
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start}", f"END={end}", f"title={_escaped(chapter.title)}"]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def embed_chapters(path: Path, chapters: Sequence[Chapter], tags: Mapping[str, str]) -> bool:
    """Put chapters into a finished file; returns whether its format holds any (WAV has cue points instead).

    Parameters
    ----------
    path
        .mp3, .flac, .ogg or .opus, as :class:`~handlers.audio.writer.Writer` writes them.
    chapters
        In order.
    tags
        Of the file; an MP3 gets them once more as ID3v2, since libsndfile writes only what 30 letters hold.

    Raises
    ------
    Invalid
        When the file is not what its suffix says.
    """
    change = {".mp3": _mp3, ".flac": _flac, ".ogg": _ogg, ".opus": _ogg}.get(path.suffix.lower())
    if change is None:
        return False
    new = path.with_name(f".{path.name}.new")
    with open(path, "rb") as old, open(new, "wb") as file:
        change(old, file, chapters, tags)
        shutil.copyfileobj(old, file, 1 << 20)
    os.replace(new, path)
    return True


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\])", r"\\\1", " ".join(text.split()))


# --- MP3 --------------------------------------------------------------------------------------------------------------


def _mp3(old: BinaryIO, file: BinaryIO, chapters: Sequence[Chapter], tags: Mapping[str, str]) -> None:
    head = old.read(10)
    if head[:3] == b"ID3":
        old.seek(10 + _unsafe(head[6:10]))
    else:
        old.seek(0)
    body = b"".join(_frame(_ID3_TEXT[name], _text(value)) for name, value in tags.items() if name in _ID3_TEXT)
    if "comment" in tags:
        body += _frame(b"COMM", b"\x03eng\0" + tags["comment"].encode())
    if "license" in tags:
        body += _frame(b"TXXX", b"\x03license\0" + tags["license"].encode())
    names = [f"ch{number}".encode() + b"\0" for number in range(1, len(chapters) + 1)]
    # A table of contents counts its entries in one byte; the frames of all others are there nevertheless.
    listed = names[:255]
    body += _frame(b"CTOC", b"toc\0" + bytes([3, len(listed)]) + b"".join(listed))
    for name, chapter in zip(names, chapters, strict=True):
        times = struct.pack(">IIII", round(chapter.start_s * 1000), round(chapter.end_s * 1000), 0xFFFFFFFF, 0xFFFFFFFF)
        body += _frame(b"CHAP", name + times + _frame(b"TIT2", _text(chapter.title)))
    file.write(b"ID3\x04\0\0" + _safe(len(body)) + body)


def _text(value: str) -> bytes:
    return b"\x03" + value.encode()


def _frame(name: bytes, body: bytes) -> bytes:
    return name + _safe(len(body)) + b"\0\0" + body


def _safe(size: int) -> bytes:
    """Seven bits a byte, so that no size looks like the beginning of sound."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _unsafe(coded: bytes) -> int:
    return sum(byte << shift for byte, shift in zip(coded, (21, 14, 7, 0), strict=True))


# --- Vorbis comments --------------------------------------------------------------------------------------------------


def _comments(block: bytes, chapters: Sequence[Chapter]) -> bytes:
    """A block of Vorbis comments with chapters behind those it has."""
    vendor = struct.unpack_from("<I", block)[0]
    place = 4 + vendor
    count = struct.unpack_from("<I", block, place)[0]
    end = place + 4
    for _ in range(count):
        end += 4 + struct.unpack_from("<I", block, end)[0]
    added = b""
    for number, chapter in enumerate(chapters, 1):
        minutes, seconds = divmod(round(chapter.start_s * 1000) / 1000, 60)
        hours, minutes = divmod(int(minutes), 60)
        time = f"{hours:02d}:{minutes:02d}:{seconds:06.3f}"
        for line in (f"CHAPTER{number:03d}={time}", f"CHAPTER{number:03d}NAME={chapter.title}"):
            coded = line.encode()
            added += struct.pack("<I", len(coded)) + coded
    return block[:place] + struct.pack("<I", count + 2 * len(chapters)) + block[place + 4 : end] + added


def _flac(old: BinaryIO, file: BinaryIO, chapters: Sequence[Chapter], tags: Mapping[str, str]) -> None:
    if old.read(4) != b"fLaC":
        raise Invalid(f"{old.name}: is no FLAC file")
    blocks, last = [], False
    while not last:
        head = old.read(4)
        last, kind = bool(head[0] & _LAST), head[0] & ~_LAST
        blocks.append((kind, old.read(int.from_bytes(head[1:], "big"))))
    if not any(kind == _FLAC_COMMENT for kind, _ in blocks):
        blocks.append((_FLAC_COMMENT, struct.pack("<II", 0, 0)))
    file.write(b"fLaC")
    for number, (kind, body) in enumerate(blocks, 1):
        body = _comments(body, chapters) if kind == _FLAC_COMMENT else body
        file.write(bytes([kind | _LAST * (number == len(blocks))]) + len(body).to_bytes(3, "big") + body)


def _ogg(old: BinaryIO, file: BinaryIO, chapters: Sequence[Chapter], tags: Mapping[str, str]) -> None:
    """Write the header pages anew, as many as there were, so that what follows them can be copied."""
    first = next(_pages(old), None)
    if first is None:
        raise Invalid(f"{old.name}: is no OGG file")
    opus = b"OpusHead" in first[1][:8]
    packets, serial, pages = [b""], first[0][4], 0
    for _, body, lacing in _pages(old):
        pages += 1
        place = 0
        for size in lacing:
            packets[-1] += body[place : place + size]
            place += size
            if size < 255:
                packets.append(b"")
        # Both formats end their headers with a page: Opus has one packet more, Vorbis two.
        if len(packets) - 1 >= (1 if opus else 2):
            break
    mark = 8 if opus else 7
    comment = packets[0][:mark] + _comments(packets[0][mark:], chapters) + (b"" if opus else b"\x01")
    file.write(_page(first[0], first[1], first[2], 0))
    number = 1
    for lacing, body, whole, continued in _split([comment, *packets[1:-1]], pages):
        head = (b"OggS", 0, int(continued), 0 if whole else -1, serial, number, 0, len(lacing))
        file.write(_page(head, body, lacing, number))
        number += 1
    if number == pages + 1:
        return
    # Chapters that take another page: all later ones have new numbers, and so new checksums.
    for head, body, lacing in _pages(old):
        file.write(_page(head, body, lacing, number))
        number += 1


def _pages(file: BinaryIO) -> Iterator[tuple[tuple, bytes, bytes]]:
    while len(head := file.read(_PAGE.size)) == _PAGE.size:
        fields = _PAGE.unpack(head)
        if fields[0] != b"OggS":
            raise Invalid(f"{file.name}: is damaged at byte {file.tell() - len(head)}: no OGG page begins there")
        lacing = file.read(fields[-1])
        yield fields, file.read(sum(lacing)), lacing


def _split(packets: Sequence[bytes], pages: int) -> Iterator[tuple[bytes, bytes, bool, bool]]:
    """Packets on `pages` pages or more: sizes, bytes, whether a packet ends there, whether one comes from the page before."""
    segments: list[tuple[int, bytes]] = []
    for packet in packets:
        for place in range(0, len(packet) + 1, 255):
            part = packet[place : place + 255]
            segments.append((len(part), part))
    continued = False
    pages = max(pages, -(-len(segments) // _SEGMENTS))
    for page in range(pages):
        some = segments[page * len(segments) // pages : (page + 1) * len(segments) // pages]
        lacing = bytes(size for size, _ in some)
        yield lacing, b"".join(part for _, part in some), any(size < 255 for size in lacing), continued
        continued = lacing[-1] == 255


def _page(head: tuple, body: bytes, lacing: bytes, number: int) -> bytes:
    mark, version, kind, position, serial, _, _, _ = head
    bare = _PAGE.pack(mark, version, kind, position, serial, number, 0, len(lacing)) + lacing + body
    return bare[:22] + struct.pack("<I", _checksum(bare)) + bare[26:]


def _table() -> list[int]:
    found = []
    for value in range(256):
        value <<= 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        found.append(value)
    return found


_TABLE = _table()


def _checksum(page: bytes) -> int:
    """RFC 3533's CRC-32: not reflected, from 0."""
    value = 0
    for byte in page:
        value = (value << 8 ^ _TABLE[value >> 24 ^ byte]) & 0xFFFFFFFF
    return value
