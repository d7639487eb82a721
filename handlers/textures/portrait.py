"""What a recording sounds like as a whole, and how a texture is turned towards it.

A passage is never quite like its recording: it holds one chord, or no bass. Bands a semitone wide, wider in the bass
where the frames of `handlers.textures.features` tell no semitones apart, hold the mean spectrum of the recording; a
texture's own bands are brought closer to them. What one hears, and what a meter reads, is then the recording's colour
and its pitch classes, on the passage that the texture is made of.
"""

from __future__ import annotations

import numpy as np

from handlers.textures.features import CANCELS

LOWEST_HZ, HIGHEST_HZ = 40.0, 18_000.0
LEAST_BINS = 2.0
"""Width of a band in the portrait's own bins: narrower ones would be what a window smears."""
FAINT_DB = 75.0
"""What lies further under the loudest band is not heard, and is nobody's colour."""
MOST_DB = 18.0
"""By which a band is changed at most: more would be the portrait, and no longer the passage."""
PITCHED = 0.5
"""How much more than in the recording its pitch classes stand out."""
LARGER, FLATTER = 0.5, 0.9
"""Of a caricature: how much more features stand out, and what is left of the slope."""
BROAD_BANDS = 9
"""Over so many semitones a spectrum is smoothed where only its colour counts, and no tone."""


class Portrait:
    """The mean spectrum of a recording.

    Parameters
    ----------
    power
        Mean power by frequency, ``(bins,)``, from 0 Hz.
    bin_hz
        From one bin to the next.
    chroma
        Mean share of each pitch class from A on, ``(12,)``.
    """

    def __init__(self, power: np.ndarray, bin_hz: float, chroma: np.ndarray) -> None:
        highest = min(HIGHEST_HZ, 0.95 * bin_hz * (len(power) - 1))
        edges = [LOWEST_HZ]
        while edges[-1] < highest:
            edges.append(max(edges[-1] * 2 ** (1 / 12), edges[-1] + LEAST_BINS * bin_hz))
        self._edges_hz = np.array(edges)
        self._octaves = np.log2(np.sqrt(self._edges_hz[1:] * self._edges_hz[:-1]))
        self.level_db = self.measure(np.sqrt(power)[None], bin_hz)
        """Mean level of each band, from the loudest down."""
        classes_db = 20 * np.log10(np.maximum(chroma, 1e-3 * chroma.max() + 1e-12))
        self.classes_db = classes_db - classes_db.mean()
        """How much each pitch class from A on stands out, mean 0."""
        places = 12 * (self._octaves - np.log2(440)) % 12
        self._pitches_db = np.interp(places, np.arange(13), np.append(self.classes_db, self.classes_db[0]))

    def measure(self, spectra: np.ndarray, bin_hz: float) -> np.ndarray:
        """Return the level of each band of a spectrum, ``(channels, bins)``, beside its loudest; never under -75 dB.

        Channels are heard as their mean, as the portrait was: what they cancel must not be taken away twice.
        """
        edges = np.minimum(np.round(self._edges_hz / bin_hz).astype(int), spectra.shape[1] - 1)
        edges = np.maximum.accumulate(edges)
        first, last = edges[0], max(edges[-1], edges[0] + 1)
        heard = spectra[:, first:last].mean(axis=0)
        if np.vdot(heard, heard).real < CANCELS * np.vdot(spectra[0, first:last], spectra[0, first:last]).real:
            heard = spectra[0, first:last]
        sums = np.concatenate([[0.0], np.cumsum(heard.real**2 + heard.imag**2, dtype=np.float64)])
        heard = (sums[edges[1:] - first] - sums[edges[:-1] - first]) / np.maximum(np.diff(edges), 1)
        loudest = max(float(heard.max()), 1e-30)
        return 10 * np.log10(heard / loudest + 10 ** (-FAINT_DB / 10))

    def turn(self, spectra: np.ndarray, bin_hz: float, closeness: float) -> np.ndarray:
        """Return the gain of each bin that brings a spectrum closer to the portrait, float32 ``(bins,)``.

        Parameters
        ----------
        closeness
            0 leaves it, 1 makes it the same within `MOST_DB`.
        """
        own_db = self.measure(spectra, bin_hz)
        return self._gains(closeness * (self.level_db - own_db) + PITCHED * self._pitches_db, own_db, spectra, bin_hz)

    def caricature(self, spectra: np.ndarray, bin_hz: float) -> np.ndarray:
        """Return the gain of each bin that makes a spectrum the portrait's with its features drawn larger.

        What stands out of the recording's even slope stands out more, and the slope is a little flatter: for what is
        heard only faintly.
        """
        own_db = self.measure(spectra, bin_hz)
        slope_db = np.polyval(np.polyfit(self._octaves, self.level_db, 1), self._octaves)
        larger_db = FLATTER * self.level_db + LARGER * (self.level_db - slope_db) + LARGER * 2 * self._pitches_db
        return self._gains(larger_db - own_db, own_db, spectra, bin_hz)

    def _gains(self, wanted_db: np.ndarray, own_db: np.ndarray, spectra: np.ndarray, bin_hz: float) -> np.ndarray:
        wanted_db = wanted_db - np.average(wanted_db, weights=10 ** (own_db / 20))
        return self.spread(np.clip(wanted_db, -MOST_DB, MOST_DB), spectra.shape[1], bin_hz)

    def spread(self, gains_db: np.ndarray, bins: int, bin_hz: float) -> np.ndarray:
        """Return the gain of each bin for gains of the bands in dB."""
        octaves = np.log2(np.maximum(np.arange(bins, dtype=np.float32), 0.5) * np.float32(bin_hz))
        return 10 ** (np.interp(octaves, self._octaves, gains_db).astype(np.float32) / 20)

    def broad_db(self) -> np.ndarray:
        """Return its bands without their tones."""
        width = min(BROAD_BANDS, len(self.level_db))
        around = np.pad(self.level_db, width // 2, mode="edge")
        return np.convolve(around, np.full(width, 1 / width), "valid")[: len(self.level_db)]
