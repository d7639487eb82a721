"""Words, measured on what is played: more intense, darker, busier prompts are so, step by step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from handlers.stems.instrument.render import SAMPLE_RATE, compose, render
from handlers.stems.words import read_words

DURATION_S = 16.0
INTENSITIES = ("very calm and gentle", "calm", "", "hard", "relentless and aggressive")
DENSITIES = ("very sparse and minimal", "sparse", "", "busy", "busy, dense, intricate")
DARKNESSES = ("very bright", "bright", "", "dark", "very dark and gloomy")


def steered(style, words):
    return read_words(words).steer(style("industrial/bed"))


def hits(score):
    return sum(len(events) for events in score.events.values())


def highs_db(audio):
    """Power above 2 kHz against all of it."""
    frames = audio.mean(axis=0)[: audio.shape[1] // 4096 * 4096].reshape(-1, 4096) * np.hanning(4096)
    power = (np.abs(np.fft.rfft(frames)) ** 2).sum(axis=0)
    return 10 * np.log10(power[int(2000 / SAMPLE_RATE * 4096) :].sum() / power.sum())


def test_more_intense_words_mean_fuller_sections_and_more_hits(style):
    scores = [compose(steered(style, words), 60.0, 5) for words in INTENSITIES]
    energy = [np.mean([section.energy for section in score.sections for _ in range(section.bars)]) for score in scores]
    assert all(first < second for first, second in pairwise(energy)), energy
    assert all(first < second for first, second in pairwise(map(hits, scores))), [hits(score) for score in scores]


def test_denser_words_mean_more_hits(style):
    counts = [hits(compose(steered(style, words), 60.0, 5)) for words in DENSITIES]
    assert all(first < second for first, second in pairwise(counts)), counts


@pytest.mark.parametrize(("words", "rises"), [(INTENSITIES, True), (DARKNESSES, False)], ids=["intensity", "darkness"])
def test_the_sound_gets_brighter_with_intensity_and_duller_with_darkness(style, words, rises):
    highs = [highs_db(render(steered(style, prompt), DURATION_S, 5).audio) for prompt in words]
    assert all((first < second) == rises for first, second in pairwise(highs)), highs
