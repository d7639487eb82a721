"""What a recording's file says of itself: length, rate, channels, how it is coded, and whether it is whole.

A file that cannot be used is told by an :class:`~handlers.contract.Invalid` whose message does not repeat its path.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from handlers.audio.formats import PCM_BITS
from handlers.audio.reader import AudioInfo, Reader, probe
from handlers.contract import Invalid

ENDS, PLACE, PLACES = 1 << 14, 1 << 12, 16
"""Bytes of the quick hash: of each end, and of each of so many places between."""
CODECS = {"VORBIS": "vorbis", "OPUS": "opus", "FLOAT": "float", "DOUBLE": "float"}
BITS = {**PCM_BITS, "FLOAT": 32, "DOUBLE": 64}
_TAIL = 1 << 17
"""An Ogg page is at most 65,307 bytes long (RFC 3533), so that this holds the last one whole."""


def describe(path: str) -> dict[str, Any]:
    """Read a file's header.

    Returns
    -------
    dict
        duration_sec, sample_rate, channels, codec, bit_depth (`None` where a codec has no such thing).
    """
    with _without_path(path):
        info = probe(path)
    return {
        "duration_sec": round(info.duration_s, 2),
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "codec": codec_of(info),
        "bit_depth": BITS.get(info.subtype),
    }


def codec_of(info: AudioInfo) -> str:
    """`flac`, `mp3`, `vorbis`, `opus`, `pcm`, `float`, or libsndfile's word for a rare one."""
    if info.format in ("FLAC", "MP3"):
        return info.format.lower()
    return "pcm" if info.subtype in PCM_BITS else CODECS.get(info.subtype, info.subtype.lower())


def verify(path: str, pulse: Callable[[], None]) -> None:
    """Decode a file to its end.

    Raises
    ------
    Invalid
        When it is damaged, holds NaN, or stops before its end: also an OGG, of which decoders say nothing.
    """
    with _without_path(path), Reader(path) as reader:
        for _ in reader.blocks(1 << 18):
            pulse()
    if path.lower().endswith((".ogg", ".oga", ".opus")):
        with open(path, "rb") as file:
            _check_last_page(file.read, file.seek, os.fstat(file.fileno()).st_size)


def _check_last_page(read: Callable[[int], bytes], seek: Callable[[int], int], size: int) -> None:
    """See that the last Ogg page is whole and says that it is the last (RFC 3533, section 6)."""
    seek(max(0, size - _TAIL))
    tail = read(_TAIL)
    page = tail.rfind(b"OggS\x00")
    header = tail[page : page + 27] if page >= 0 else b""
    lengths = tail[page + 27 : page + 27 + header[26]] if len(header) == 27 else b""
    whole = len(header) == 27 and len(lengths) == header[26] and len(tail) >= page + 27 + header[26] + sum(lengths)
    if not whole or not header[5] & 4:
        raise Invalid("stops before the end of its stream: the file is truncated; copy it again")


@contextmanager
def _without_path(path: str) -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        raise Invalid(str(error).removeprefix(f"{path}: ")) from error


def hash_content(path: str, size_bytes: int, kind: str) -> str:
    """Return ``sha256:`` and the hash of every byte, or ``quick:`` and one of the length, both ends and places between.

    Two files of unlike quick hash differ. Files of equal length that differ only between the places share one: 887 MB
    of music take 1.2 s to hash whole, and a catalogue should take a fraction of that.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        if kind == "sha256":
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        digest = hashlib.sha256(size_bytes.to_bytes(8))
        descriptor = file.fileno()
        gap = (size_bytes - 2 * ENDS) // PLACES
        if gap <= PLACE:
            digest.update(os.pread(descriptor, 2 * ENDS + PLACES * (PLACE + 1), 0))
        else:
            digest.update(os.pread(descriptor, ENDS, 0))
            for place in range(PLACES):
                digest.update(os.pread(descriptor, PLACE, ENDS + place * gap + gap // 2))
            digest.update(os.pread(descriptor, ENDS, size_bytes - ENDS))
        return f"quick:{digest.hexdigest()[:32]}"
