"""What is said against a request for MusicGen at intake."""

from __future__ import annotations

import subprocess
import sys

import pytest

from handlers.stems.models.manifest import Model
from handlers.stems.musicgen.check import check
from tests.handlers.stems.musicgen.conftest import entry, request_for

SMALL = Model.model_validate(entry("small"))
MELODY = Model.model_validate(entry("melody", reads=("text", "audio", "melody")))
STYLE = Model.model_validate(entry("style", reads=("text", "style")))


@pytest.mark.parametrize(
    ("model", "changes", "key", "message"),
    [
        (SMALL, {"melody": "x.wav"}, "melody", "musicgen-melody does"),
        (SMALL, {"style_from": "x.wav"}, "style_from", "musicgen-style does"),
        (STYLE, {"continue_from": "x.wav"}, "continue_from", "reads text, style"),
        (STYLE, {"duration": 31}, "duration", "one window of 20 s"),
        (SMALL, {"layers": True}, "layers", "only `model: procedural`"),
        (SMALL, {"remix": {"melody_loyalty": 50}}, "remix.melody_loyalty", "no `melody:`"),
        (SMALL, {"remix": {"genre_shift": 50}}, "remix.genre_shift", "no audio to shift away from"),
        (SMALL, {"remix": {"weirdness": 0.5}, "temperature": 1.0}, "remix.weirdness", "and so does `temperature`"),
        (
            SMALL,
            {"remix": {"genre_shift": 5}, "continue_from": "x.wav", "guidance_scale": 3},
            "remix.genre_shift",
            "and so does `guidance_scale`",
        ),
        (SMALL, {"use_sampling": False, "top_k": 3}, "top_k", "draws none"),
        (SMALL, {"top_k": 3, "top_p": 0.5}, "top_p", "in place of `top_k`"),
        (SMALL, {"decoder": "reference", "batch": 2}, "batch", "one stream"),
        (SMALL, {"decoder": "reference", "precision": "int8"}, "precision", "has no int8"),
    ],
)
def test_what_cannot_be_done_is_said_under_its_key(model, changes, key, message):
    (finding,) = check(request_for(**changes), model)
    assert (finding.kind, finding.key) == ("error", key) and message in finding.message


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (SMALL, {"tempo": 126, "key": "A minor", "snap": "bars", "duration": 90}),
        (SMALL, {"continue_from": "beds", "remix": {"genre_shift": 20, "weirdness": 0.9, "structure": 100}}),
        (MELODY, {"melody": "x.wav", "continue_from": "y.wav", "remix": {"melody_loyalty": 20, "genre_shift": 10}}),
        (
            SMALL,
            {"batch": 8, "precision": "int8", "top_p": 0.9, "temperature": 1.2, "guidance_scale": 4, "two_step": True},
        ),
        (STYLE, {"style_from": "x.wav", "duration": 20}),
    ],
)
def test_nothing_is_said_against_what_can(model, changes):
    assert list(check(request_for(**changes), model)) == []


def test_the_check_is_light():
    program = "import handlers.stems.musicgen.check, sys; print(sorted({'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
