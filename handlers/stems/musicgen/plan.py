"""How a step is decoded: by which loop, on what, in which precision, and how many stems together. Heavy: asks torch.

All of it is part of what makes the samples what they are, so none of it depends on what else runs on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from handlers.contract import Context, Invalid
from handlers.stems.musicgen.checkpoint import read_size
from handlers.stems.musicgen.device import choose_device
from handlers.stems.musicgen.memory import Need, Shape, choose_width, estimate_need, narrowed, total_bytes
from handlers.stems.params import StemsParams

PRECISION = {
    ("fast", "cpu"): "bf16",
    ("fast", "cuda"): "fp16",
    ("reference", "cpu"): "fp32",
    ("reference", "cuda"): "fp16",
}
"""Where a job does not say."""
NOT_ON = {"cpu": ("fp16",), "cuda": ("int8",)}
TORCH_NAME = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
FRAME_RATE = 50
"""Of every published model, in Hz; for estimates only."""
MINUTE_S = 60.0


@dataclass(frozen=True)
class Plan:
    """See the module."""

    decoder: str
    device: str
    precision: str
    width: int
    need: Need
    held_as: str
    """torch's name of what the loaded weights are held in."""


def plan_decoding(params: StemsParams, state: Path, context: Context) -> Plan:
    """Decide how a step is decoded.

    Parameters
    ----------
    params, context
        The step's. An earlier attempt that ran out of memory left word in the context's cache: half the width.
    state
        The language model's file.

    Raises
    ------
    Invalid
        When the job asks for what the device or the loop cannot do, or the file is damaged.
    """
    device = choose_device()
    decoder = params.decoder or "fast"
    precision = params.precision or PRECISION[decoder, device]
    if precision in NOT_ON[device] or (decoder == "reference" and precision not in ("fp32", "fp16")):
        where = "audiocraft's own loop" if decoder == "reference" else "a GPU" if device == "cuda" else "a CPU"
        raise Invalid(f"precision: {precision} cannot be decoded by {where}; leave `precision` out")
    size = read_size(state)
    shape = Shape(size.parameters, size.layers, size.width, int(size.window_s * FRAME_RATE))
    held_as = "float16" if size.half else "float32"
    if device == "cuda" or decoder == "reference":  # Played as it is held; on a CPU the fast loop lays it out anew.
        held_as = TORCH_NAME[precision]
    need = estimate_need(shape, precision, params.duration, copied=device == "cpu" and decoder == "fast")
    width = params.batch or 1
    if params.batch is None and device == "cuda" and decoder == "fast":
        # Of a minute, whatever the job's length: the width belongs to model, precision and card alone.
        width = choose_width(estimate_need(shape, precision, MINUTE_S), total_bytes())
    if (left := narrowed(context)) is not None and left < width:
        context.warn(
            f"memory ran out with {2 * left} stems decoded together: {left} are now. Their samples are other ones than "
            f"{width} together would have given"
        )
        width = left
    return Plan(decoder, device, precision, width, need, held_as)
