"""How strongly something begins at each moment: librosa's onset strength, collected while a recording passes by.

The recording becomes mono at 22.05 kHz. Frames stand every `HOP` samples (5.8 ms) and are centred on their time.
Memory is that of the mel spectrogram, 28 kB a second of audio, not of the samples.
"""

from __future__ import annotations

import librosa
import numpy as np

from handlers.audio.resample import Resampler

RATE = 22_050
WINDOW = 1024
HOP = 128
FRAMES_PER_S = RATE / HOP
BANDS = 40
"""Mel bands from 27.5 Hz to 10 kHz; the most that leave none empty with this window."""
LAG = 3
"""Frames back to the spectrum that each is compared with; with `BIAS_S`, see there."""
WIDTH = 3
"""Bands over which the earlier spectrum's maximum is taken, so that vibrato is no onset (SuperFlux, Boeck 2013)."""
BIAS_S = -0.005
"""Where the envelope peaks, seen from the attack: -10 to -8 ms measured on bare clicks and drum patterns (90 to 174
BPM), -1 to +1 ms in dense music of ours. The middle is subtracted; 6 ms are left either way. librosa's framing
(2048 / 512, shifted to the window's end) was measured 42 ms late on music."""
RANGE_DB = 80.0
SILENT_DBFS = -80.0
"""Under this sample peak a recording is silent: the noise of 16-bit dither and less."""
_PIECE = 16_384
"""Frames turned into strength at once: 95 s."""


class Envelope:
    """Collects a recording block by block.

    Parameters
    ----------
    sample_rate
        Of the blocks in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._resampler = Resampler(sample_rate, RATE, 1)
        # Half a window of silence before and after centres the first and last frame on their time.
        self._pending = np.zeros(WINDOW // 2, np.float32)
        self._mel: list[np.ndarray] = []
        self._last = 0.0
        self._jump_off = True
        self._peak = 0.0

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``, full scale ±1."""
        if not block.shape[1]:
            return
        # Without what stands still: DC would begin with the file, which is an onset to the eye of the spectrum only.
        if self._jump_off:
            self._offset = block.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
            self._jump_off = False
        block = block - self._offset
        self._peak = max(self._peak, float(np.abs(block).max()))
        self._take(self._resampler.process(block.mean(axis=0, keepdims=True)))

    def finish(self) -> np.ndarray:
        """Return onset strength of shape ``(frames,)``, float32, >= 0; all zero for silence."""
        self._take(self._resampler.flush())
        short = max(WINDOW // 2, WINDOW - len(self._pending))
        self._take(np.zeros((1, short), np.float32))
        mel = np.concatenate(self._mel, axis=1)
        if self._peak < 10 ** (SILENT_DBFS / 20):
            return np.zeros(mel.shape[1], np.float32)
        return strength(mel)

    def _take(self, samples: np.ndarray) -> None:
        self._pending = np.concatenate([self._pending, samples[0]])
        count = (len(self._pending) - WINDOW) // HOP + 1
        if count <= 0:
            return
        used = self._pending[: (count - 1) * HOP + WINDOW]
        self._mel.append(
            librosa.feature.melspectrogram(
                y=used, sr=RATE, n_fft=WINDOW, hop_length=HOP, center=False, n_mels=BANDS, fmin=27.5, fmax=10_000
            )
        )
        self._pending = self._pending[count * HOP :]


def strength(mel: np.ndarray) -> np.ndarray:
    """Onset strength ``(frames,)`` of a mel power spectrogram ``(bands, frames)``, `RANGE_DB` under its loudest bin."""
    top = float(mel.max())
    pieces = []
    for start in range(0, mel.shape[1], _PIECE):
        before = min(start, LAG)
        level = librosa.power_to_db(
            mel[:, start - before : start + _PIECE], ref=top, amin=top * 10 ** (-RANGE_DB / 10), top_db=None
        )
        if level.shape[1] <= LAG:
            pieces.append(np.zeros(level.shape[1] - before, np.float32))
            continue
        risen = librosa.onset.onset_strength(S=level, sr=RATE, hop_length=HOP, lag=LAG, max_size=WIDTH, center=False)
        pieces.append(risen[before:])
    return np.concatenate(pieces).astype(np.float32)
