"""Any bytes are a job or a refusal, never anything else."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examination
from hypothesis import strategies as st

from daemon import settings
from daemon.documents import Document, DocumentError, estimates, read, unused
from daemon.settings_model import Settings
from tests.daemon.documents.orchestra import ORCHESTRA

CHECKOUT = Path(__file__).resolve().parents[3]

patiently = examination(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

WORDS = (
    "do steps name seed retries for_each in from each deliver to as order input style count duration join kind fade formats mp3 kbps "
    "tone blend look beds beds/1 beds/9 from/x/1 ./x.wav a/b x.wav <<"
)
words = st.sampled_from(WORDS.split())
scalars = st.one_of(words, st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=8))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(words, st.text(max_size=5)), inner, max_size=6)
    ),
    max_leaves=25,
)
step = st.dictionaries(words, trees, max_size=5)
jobs = st.one_of(
    st.builds(lambda do, rest: {**rest, "do": do}, st.one_of(words, trees), step),
    st.builds(
        lambda steps, rest: {**rest, "steps": steps},
        st.dictionaries(words, st.builds(lambda do, rest: {**rest, "do": do}, words, step), max_size=4),
        step,
    ),
)


def answer(content: bytes) -> Document | None:
    configured: Settings = settings.load(CHECKOUT)
    try:
        job = read(content, ORCHESTRA, configured, default_name="x")
    except DocumentError as error:
        assert error.problems and str(error)
        assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in error.problems)
        return None
    assert all(need in {step.name for step in job.steps} for step in job.steps for need in step.needs)
    estimates(job, ORCHESTRA)
    unused(job, ORCHESTRA)
    return job


@patiently
@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"do: tone\nstyle: a/b\n? \n")
def test_any_bytes_are_answered(content: bytes) -> None:
    answer(content)


@patiently
@given(st.text(alphabet="do: tnesylab/[]{}&*!|>%@`'\"#,?-\n \t012345.~<", max_size=200))
def test_anything_like_yaml_is_answered(content: str) -> None:
    answer(content.encode())


@patiently
@given(jobs)
def test_anything_like_a_job_is_answered(job: object) -> None:
    answer(yaml.safe_dump(job, allow_unicode=True).encode("utf-8", "replace"))


def test_the_most_that_fits_into_a_file_is_answered() -> None:
    units = ("[", "- ", "? ", "{a: ", "a: [", "&a ", "*a ", "!t ", 
        "'", '"\\', "|\n", ">\n ", "#", "%", "a\n", "a: b\n", "- a\n", "a,", "\n")  # fmt: skip
    for unit in units:
        assert answer((unit * (65_536 // len(unit))).encode()) is None


def test_a_large_job_is_read() -> None:
    order = ", ".join(["beds/1"] * 19)
    steps = "".join(f"  m{n}: {{do: blend, order: [{order}, m{n - 1}]}}\n" for n in range(1, 98))
    job = answer(f"steps:\n  beds: {{do: tone, style: a/b}}\n  m0: {{do: blend, order: [beds]}}\n{steps}".encode())
    assert job is not None and len(job.steps) == 99
