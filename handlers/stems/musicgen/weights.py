"""The matrices of a language model, laid out for the precision that a step is played in. Heavy: torch.

A step of one stem reads every matrix once and multiplies it with two rows, so bytes and kernels count, not arithmetic.
What was fastest on one core of a CPU with AVX-512 VNNI and BF16 (24 layers of 1024, all matrices, 2 rows / 8 rows):

==========================================================  =========  =========
fp32, `F.linear`                                              151 ms     149 ms
fp32, laid out by oneDNN beforehand                            64 ms      59 ms
bf16, `F.linear`                                               48 ms      54 ms
bf16, laid out by oneDNN beforehand                            25 ms      32 ms
int8 weights, bf16 rows (`torch._weight_int8pack_mm`)          22 ms      43 ms
int8 weights, int8 rows (`onednn.qlinear_pointwise`)           20 ms      20 ms
==========================================================  =========  =========
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

Precision = Literal["fp32", "bf16", "fp16", "int8"]

DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.bfloat16}
"""What keys and values are kept in."""
CODE_SPAN = 127
"""Steps of int8 between zero and the largest magnitude, of a row and of a column of weights."""
ROUNDED_ZERO = 128.5
"""Zero among unsigned codes, and a half: cutting off then rounds."""


class Product(Protocol):
    """A matrix to multiply with."""

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """From ``(rows, in)`` to ``(rows, out)``, added to `onto`."""


def lay_out(
    weight: Tensor, bias: Tensor | None, precision: Precision, device: str, rows: int, *, gelu: bool = False
) -> Product:
    """A matrix ready to be multiplied with.

    Parameters
    ----------
    weight
        ``(out, in)``, of any dtype.
    bias
        ``(out,)`` or None.
    precision
        ``int8`` needs a CPU: one scale for each row of `weight`, and one for each row that comes in.
    rows
        How many will usually come in at once; any number may.
    gelu
        Whether the exact GELU follows.

    Returns
    -------
    product
        Takes rows in any floating dtype; gives float32 on a CPU, the dtype of `precision` on CUDA.
    """
    weight = weight.detach()
    bias = None if bias is None else bias.detach()
    if device != "cpu":
        return _plain(weight, bias, DTYPE[precision], device, gelu)
    if precision == "int8":
        return _int8(weight.float().cpu(), bias, rows, gelu)
    return _reordered(weight.to("cpu", DTYPE[precision]), bias, rows, gelu)


def _plain(weight: Tensor, bias: Tensor | None, dtype: torch.dtype, device: str, gelu: bool) -> Product:
    weight = weight.to(device, dtype)  # The model's own memory where it already is what is wanted.
    bias = None if bias is None else bias.to(device, dtype)

    def multiply(x: Tensor, onto: Tensor | None = None) -> Tensor:
        if onto is not None and bias is None and not gelu:
            return torch.addmm(onto, x, weight.t())
        y = functional.linear(x, weight, bias)
        y = functional.gelu(y) if gelu else y
        return y if onto is None else onto + y

    return multiply


def _reordered(weight: Tensor, bias: Tensor | None, rows: int, gelu: bool) -> Product:
    dtype = weight.dtype
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
    bias = None if bias is None else bias.to("cpu", dtype)
    after = "gelu" if gelu else "none"

    def multiply(x: Tensor, onto: Tensor | None = None) -> Tensor:
        y = torch.ops.mkldnn._linear_pointwise(x.to(dtype), packed, bias, after, [], "none")
        return y if onto is None else onto + y

    return multiply


def _int8(weight: Tensor, bias: Tensor | None, rows: int, gelu: bool) -> Product:
    scale = weight.abs().amax(1).clamp_min(1e-12) / CODE_SPAN
    codes = (weight / scale[:, None]).round().to(torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(codes, [rows, weight.shape[1]])
    zeros = torch.zeros(weight.shape[0], dtype=torch.int32)
    offset = torch.tensor(ROUNDED_ZERO)
    bias = None if bias is None else bias.float().cpu()

    def multiply(x: Tensor, onto: Tensor | None = None) -> Tensor:
        x = x.float()
        # The kernel takes one scale for all rows; brought to the same magnitude first, each row has its own.
        largest = x.abs().amax(-1, keepdim=True).clamp_min_(1e-12)
        taken = torch.addcmul(offset, x, CODE_SPAN / largest).to(torch.uint8)
        y = torch.ops.onednn.qlinear_pointwise(
            taken, 1 / CODE_SPAN, 128, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        y.mul_(largest)
        if bias is not None:
            y.add_(bias)
        y = functional.gelu(y) if gelu else y
        return y if onto is None else y.add_(onto)

    return multiply
