"""Memory: how much a model needs, how many stems fit beside each other, and what happens where less is free.

The width of a batch is part of what makes the samples what they are. So it is chosen from the model and from what the
card has in all, never from what happens to be free; where less is free it is waited for, naming who holds it, and only
then is the step tried again in a fresh worker with half the width, which says so.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handlers.contract import Context, OutOfMemory

WIDEST = 8
"""Stems decoded together at most, unless the job says more."""
USABLE = 0.85
"""Share of a card that is counted on; the rest is the driver's, fragments, and what a display takes."""
WAIT_S = 120.0
LOOK_S = 0.5
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
SUPPORT_BYTES = 1_200_000_000
"""T5 and the codec in float32 (110 M and 57 M parameters), and the libraries' own on a card."""
DECODED_BYTES_PER_S = 36_000_000
"""What the codec holds while it turns a second of tokens into sound: four layers of 64 channels at 32 kHz, with room."""


@dataclass(frozen=True)
class Shape:
    """What a language model's memory depends on."""

    parameters: int
    layers: int
    width: int
    """Of each layer."""
    steps: int
    """Of the longest window."""


@dataclass(frozen=True)
class Need:
    """Bytes that playing takes."""

    model: int
    stem: int
    """For each stem of a batch: keys and values of every layer, with words and without them."""
    sound: int
    """To turn one stem's tokens into sound."""

    def of(self, width: int) -> int:
        """In all, with so many stems together."""
        return self.model + width * self.stem + self.sound


def estimate_need(shape: Shape, precision: str, duration_s: float, *, copied: bool = False) -> Need:
    """Estimate what a model takes; with `copied`, its loaded weights stay beside those laid out for the decoder."""
    size, kept = BYTES[precision], max(BYTES[precision], 2)
    cache = 2 * 2 * shape.layers * shape.width * shape.steps * kept  # Keys and values, with words and without.
    weights = shape.parameters * (size + kept if copied else size)
    return Need(weights + SUPPORT_BYTES, cache, int(duration_s * DECODED_BYTES_PER_S))


def choose_width(need: Need, total: int) -> int:
    """The power of two of stems, 1 .. 8, that fit together into a card of `total` bytes."""
    width = WIDEST
    while width > 1 and need.of(width) > total * USABLE:
        width //= 2
    return width


def total_bytes() -> int:
    """What the card has in all, or what this process may take of it where that is limited."""
    import torch

    share = torch.cuda.get_per_process_memory_fraction()
    return int(torch.cuda.get_device_properties(0).total_memory * share)


def free_bytes(device: str) -> int:
    """What can be had now: of the card, or of the machine's memory."""
    if device == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info()
        ours = torch.cuda.memory_reserved()
        return min(free, int(total * torch.cuda.get_per_process_memory_fraction()) - ours)
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo has no MemAvailable, which every Linux since 3.14 writes")


def name_holders(device: str) -> str:
    """Who holds the memory, the largest three: ``python3 (pid 812, 9.1 GB)``."""
    found = sorted(_on_card() if device == "cuda" else _on_machine(), reverse=True)[:3]
    return ", ".join(f"{name} (pid {pid}, {_gb(held)})" for held, pid, name in found) or "nobody that can be seen"


def _on_card() -> list[tuple[int, int, str]]:
    query = ["nvidia-smi", "--query-compute-apps=used_memory,pid,process_name", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for line in answer.splitlines():
        held, pid, name = (part.strip() for part in line.split(",", 2))
        if held.isdigit():  # In a container it may be [N/A].
            found.append((int(held) << 20, int(pid), Path(name).name))
    return found


def _on_machine() -> list[tuple[int, int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
            found.append((int(words["VmRSS"].split()[0]) * 1024, int(folder.name), words["Name"].strip()))
        except (OSError, KeyError):
            continue  # It ended, or is the kernel's own.
    return found


def wait_for(
    need: int,
    device: str,
    context: Context,
    *,
    free: Callable[[str], int] = free_bytes,
    wait_s: float = WAIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until `need` bytes are free on the device, saying who holds them.

    Returns
    -------
    bool
        Whether they are; `False` after `wait_s` seconds without.
    """
    begun = clock()
    told = False
    while (left := free(device)) < need:
        if clock() - begun >= wait_s:
            return False
        if not told:
            where = "the GPU" if device == "cuda" else "this machine"
            context.log(
                f"waiting up to {wait_s:g} s for memory of {where}: {_gb(need)} are needed, {_gb(left)} are free; "
                f"held by {name_holders(device)}",
                "warning",
            )
            told = True
        context.progress("loading", 0)
        context.check_cancelled()
        sleep(LOOK_S)
    return True


def narrowed(context: Context) -> int | None:
    """The width that an earlier attempt at this step left for this one, when memory ran out."""
    try:
        return int(json.loads(_note(context).read_text(encoding="utf-8"))["width"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def out_of_memory(context: Context, width: int, why: str) -> OutOfMemory:
    """The error that has this step tried again in a fresh worker, with half the width."""
    if width == 1:
        return OutOfMemory(f"{why}; stems are already decoded one at a time: use a smaller model, or free memory")
    note = _note(context)
    fresh = note.with_suffix(".fresh")
    fresh.write_text(json.dumps({"width": width // 2}), encoding="utf-8")
    fresh.replace(note)
    return OutOfMemory(f"{why}; {width} stems were to be decoded together, the next attempt takes {width // 2}")


def _note(context: Context) -> Path:
    """Where attempts at one step leave word for each other; the folder is disposable, as is what they say."""
    words = hashlib.sha256(f"{context.job_id}/{context.step}".encode()).hexdigest()[:16]
    return context.cache_dir / f"width-{words}.json"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
