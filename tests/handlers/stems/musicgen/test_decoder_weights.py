"""Matrices in every layout against the plain product."""

from __future__ import annotations

import pytest

from handlers.stems.models.weights import missing_libraries

if missing_libraries():
    pytest.skip(f"{', '.join(missing_libraries())} not installed; `make test` adds them", allow_module_level=True)

import torch
from torch.nn import functional

from handlers.stems.musicgen.weights import _plain, lay_out

ERROR = {"fp32": 1e-5, "bf16": 2**-7, "int8": 0.03}
"""Of the largest result: sums of 96 products; two of the 8 bits of a bfloat16; 1/127 of each side, and some."""


@pytest.mark.parametrize("precision", ERROR)
@pytest.mark.parametrize("rows", [1, 2, 33])
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_a_layout_multiplies_as_the_plain_product(precision, rows, gelu, biased):
    torch.manual_seed(1)
    weight, x, onto = torch.randn(40, 96), torch.randn(rows, 96), torch.randn(rows, 40)
    x[0] *= 1000  # A loud row must not take the bits of the others.
    bias = torch.randn(40) if biased else None
    expected = functional.linear(x, weight, bias)
    expected = functional.gelu(expected) if gelu else expected
    layouts = [lay_out(weight, bias, precision, "cpu", 2, gelu=gelu)]
    if precision == "fp32":  # What CUDA multiplies by.
        layouts.append(_plain(weight, bias, torch.float32, "cpu", gelu))
    for multiply in layouts:
        for found, wanted in ((multiply(x), expected), (multiply(x, onto), expected + onto)):
            error = (found.float() - wanted).abs().amax(1) / wanted.abs().amax(1)
            assert error.max() < ERROR[precision]
