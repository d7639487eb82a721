"""The audio formats this house reads and writes, and how their settings reach the encoders.

Light: no numpy, no soundfile. A format is named by its suffix (`.wav`, `.mp3`); an :class:`Encoding` is everything
libsndfile must be told to write it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from handlers.contract import Invalid

READABLE = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".flac", ".mp3", ".ogg", ".oga", ".opus"}
    | {".aiff", ".aif", ".aifc", ".caf", ".au"}
)
"""Suffixes that libsndfile decodes."""

UNSUPPORTED = frozenset(
    {".m4a", ".wma", ".aac", ".mp4", ".m4b", ".ape", ".wv", ".mpc", ".dsf", ".dff", ".ac3", ".amr", ".mka", ".webm"}
)
"""Suffixes of audio that is music to a person and unreadable here; named in errors with what to convert to."""

BLOCK = 65_536
"""Frames handed to libsndfile at once. A long array written to OGG Vorbis in one call crashes it (60 s and up)."""

TAGS = ("title", "artist", "album", "comment", "date", "genre", "license", "software", "tracknumber", "copyright")
"""Tags that libsndfile writes."""

PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
"""Bits of each integer subtype."""

MAX_RATE = {".mp3": 48_000, ".flac": 655_350, ".ogg": 200_000}
"""Highest sample rate of each format that has one, in Hz: MPEG-1 layer III, the FLAC header, libvorbis."""
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
OPUS_KBPS = (6, 256)
"""Lowest and highest bit rate of one channel in kbit/s, which libsndfile's 0..1 scale spans."""
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
MP3_KBPS = (32, 320)
"""Lowest and highest constant bit rate of MPEG-1 layer III in kbit/s, which libsndfile's 0..1 scale spans."""

WAV_LIMIT_BYTES = 2**32 - 2**16
"""A RIFF file counts its bytes in 32 bits; some room is left for headers and tags."""

_FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".aif": ("AIFF", "PCM_24"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
}


@dataclass(frozen=True)
class Encoding:
    """What libsndfile is told: format, subtype, and for lossy formats its 0..1 compression level and rate mode."""

    format: str
    subtype: str
    compression_level: float | None = None
    bitrate_mode: str | None = None

    @property
    def bits(self) -> int | None:
        """Bits of an integer PCM sample; `None` for floating point and lossy formats."""
        return PCM_BITS.get(self.subtype)


def encoding(
    path: Path | str,
    *,
    subtype: str | None = None,
    kbps: int | None = None,
    vbr: float | None = None,
    quality: float | None = None,
) -> Encoding:
    """Choose the encoding of a file by its suffix.

    Parameters
    ----------
    path
        Only its suffix is looked at: .wav .flac .aiff .aif .mp3 .ogg .opus
    subtype
        A libsndfile subtype such as ``PCM_16`` or ``FLOAT``; default ``PCM_24`` where samples are kept.
    kbps
        MP3: constant bit rate, 32..320 kbit/s. Opus: variable, about so many of a stereo file, 24..256.
    vbr
        MP3: LAME's variable quality, 0 (best) .. 9.
    quality
        OGG Vorbis: 0 .. 10 (best).

    Raises
    ------
    Invalid
        For a suffix that cannot be written, or a setting that the format does not have.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise Invalid(f"cannot write {str(path)!r}: {suffix or 'no suffix'!r} is not one of {', '.join(_FORMATS)}")
    major, default = _FORMATS[suffix]
    for name, value, homes in (("kbps", kbps, (".mp3", ".opus")), ("vbr", vbr, (".mp3",)), ("quality", quality, (".ogg",))):
        if value is not None and suffix not in homes:
            owners = " and ".join(home[1:] for home in homes)
            raise Invalid(f"{name}: {value} is a setting of {owners}, not of {suffix[1:]}; remove it")
    if kbps is not None and vbr is not None:
        raise Invalid(f"mp3: kbps ({kbps}) and vbr ({vbr}) exclude each other; keep one")
    # The scales are libsndfile's own: mpeg_l3_encode.c, ogg_vorbis.c and ogg_opus.c; checked by the tests' bit rates.
    if kbps is not None and suffix == ".opus":
        low, high = OPUS_KBPS
        return Encoding(major, default, (high - _inside("kbps", kbps, 24, 256) / 2) / (high - low))
    if kbps is not None:
        low, high = MP3_KBPS
        return Encoding(major, default, (high - _inside("kbps", kbps, low, high)) / (high - low), "CONSTANT")
    if vbr is not None:
        return Encoding(major, default, _inside("vbr", vbr, 0, 9) / 10, "VARIABLE")
    if quality is not None:
        return Encoding(major, default, 1 - _inside("quality", quality, 0, 10) / 10)
    return Encoding(major, subtype or default)


def check_length(path: Path | str, how: Encoding, frames: int, channels: int) -> None:
    """Raise :class:`Invalid` if a WAV of so many frames would pass the 4 GiB it can count."""
    width = {"FLOAT": 4, "DOUBLE": 8}.get(how.subtype, (how.bits or 0) // 8)
    if how.format == "WAV" and frames * channels * width > WAV_LIMIT_BYTES:
        raise Invalid(f"{path}: {frames} frames are more than the 4 GiB that a WAV file holds; ask for flac instead")


def check_rate(path: Path | str, sample_rate: int) -> None:
    """Raise :class:`Invalid` if the format of `path` cannot hold `sample_rate` (Hz)."""
    suffix = Path(path).suffix.lower()
    allowed = {".mp3": MP3_RATES, ".opus": OPUS_RATES}.get(suffix)
    if (allowed and sample_rate not in allowed) or sample_rate > MAX_RATE.get(suffix, sample_rate):
        room = ", ".join(map(str, allowed)) if allowed else f"up to {MAX_RATE[suffix]}"
        raise Invalid(f"{suffix[1:]} cannot hold {sample_rate} Hz ({room}): set sample_rate: 48000 or 44100")


def _inside(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise Invalid(f"{name}: {value} is outside {low}..{high}")
    return value
