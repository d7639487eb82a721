"""The level of a mix: a linear gain for each piece, one for the whole, and a limiter where peaks stand in its way.

Nothing else: no gain moves with the music but the limiter's, and how deep that went is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

TOLERANCE_LU = 0.03
"""How near to the loudness asked for the gain is brought."""
NEAR_LU = 0.15
"""What is missing less than this is made up for without another listening: a sixth of it is all that may stay."""
ATTEMPTS = 6
"""How often the limited mix is listened to at most; once or twice are usual."""
MOST_DB = 18.0
"""More gain than this into the limiter is distortion, not level."""
ROUNDING_DB = 0.01
"""Room under the ceiling for the rounding to integers."""
MOST_RAISED_DB = 20.0
"""A piece is raised by no more than this to match the others: what lies deeper is noise and room."""


@dataclass(frozen=True)
class Level:
    """What is done to a whole mix."""

    gain_db: float = 0.0
    limited: bool = False
    """The gain is followed by the limiter."""
    warning: str | None = None


def match_levels(known: Mapping[str, float], target: float | None) -> tuple[dict[str, float], list[str]]:
    """Choose the gain that brings each piece to one loudness.

    Parameters
    ----------
    known
        Integrated loudness of each piece in LUFS, as it will be heard; minus infinity for silence, and for what is
        shorter than the 0.4 s of one gating block of BS.1770.
    target
        In LUFS; default the median of the pieces.

    Returns
    -------
    gains
        In dB.
    remarks
        A sentence for every piece that stays apart from the others.
    """
    heard = [loudness for loudness in known.values() if math.isfinite(loudness)]
    if not heard:
        return dict.fromkeys(known, 0.0), []
    aim = median(heard) if target is None else target
    gains, remarks = {}, []
    for name, loudness in known.items():
        gains[name] = min(aim - loudness, MOST_RAISED_DB) if math.isfinite(loudness) else 0.0
        if not math.isfinite(loudness):
            remarks.append(f"{name}: silent or shorter than 0.4 s, so without a loudness; its level stays")
        elif aim - loudness > MOST_RAISED_DB:
            remarks.append(
                f"{name}: at {loudness:.1f} LUFS it is raised by {MOST_RAISED_DB:g} dB and no more, "
                f"{aim - loudness - MOST_RAISED_DB:.1f} LU under the others"
            )
    return gains, remarks


def level_towards(
    measured: float, true_peak: float, loudness: float, ceiling: float, listen: Callable[[float], float]
) -> Level:
    """Choose what brings a mix to a loudness with its peaks under a ceiling.

    Parameters
    ----------
    measured, true_peak
        The mix before any gain, in LUFS and dBTP.
    loudness
        Integrated, in LUFS.
    ceiling
        Highest true peak in dBTP.
    listen
        Returns the integrated loudness (LUFS) of the mix after a gain in dB and the limiter.
    """
    if not math.isfinite(measured):
        return Level(
            warning=f"loudness: {loudness:g} LUFS cannot be reached: the mix is silent or shorter than 0.4 s; level kept"
        )
    gain_db = loudness - measured
    if gain_db <= ceiling - true_peak - ROUNDING_DB:
        return Level(gain_db)
    most_db = max(gain_db, ceiling - true_peak + MOST_DB)
    reached = listen(gain_db)
    for _ in range(ATTEMPTS - 1):
        missing = loudness - reached
        if abs(missing) <= TOLERANCE_LU or gain_db >= most_db:
            break
        # The louder it is played into the limiter, the less of it arrives: a little more than what is missing.
        gain_db = min(gain_db + 1.15 * missing, most_db)
        reached = loudness if abs(missing) <= NEAR_LU else listen(gain_db)
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
