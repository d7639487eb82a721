"""Which device torch computes on, and whether it really does: ``python -m handlers.stems.musicgen.device`` at setup."""

from __future__ import annotations

from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")
OTHER_DRIVERS = (Path("/dev/dxg"), Path("/dev/kfd"))
"""Of Windows' Linux, and of AMD."""
NEEDED_DRIVER = {"11": "450", "12": "525", "13": "580"}
"""Oldest NVIDIA driver for each CUDA, by its first number (NVIDIA, CUDA Compatibility, table 1)."""


def may_have_gpu() -> bool:
    """Whether a driver is here. Light: torch, which knows for certain, is not asked."""
    return any(path.exists() for path in (DRIVER, *OTHER_DRIVERS))


def choose_device() -> str:
    """``cuda`` where torch can use a card, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def name_device(device: str) -> str:
    """What the manifest calls a device: the card's name, or how many threads of the CPU."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def describe_device() -> str:
    """Multiply two matrices on the device, check the product, and say where that was.

    Raises
    ------
    RuntimeError
        When the product is wrong, or the device refuses.
    """
    import torch

    device = choose_device()
    ones = torch.ones(256, 256, device=device)
    if float((ones @ ones)[0, 0]) != 256.0:
        raise RuntimeError(f"torch {torch.__version__} multiplies wrongly on {device}")
    if device == "cuda":
        return f"torch {torch.__version__} computes on {torch.cuda.get_device_name()}"
    if not DRIVER.exists():
        needed = NEEDED_DRIVER[max(NEEDED_DRIVER)]
        why = f"no GPU driver was found; for an NVIDIA card, install driver {needed} or newer and run: make setup-musicgen"
    elif torch.version.cuda is None:
        why = "an NVIDIA driver is here, but this is a build of torch for the CPU; run: make setup-musicgen"
    else:
        needed = NEEDED_DRIVER.get(torch.version.cuda.partition(".")[0], "a newer one")
        why = (
            f"torch, built for CUDA {torch.version.cuda}, cannot use the NVIDIA driver here; it needs {needed} or newer"
        )
    return f"torch {torch.__version__} computes on the CPU, {torch.get_num_threads()} threads: {why}"


if __name__ == "__main__":
    print(describe_device())
