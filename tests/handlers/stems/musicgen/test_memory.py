"""How many stems fit, who holds memory, and what is done while too little is free."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from handlers.contract import Cancelled
from handlers.stems.musicgen import memory
from handlers.stems.musicgen.memory import Shape, choose_width, estimate_need, wait_for

SMALL = Shape(421_000_000, 24, 1024, 1500)
MEDIUM = Shape(1_500_000_000, 48, 1536, 1500)


def test_what_a_model_takes_is_counted_by_hand():
    need = estimate_need(SMALL, "fp16", 60)
    assert need.stem == 2 * 2 * 24 * 1024 * 1500 * 2, "keys and values, with words and without, of two bytes"
    assert need.model == 2 * 421_000_000 + memory.SUPPORT_BYTES
    assert need.of(3) == need.model + 3 * need.stem + need.sound
    copied = estimate_need(SMALL, "int8", 60, copied=True)
    assert copied.model == (2 + 1) * 421_000_000 + memory.SUPPORT_BYTES, "as published, and as it is played"


def test_a_wider_card_takes_more_stems_together_and_a_larger_model_fewer():
    widths = [choose_width(estimate_need(SMALL, "fp16", 60), size * 10**9) for size in (2, 6, 8, 10, 24, 140)]
    assert widths == sorted(widths) and (widths[0], widths[-1]) == (1, memory.WIDEST)
    assert choose_width(estimate_need(MEDIUM, "fp16", 60), 10 * 10**9) < choose_width(
        estimate_need(SMALL, "fp16", 60), 10 * 10**9
    )
    assert all(width & (width - 1) == 0 for width in widths)


def test_memory_that_becomes_free_is_waited_for_once_it_was_said_who_holds_it(context_factory):
    context = context_factory()
    free = iter([1, 2, 5])
    slept: list[float] = []
    assert wait_for(5, "cpu", context, free=lambda _: next(free), clock=lambda: 0.0, sleep=slept.append)
    assert len(slept) == 2 and context.cancel_checks == 2
    ((level, message, _),) = context.logged
    assert level == "warning" and "held by" in message and "pid" in message


def test_waiting_is_bounded_and_can_be_cancelled(context_factory):
    ticks = iter(range(100))
    assert not wait_for(
        5, "cpu", context_factory(), free=lambda _: 0, wait_s=10, clock=lambda: next(ticks), sleep=lambda _: None
    )
    with pytest.raises(Cancelled):
        wait_for(5, "cpu", context_factory(cancel_at=3), free=lambda _: 0, clock=lambda: 0.0, sleep=lambda _: None)


def test_what_is_free_of_this_machine_is_what_the_kernel_says():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.free_bytes("cpu") <= total


def test_holders_of_this_machine_are_named_largest_first():
    found = sorted(memory._on_machine(), reverse=True)
    assert os.getpid() in [pid for _, pid, _ in found]
    assert memory.name_holders("cpu").startswith(f"{found[0][2]} (pid ")


def test_holders_of_a_card_are_asked_of_nvidia_smi(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho '9126, 812, /usr/bin/python3'\necho '204, 90, /usr/lib/Xorg'\necho '[N/A], 7, x'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert memory.name_holders("cuda") == "python3 (pid 812, 9.6 GB), Xorg (pid 90, 0.2 GB)"
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert memory.name_holders("cuda") == "nobody that can be seen"


def test_word_left_for_the_next_attempt_is_for_this_job_and_step_alone(context_factory):
    context, other = context_factory(), context_factory(step="other")
    other.cache_dir = context.cache_dir
    memory.out_of_memory(context, 8, "too much")
    assert (memory.narrowed(context), memory.narrowed(other)) == (4, None)
    Path(memory._note(context)).write_text("{")
    assert memory.narrowed(context) is None, "the folder is disposable"
