"""Targets: what a digital audio workstation, a Roland TR-8S or a game is given.

==== ====== ======================= ======== ======================= ====================================
pack suffix rate                    channels bits                    loops
==== ====== ======================= ======== ======================= ====================================
none .wav   source's, or profile's  source's profile's               whole file, `smpl` chunk
daw  .wav   44.1 or 48 kHz          2        24                      whole file, `smpl` chunk
tr8s .wav   44.1 kHz                1        24                      whole bars: it reads no loop points
game .ogg   44.1 or 48 kHz          source's Vorbis, quality 8       whole file, in the JSON index
==== ====== ======================= ======== ======================= ====================================

What a TR-8S holds is kept in :mod:`handlers.textures.wanted`, before anything is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import fft

from handlers.audio.delivery.loop_points import write_loop
from handlers.audio.delivery.lossy import write_under
from handlers.audio.files import write
from handlers.audio.formats import encoding
from handlers.audio.levels import find_true_peak
from handlers.audio.resample import resample
from handlers.textures.params import Pack
from handlers.textures.profiles import Output
from handlers.textures.wanted import TR8S_RATE

PEAK_MARGIN_DB = 0.1
"""Under the peak that is asked for, for meters that read more."""
GAME_QUALITY = 8.0
"""Of Vorbis. Its noise breaks off at a loop's seam: of 54 textures of a set and of made-up music 14 no longer met at
6, 4 at 8, 3 at 10 (pads of pure tones)."""


@dataclass(frozen=True)
class Target:
    """How the files of one pack are made."""

    pack: Pack | None
    suffix: str
    subtype: str
    channels: int | None
    """`None`: as many as the source has."""
    sample_rate: int | None
    """`None`: what :meth:`rate_for` finds."""

    def rate_for(self, source_rate: int) -> int:
        """Hz of the files of a source at `source_rate`."""
        if self.sample_rate:
            return self.sample_rate
        if self.pack in ("daw", "game"):
            return 48_000 if source_rate % 8_000 == 0 else 44_100
        return source_rate


def target_of(pack: Pack | None, output: Output) -> Target:
    """Return the target; what a pack demands wins over the profile."""
    subtype = "FLOAT" if output.bits == 32 else f"PCM_{output.bits}"
    match pack:
        case "daw":
            rate = output.sample_rate if output.sample_rate in (44_100, 48_000) else None
            return Target(pack, ".wav", "PCM_24", 2, rate)
        case "tr8s":
            return Target(pack, ".wav", "PCM_24", 1, TR8S_RATE)
        case "game":
            return Target(pack, ".ogg", "VORBIS", None, output.sample_rate)
    return Target(None, ".wav", subtype, None, output.sample_rate)


def convert(audio: np.ndarray, sample_rate: int, target: Target, *, loop: bool, peak_dbtp: float) -> np.ndarray:
    """Bring a texture to the target's channels and rate; its true peak stays under `peak_dbtp`.

    A loop is resampled as the endless sound it is, so its seam stays whole.

    Parameters
    ----------
    audio
        float32 ``(channels, samples)``, full scale ±1.
    sample_rate
        Hz.
    """
    rate, channels = target.rate_for(sample_rate), target.channels or audio.shape[0]
    if rate == sample_rate and channels == audio.shape[0]:
        return audio
    if channels == 1:
        audio = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    elif audio.shape[0] == 1:
        audio = np.repeat(audio, channels, axis=0)
    elif channels != audio.shape[0]:
        audio = np.stack([audio[side::2].mean(axis=0, dtype=np.float32) for side in (0, 1)])
    if rate != sample_rate:
        length = round(audio.shape[1] * rate / sample_rate)
        audio = _resample_circle(audio, length) if loop else resample(audio, sample_rate, rate)
        audio = np.ascontiguousarray(audio, np.float32)
    excess_db = find_true_peak(audio, rate) - (peak_dbtp - PEAK_MARGIN_DB)
    return audio * np.float32(10 ** (-excess_db / 20)) if np.isfinite(excess_db) else audio


def _resample_circle(loop: np.ndarray, length: int) -> np.ndarray:
    """The same loop in another number of samples. (scipy.signal has this too, and takes half a second to import.)"""
    spectra = fft.rfft(loop, axis=1)[:, : (min(length, loop.shape[1]) + 1) // 2]
    return fft.irfft(spectra, n=length, axis=1) * np.float32(length / loop.shape[1])


def save(
    path: Path,
    audio: np.ndarray,
    sample_rate: int,
    target: Target,
    *,
    loop: bool,
    peak_dbtp: float,
    tags: dict[str, str],
) -> None:
    """Write one texture in its target's format, with loop points where the format has them.

    Parameters
    ----------
    path
        The file; its suffix is the target's.
    audio, sample_rate
        float32 ``(channels, samples)`` as :func:`convert` returned it, and its rate in Hz.
    """
    if target.suffix == ".ogg":
        how = encoding(path, quality=GAME_QUALITY)
        write_under(path, audio, sample_rate, peak_dbtp, how=how, tags=tags)
        return
    write(path, audio, sample_rate, subtype=target.subtype, tags=tags)
    if loop and target.pack != "tr8s":
        write_loop(path, 0, audio.shape[1] - 1, sample_rate)
