"""The words that a model is given."""

from __future__ import annotations

import pytest

from handlers.stems.musicgen.prompt import draw_shared, final_prompt
from tests.handlers.stems.musicgen.conftest import request_for


def words(style, **changes: object) -> str:
    params = request_for(**changes)
    return final_prompt(params, style(params.style), 7, "beds", 1)


def test_tempo_and_key_of_the_job_are_appended(style):
    said = words(style, prompt="steel drone.", tempo=126, key="F# minor")
    assert said == "steel drone. 126 BPM, key of F# minor."


def test_stems_of_one_job_share_a_tempo_and_key_of_their_family(style):
    family = style("industrial/bed")
    shared = draw_shared(request_for(), family, 7)
    assert family.tempo[0] <= shared.tempo_bpm <= family.tempo[1] and shared.key in family.keys
    assert shared == draw_shared(request_for(style="industrial/transition", count=9), style("industrial/transition"), 7)
    drawn = {draw_shared(request_for(), family, seed) for seed in range(20)}
    assert len(drawn) > 5


def test_a_range_of_tempo_is_drawn_from(style):
    drawn = {draw_shared(request_for(tempo=[100, 104]), style("industrial/bed"), seed).tempo_bpm for seed in range(30)}
    assert drawn == {100, 101, 102, 103, 104}


@pytest.mark.parametrize(
    ("prompt", "tempo", "key"),
    [
        ("techno at 140 bpm", 140, None),
        ("Techno, 140 BPM, in A minor, hard", 140, "A minor"),
        ("Eb major pad", None, "Eb major"),
    ],
)
def test_what_a_prompt_names_itself_is_taken_and_not_said_twice(style, prompt, tempo, key):
    params = request_for(prompt=prompt)
    said, shared = words(style, prompt=prompt), draw_shared(params, style(params.style), 7)
    assert said.startswith(prompt) and said.lower().count("bpm") == 1
    assert ("key of" in said) == (key is None)
    assert shared.tempo_bpm == (tempo or shared.tempo_bpm) and shared.key == (key or shared.key)


def test_of_a_range_that_a_prompt_names_one_tempo_is_drawn_and_said(style):
    params = request_for(prompt="techno, 128-130 BPM")
    shared = draw_shared(params, style(params.style), 7)
    assert shared.tempo_bpm in (128, 129, 130) and f" {shared.tempo_bpm:g} BPM, key of " in words(
        style, prompt=params.prompt
    )


def test_what_the_job_gives_is_said_whatever_the_prompt_says(style):
    assert "130 BPM" in words(style, prompt="techno at 140 bpm", tempo=130)


def test_varied_prompts_differ_from_stem_to_stem(style):
    params = request_for(vary=True)
    first, second = (final_prompt(params, style(params.style), 7, "beds", item) for item in (1, 2))
    assert first != second
