"""Whole job files: what is read, and what is said against them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.documents import Deliver, Document, DocumentError, ForEach, read
from daemon.settings_model import Settings
from handlers.contract import Finding
from tests.daemon.documents.orchestra import ORCHESTRA, ToneParams

Accept = Callable[[str], Document]
Refuse = Callable[[str | bytes], str]

SET = """
name: night-set
seed: 7
priority: 3
timeout: 10m
steps:
  beds: {do: tone, style: a/b, count: 3, duration: 1.5m}
  mix:
    do: blend
    order: [beds/1, beds/3, ./x.wav, beds/1]
    retries: 0
    timeout: 5
  grid: {do: look, input: mix}
"""


def test_one_step_is_named_after_its_handler(accept: Accept) -> None:
    job = accept("do: tone\nstyle: a/b")
    assert (job.name, job.seed, job.priority, job.deliver, job.from_job) == ("dropped", None, 0, None, None)
    (step,) = job.steps
    assert (step.name, step.handler, step.retries, step.timeout_s, step.min_success) == ("tone", "tone", None, None, 1)
    assert step.params == {"style": "a/b", "duration": 30.0, "count": 1, "prompt": "", "loud": False, "model": "here"}


def test_one_step_mixes_the_jobs_keys_with_its_own(accept: Accept) -> None:
    job = accept(
        "do: look\ninput: ./x.wav\nname: k\nseed: 4294967295\npriority: -10\nretries: 2\ntimeout: 90s\ninput_timeout: 2h"
    )
    assert (job.name, job.seed, job.priority, job.input_timeout_s) == ("k", 2**32 - 1, -10, 7200.0)
    assert (job.steps[0].retries, job.steps[0].timeout_s, job.steps[0].params) == (2, 90.0, {"input": "./x.wav", "below": []})


def test_steps_feed_each_other_in_the_order_of_the_file(accept: Accept, home: Path) -> None:
    job = accept(SET)
    assert [step.name for step in job.steps] == ["beds", "mix", "grid"]
    mix = job.step("mix")
    assert (mix.needs, mix.inputs) == (("beds",), ("beds/1", "beds/3", "./x.wav"))
    assert mix.sources == {
        "beds/1": {"kind": "step", "step": "beds", "item": 1},
        "beds/3": {"kind": "step", "step": "beds", "item": 3},
        "./x.wav": {"kind": "path", "path": str(home / "inbox" / "x.wav")},
    }
    assert job.step("beds").params["duration"] == 90.0


def test_a_steps_own_key_wins_over_the_jobs_default(accept: Accept) -> None:
    job = accept(SET)
    assert [step.timeout_s for step in job.steps] == [600.0, 5.0, 600.0]
    assert [step.retries for step in job.steps] == [None, 0, None]


def test_params_after_defaults_give_the_same_params_again(accept: Accept) -> None:
    params = accept("do: tone\nstyle: a/b\nduration: 90s").steps[0].params
    assert ToneParams.model_validate_json(json.dumps(params)).model_dump(mode="json") == params


def test_the_name_of_the_dropped_file_is_made_safe(configured: Settings) -> None:
    assert read(b"do: tone\nstyle: a/b", ORCHESTRA, configured, default_name="Kick Stüdy (2)").name == "kick-study-2"


def test_relative_paths_start_at_the_inbox_the_job_lies_in(configured: Settings, home: Path) -> None:
    other = home / "inbox" / "deeper"
    job = read(b"do: look\ninput: x.wav", ORCHESTRA, configured, default_name="x", inbox=other)
    assert job.steps[0].sources["x.wav"]["path"] == str(other / "x.wav")


def test_deliver_names_a_configured_folder(accept: Accept) -> None:
    job = accept("do: look\ninput: ./x.wav\ndeliver: {to: daw, as: Night, beside: true}")
    assert job.deliver == Deliver("daw", "Night", True)


def test_for_each_runs_over_the_items_of_a_step(accept: Accept) -> None:
    job = accept(
        "steps:\n  beds: {do: tone, style: a/b, count: 3}\n"
        "  looks: {do: look, input: each, for_each: {in: beds, start: 1, limit: 2}, min_success: 2}"
    )
    looks = job.step("looks")
    assert (looks.for_each, looks.needs, looks.inputs, looks.min_success) == (
        ForEach("beds", 1, 2),
        ("beds",),
        ("each",),
        2,
    )
    assert looks.sources == {"each": {"kind": "each"}}


def test_one_step_goes_over_a_finished_jobs_items(accept: Accept) -> None:
    job = accept("do: look\nfrom: night-set\ninput: each\nfor_each: {in: from/beds}")
    assert (job.from_job, job.steps[0].for_each, job.steps[0].needs) == ("night-set", ForEach("from/beds"), ())


def test_what_a_check_says_stays_with_the_step_unless_it_is_an_error(accept: Accept) -> None:
    job = accept("do: tone\nstyle: a/b\nmodel: gone\nprompt: dark")
    assert job.steps[0].findings == (
        Finding("missing", "model", "gone is not here; fetch it"),
        Finding("warning", "prompt", "is not read"),
    )


def test_all_mistakes_of_a_file_are_said_at_once_by_line(refuse: Refuse) -> None:
    assert refuse(
        """name: Night Set
seed: -1
tempo: 3
count: 5
steps:
  beds:
    do: tone
    style: a/b
    duraton: 60
    count: 9
    seed: 3
  Beds2: {do: tne}
  each: tone
  x: {style: a/b}
  mix:
    do: blend
    order: [beds/1, bed/2, loops/kick]
    join: {kind: fad}
    order: []
  look: {do: look, input: from/a/2, min_success: 3}
"""
    ).splitlines() == [
        "line 1, name: a name is lower-case letters, digits and -, at most 60 characters; write night-set",
        "line 2, seed: must be at least 0, found -1",
        "line 3, tempo: unknown key; beside steps there can be "
        "name, seed, seeds, priority, input_timeout, deliver, keep_work, from, retries, timeout and fallback",
        "line 4, count: belongs into a step, below its name (tone knows it)",
        "line 9, steps.beds.duraton: unknown key; did you mean duration?",
        "line 10, steps.beds.count: must be at most 8, found 9",
        "line 11, steps.beds.seed: belongs to the whole job: write it at the top, beside steps",
        "line 12, steps.Beds2: a step's name is lower-case letters, digits, - and _, starts with a letter, at most 31 characters",
        "line 12, steps.Beds2.do: there is no handler 'tne'; did you mean tone?",
        "line 13, steps.each: a step cannot be called each: the word has a meaning in references",
        "line 14, steps.x: what to do is missing: `do:` with tone, blend or look",
        "line 17, steps.mix.order.2: there is no step 'bed'; did you mean beds?",
        "line 17, steps.mix.order.3: 'loops/kick' is neither a step nor a path; for a file write ./loops/kick",
        "line 18, steps.mix.join.kind: expected one of fade or cut, found 'fad'; did you mean fade?",
        "line 19, steps.mix.order: this key is already there, in line 17; keep one of the two",
        "line 20, steps.look.input: 'from/a/2' needs `from:` at the top of the file: a finished job's id or name",
        "line 20, steps.look.min_success: means something only with for_each: it counts the runs that must succeed",
    ]


TONE = "do: tone\nstyle: a/b\n"
BLEND = "do: blend\norder: [./x.wav]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- do: tone", "line 1: a job is `key: value` lines, such as `do: stems`; found a list"),
        ("hello", "line 1: a job is `key: value` lines, such as `do: stems`; found 'hello'"),
        ("name: x", "line 1: a job says what to `do:` (tone, blend or look), or has named `steps:`"),
        (
            "stps: {}",
            "line 1: a job says what to `do:` (tone, blend or look), or has named `steps:`; did you mean steps in place of stps?",
        ),
        ("do: tone\nsteps: {}", "line 2, steps: a job is either one step (`do:`) or several (`steps:`), not both"),
        ("do: [tone]", "line 1, do: expected one word (tone, blend or look), found a list"),
        ("do: zzz", "line 1, do: there is no handler 'zzz'; there are tone, blend and look"),
        ("do: tone", "line 1, style: missing (what it sounds like, such as `industrial/bed`)"),
        ("do: tone\nstyl: a/b", "line 2, styl: unknown key; did you mean style?"),
        (TONE + "sed: 3", "line 3, sed: unknown key; did you mean seed?"),
        (TONE + "xyzzy: 3", "line 3, xyzzy: unknown key; tone knows style, duration, count, prompt, loud and model"),
        (TONE + "count: lots", "line 3, count: expected a whole number, found 'lots'"),
        (TONE + "count: 2.5", "line 3, count: expected a whole number, found 2.5"),
        (TONE + "count: '2'", "line 3, count: expected a whole number, found '2'"),
        (TONE + "loud: yes", "line 3, loud: expected true or false, found 'yes'; write true"),
        (TONE + "prompt: 5", "line 3, prompt: expected text, found 5; put it in quotes if you mean the text: '5'"),
        (TONE + "prompt: a longer one", "line 3, prompt: has at most 10 characters, found 12"),
        (TONE + "prompt: [a]", "line 3, prompt: expected text, found a list"),
        (
            TONE + "duration: 1 minute",
            "line 3, duration: '1 minute' is not a time: write seconds (90) or a number with a unit (90s, 60m, 2h)",
        ),
        (TONE + "duration: 15m", "line 3, duration: must be at most 600, found '15m'"),
        (TONE + "duration:", "line 3, duration: expected a number, found nothing"),
        (
            "do: tone\nstyle: bed",
            "line 2, style: 'bed' does not have the right form: what it sounds like, such as `industrial/bed`",
        ),
        (TONE + "timeout: 0", "line 3, timeout: must be more than 0, found 0"),
        (TONE + "fallback: silence", "line 3, fallback: expected procedural, found 'silence'"),
        (TONE + "model: wrong", "line 3, model: there is no model wrong"),
        (
            TONE + "model: broken",
            "line 1, do: the handler tone cannot judge this (tests.daemon.documents.orchestra:check_tone raised RuntimeError: oh)",
        ),
        ("do: blend\norder: ./x.wav", "line 2, order: expected a list ([a, b]), found './x.wav'; write [./x.wav]"),
        ("do: blend\norder: []", "line 2, order: needs at least 1 entry, found 0"),
        (BLEND + "join: {seconds: 3}", "line 3, join.kind: missing"),
        (BLEND + "join: {kind: fade, secnds: 3}", "line 3, join.secnds: unknown key; did you mean seconds?"),
        (BLEND + "join: fade", "line 3, join: expected a mapping ({key: value}), found 'fade'"),
        (BLEND + "loose: {kind: fade, secnds: 3}", "line 3, loose.secnds: unknown key; did you mean seconds?"),
        (
            BLEND + "loose: {kind: fade, seconds: x1}",
            "line 3, loose.seconds: 'x1' is not a time: write seconds (90) or a number with a unit (90s, 60m, 2h)",
        ),
        (
            BLEND + "formats: [flak]",
            "line 3, formats.1: expected one of flac or mp3 or a mapping ({key: value}), found 'flak'; did you mean flac?",
        ),
        (BLEND + "formats:\n- flac\n- mp3: {kbps: 8}", "line 5, formats.2.mp3.kbps: must be at least 32, found 8"),
        (BLEND + "formats:\n- flac\n- mp3: {kps: 192}", "line 5, formats.2.mp3.kps: unknown key; did you mean kbps?"),
        (BLEND + "formats:\n- flac\n- mp4: {}", "line 5, formats.2.mp4: unknown key; did you mean mp3?"),
        (BLEND + "formats:\n- flac\n- flac", "line 3, formats: flac is asked for twice"),
        (TONE + "deliver: {}", "line 3, deliver: says neither where to (`to:` a configured folder) nor `beside: true`"),
        (
            TONE + "deliver: {to: dav}",
            "line 3, deliver.to: no folder is configured under the name 'dav'; did you mean daw?",
        ),
        (
            TONE + "deliver: {to: phone}",
            "line 3, deliver.to: no folder is configured under the name 'phone'; "
            "add to config/drophammer.yaml: deliver: {phone: ~/a/folder}",
        ),
        (
            TONE + "deliver: {to: daw, as: ../x}",
            "line 3, deliver.as: '../x' is not a plain name: no slash, no dot at its beginning, one line",
        ),
        (
            TONE + "deliver: {beside: true}",
            "line 3, deliver.beside: no step reads a file, so there is nothing to lie beside",
        ),
        (
            "do: look\ninput: each",
            "line 2, input: `each` has a meaning only in a step with for_each",
        ),
        (
            "steps:",
            "line 1, steps: steps have names: write them as `beds: {do: stems, ...}`, each under a name of its own; found nothing",
        ),
        (
            "steps: {}",
            "line 1, steps: there is no step: write them as `beds: {do: stems, ...}`, each under a name of its own",
        ),
        (
            "steps:\n- do: tone",
            "line 1, steps: steps have names: write them as `beds: {do: stems, ...}`, each under a name of its own; found a list",
        ),
        ("steps:\n  beds: tone", "line 2, steps.beds: a step says what to do: `{do: tone, ...}`; found 'tone'"),
        (
            "steps:\n  beds: {do: tone, style: a/b}\nfor_each: {in: beds}",
            "line 3, for_each: belongs into a step, below its name",
        ),
    ],
)
def test_the_common_mistakes_are_said_in_plain_words(refuse: Refuse, text: str, said: str) -> None:
    assert refuse(text) == said


def test_a_job_has_at_most_100_steps(accept: Accept, refuse: Refuse) -> None:
    steps = "steps:\n" + "".join(f"  s{n}: {{do: tone, style: a/b}}\n" for n in range(100))
    assert len(accept(steps).steps) == 100
    assert refuse(steps + "  s100: {do: tone, style: a/b}") == "line 1, steps: has at most 100 steps, found 101"


def test_problems_carry_line_column_key_and_message(configured: Settings) -> None:
    with pytest.raises(DocumentError) as caught:
        read(b"do: tone\nstyle: a/b\ncount: 0", ORCHESTRA, configured, default_name="x")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.key, problem.message) == (
        3,
        1,
        "count",
        "must be at least 1, found 0",
    )


def test_a_file_full_of_mistakes_is_answered_in_a_page(refuse: Refuse) -> None:
    lines = refuse("do: tone\nstyle: a/b\n" + "".join(f"k{n}: 1\n" for n in range(500))).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "... and 450 more"


def test_no_message_speaks_of_our_tools(refuse: Refuse) -> None:
    texts = (
        "do: [x",
        TONE + "count: x",
        BLEND + "formats: 5",
        BLEND + "loose: 5",
        BLEND + "formats: [{ogg: 1}]",
        "do: look\ninput: 5",
    )
    for text in texts:
        said = refuse(text).lower()
        assert not any(
            word in said for word in ("pydantic", "http", "input should", "valid dict", "instance of", "null byte")
        ), said


def test_several_seeds_lay_every_step_out_once_each_and_references_stay_inside_their_seed(accept: Accept) -> None:
    job = accept(
        """
seeds: [7, 3]
from: night-set
steps:
  beds: {do: tone, style: a/b, count: 2}
  looks: {do: look, input: each, for_each: {in: beds}}
  more: {do: look, input: each, for_each: {in: from/beds}}
  mix: {do: blend, order: [beds/1, ./x.wav, from/seed-9/beds/2]}
"""
    )
    assert (job.seed, job.seeds) == (None, (7, 3))
    laid_out = dict((step.name, (seed, step)) for seed, step in job.laid_out())
    assert list(laid_out) == [f"seed-{seed}/{name}" for seed in (7, 3) for name in ("beds", "looks", "more", "mix")]
    seed, mix = laid_out["seed-3/mix"]
    assert (seed, mix.needs, mix.inputs) == (3, ("seed-3/beds",), ("beds/1", "./x.wav", "from/seed-9/beds/2"))
    assert mix.sources["beds/1"] == {"kind": "step", "step": "seed-3/beds", "item": 1}
    assert mix.sources["from/seed-9/beds/2"] == {"kind": "from", "step": "seed-9/beds", "item": 2}
    looks, more = laid_out["seed-3/looks"][1], laid_out["seed-3/more"][1]
    assert (looks.for_each.over, looks.needs, more.for_each.over, more.needs) == (
        "seed-3/beds", ("seed-3/beds",), "from/beds", (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seeds", "problem"),
    [
        ("[7]", "line 1, seeds: needs at least 2 entries, found 1"),
        (str(list(range(17))), "line 1, seeds: has at most 16 entries, found 17"),
        ("[7, -1]", "line 1, seeds.2: must be at least 0, found -1"),
        ("[7, 3, 7]", "line 1, seeds: 7 stands there twice; each gives one result"),
        ("[7, 3]\nseed: 7", "line 1, seeds: stands in place of `seed`; keep one of the two"),
    ],
)
def test_seeds_are_two_to_sixteen_and_differ(refuse: Refuse, seeds: str, problem: str) -> None:
    assert refuse(f"seeds: {seeds}\ndo: tone\nstyle: a/b") == problem


def test_items_are_kept_by_their_number(accept: Accept) -> None:
    job = accept("from: night-set\ndo: tone\nstyle: a/b\ncount: 4\nkeep: {3: from/beds/1, 4: from/seed-7/beds/3}")
    assert job.steps[0].keep == {"3": "from/beds/1", "4": "from/seed-7/beds/3"}


@pytest.mark.parametrize(
    ("keep", "problem"),
    [
        ("{3: from/beds/1}", "keep.3: tone yields 2 items; there is no item 3"),
        ("{0: from/beds/1}", "keep.0: says which item it stands for by its number: `{3: from/tone/3}`"),
        ("{x: from/beds/1}", "keep.x: says which item it stands for by its number: `{3: from/tone/3}`"),
        ("{1: from/beds}", "keep.1: names one item of an earlier job, such as from/tone/3; found 'from/beds'"),
        ("{1: ./x.wav}", "keep.1: names one item of an earlier job, such as from/tone/3; found './x.wav'"),
        ("{1: from/beds/0}", "keep.1: 'from/beds/0' names no item: items are numbered beds/1, beds/2, ..."),
        ("3", "keep: expected a mapping ({key: value}), found 3"),
    ],
)
def test_what_cannot_be_kept_is_said_with_its_place(refuse: Refuse, keep: str, problem: str) -> None:
    assert refuse(f"from: night-set\ndo: tone\nstyle: a/b\ncount: 2\nkeep: {keep}") == f"line 5, {problem}"


def test_what_keeps_needs_an_earlier_job_and_items_of_its_own(refuse: Refuse) -> None:
    assert refuse("do: tone\nstyle: a/b\nkeep: {1: from/beds/1}") == (
        "line 3, keep.1: 'from/beds/1' needs `from:` at the top of the file: a finished job's id or name"
    )
    assert refuse("from: a\ndo: look\ninput: each\nfor_each: {in: from/b}\nkeep: {1: from/b/1}") == (
        "line 5, keep: a step with for_each makes its items anew: it can keep none"
    )
