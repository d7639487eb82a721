"""Which NVIDIA card is there, asked of the kernel's driver and not of a library."""

from __future__ import annotations

import subprocess
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia")
ASK_S = 5.0


def names(driver: Path = DRIVER) -> list[str]:
    """The cards' names; none without a driver."""
    found = []
    for information in sorted(driver.glob("gpus/*/information")):
        try:
            text = information.read_text(errors="replace")
        except OSError:
            continue
        found += [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Model:")]
    return found or _ask_tool("name")


def memory() -> list[str]:
    """Free and whole memory of each card, as the driver's own tool says; none without it."""
    return _ask_tool("name,memory.free,memory.total")


def _ask_tool(fields: str) -> list[str]:
    try:
        answer = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=ASK_S,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
