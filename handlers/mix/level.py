"""The level of a mix: one linear gain towards a loudness, and a limiter where peaks stand in its way. Nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from handlers.audio.loudness import Loudness

TOLERANCE_LU = 0.03
"""How near to the loudness asked for the gain is brought."""
ATTEMPTS = 6
"""How often the limited mix is listened to at most; two or three times are usual."""
MOST_DB = 18.0
"""More gain than this into the limiter is distortion, not level."""


@dataclass(frozen=True)
class Level:
    """What is done to a whole mix."""

    gain_db: float = 0.0
    limited: bool = False
    """The gain is followed by the limiter."""
    warning: str | None = None


def level_towards(measured: Loudness, loudness: float, ceiling: float, listen: Callable[[float], float]) -> Level:
    """Choose what brings a mix to a loudness with its peaks under a ceiling.

    Parameters
    ----------
    measured
        The mix before any gain.
    loudness
        Integrated, in LUFS.
    ceiling
        Highest true peak in dBTP.
    listen
        Returns the integrated loudness (LUFS) of the mix after a gain in dB and the limiter.
    """
    if not math.isfinite(measured.integrated_lufs):
        return Level(
            warning=f"loudness: {loudness:g} LUFS cannot be reached: the mix is silent or shorter than 0.4 s; level kept"
        )
    gain_db = loudness - measured.integrated_lufs
    if gain_db <= ceiling - measured.true_peak_dbtp:
        return Level(gain_db)
    most_db = max(gain_db, ceiling - measured.true_peak_dbtp + MOST_DB)
    reached = listen(gain_db)
    for _ in range(ATTEMPTS - 1):
        if abs(loudness - reached) <= TOLERANCE_LU or gain_db >= most_db:
            break
        # The louder it is played into the limiter, the less of it arrives: a little more than what is missing.
        gain_db = min(gain_db + 1.15 * (loudness - reached), most_db)
        reached = listen(gain_db)
    if abs(loudness - reached) <= 0.1:
        return Level(gain_db, True)
    return Level(
        gain_db,
        True,
        f"loudness: {reached:.1f} LUFS instead of {loudness:g}: the limiter would have to take away more than "
        f"{MOST_DB:g} dB to keep peaks under {ceiling:g} dBTP; ask for {math.floor(reached)}",
    )


def level_under(peak: float, ceiling: float) -> Level:
    """Choose the gain for a mix whose level was to stay: 0 dB, unless `peak` (full scale 1) would be clipped."""
    if peak <= 1.0:
        return Level()
    peak_db = 20 * math.log10(peak)
    gain_db = ceiling - peak_db
    return Level(
        gain_db,
        False,
        f"level: the pieces add up to {peak_db:+.1f} dBFS and would clip; the whole mix is {-gain_db:.1f} dB lower",
    )
