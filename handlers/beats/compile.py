"""Has librosa's loops compiled and kept, so that no job waits for it: ``python -m handlers.beats.compile``, at setup."""

from __future__ import annotations

import numpy as np

from handlers.beats.envelope import Envelope
from handlers.beats.tracking import track

SAMPLE_RATE = 44_100


def main() -> None:
    """Track ten seconds of clicks."""
    clicks = np.zeros((2, 10 * SAMPLE_RATE), np.float32)
    clicks[:, :: SAMPLE_RATE // 2] = 0.5
    envelope = Envelope(SAMPLE_RATE)
    envelope.feed(clicks)
    found = track(envelope.finish(), 10.0)
    print(f"ten seconds of clicks at 120 BPM: {found.tempo_bpm:.1f} BPM")


if __name__ == "__main__":
    main()
