"""Has what librosa's clicks need compiled and kept: ``python -m handlers.beats.compile``, at setup; 4 s, once."""

from __future__ import annotations

import librosa
import numpy as np


def main() -> None:
    """Make one click."""
    librosa.clicks(frames=np.array([0]), hop_length=1, sr=44_100, length=44_100)


if __name__ == "__main__":
    main()
