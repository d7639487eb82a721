"""Audio that a job gives a model: to go on from, or to take a melody from. Read before any model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlers.audio import files
from handlers.contract import Context, Invalid
from handlers.stems.params import StemsParams

SHORTEST_S = 1.0
SILENT_DBFS = -60.0
"""A recording whose loudest sample lies below this has nothing to go on from."""


@dataclass(frozen=True)
class Recording:
    """One given file."""

    label: str
    sha256: str
    audio: np.ndarray
    """float32 ``(channels, samples)`` at the model's rate."""

    def with_channels(self, channels: int) -> np.ndarray:
        """The same audio on so many channels: averaged to one, or one repeated."""
        if self.audio.shape[0] == channels:
            return self.audio
        return np.repeat(self.audio.mean(axis=0, keepdims=True), channels, axis=0)


@dataclass(frozen=True)
class Given:
    """What a job gives; each stem has one of each, in turn."""

    continued: tuple[Recording, ...] = ()
    melodies: tuple[Recording, ...] = ()

    def to_continue(self, item: int) -> Recording | None:
        """What stem `item` goes on from."""
        return _in_turn(self.continued, item)

    def melody(self, item: int) -> Recording | None:
        """What stem `item` takes its melody from."""
        return _in_turn(self.melodies, item)


def read_given(params: StemsParams, context: Context, sample_rate: int) -> Given:
    """Read what the job names under `continue_from:` and `melody:`, at the model's rate.

    Parameters
    ----------
    params, context
        The job's.
    sample_rate
        The model's, in Hz.

    Raises
    ------
    Invalid
        When a file cannot be read, is shorter than a second, or silent.
    """
    return Given(
        _read(params.continue_from, "continue_from", context, sample_rate),
        _read(params.melody, "melody", context, sample_rate),
    )


def _read(reference: str | None, key: str, context: Context, sample_rate: int) -> tuple[Recording, ...]:
    if reference is None:
        return ()
    recordings = []
    for file in context.inputs[reference]:
        context.check_cancelled()
        audio, _ = files.read(file.path, sample_rate=sample_rate)
        audio = np.asarray(audio, np.float32)
        if audio.shape[1] < SHORTEST_S * sample_rate:
            raise Invalid(
                f"{key}: {file.label} is {audio.shape[1] / sample_rate:.2f} s long; give at least {SHORTEST_S:g} s"
            )
        if not np.isfinite(audio).all():
            raise Invalid(f"{key}: {file.label} holds NaN or infinity; give a recording that plays")
        peak = float(np.abs(audio).max())
        if peak < 10 ** (SILENT_DBFS / 20):
            raise Invalid(f"{key}: {file.label} is silent (its loudest sample is below {SILENT_DBFS:g} dBFS)")
        recordings.append(Recording(file.label, file.sha256, audio))
    return tuple(recordings)


def _in_turn(recordings: Sequence[Recording], item: int) -> Recording | None:
    return recordings[(item - 1) % len(recordings)] if recordings else None
