"""The one gain of a mix: towards a loudness, never above a ceiling, always linear."""

from __future__ import annotations

import math

from handlers.audio.loudness import Loudness


def gain_towards(measured: Loudness, loudness: float, ceiling: float) -> tuple[float, str | None]:
    """Choose the gain that brings what was measured to a loudness.

    Parameters
    ----------
    measured
        The mix before any gain.
    loudness
        Integrated, in LUFS.
    ceiling
        Highest true peak in dBTP.

    Returns
    -------
    gain_db
        In dB.
    warning
        Why the loudness is not reached, if it is not.
    """
    if not math.isfinite(measured.integrated_lufs):
        return 0.0, (
            f"loudness: {loudness:g} LUFS cannot be reached: the mix is silent or shorter than 0.4 s; level kept"
        )
    wanted_db = loudness - measured.integrated_lufs
    room_db = ceiling - measured.true_peak_dbtp
    if wanted_db <= room_db:
        return wanted_db, None
    reached = measured.integrated_lufs + room_db
    return room_db, (
        f"loudness: {reached:.1f} LUFS instead of {loudness:g}: more gain would push the true peak over "
        f"{ceiling:g} dBTP, {wanted_db - room_db:.1f} dB short; ask for {math.floor(reached)} or compress the sources"
    )


def gain_under(peak: float, ceiling: float) -> tuple[float, str | None]:
    """Choose the gain for a mix whose level was to stay: 0 dB, unless `peak` (full scale 1) would be clipped."""
    if peak <= 1.0:
        return 0.0, None
    peak_db = 20 * math.log10(peak)
    gain_db = ceiling - peak_db
    return gain_db, (
        f"level: the pieces add up to {peak_db:+.1f} dBFS and would clip; the whole mix is {-gain_db:.1f} dB lower"
    )
