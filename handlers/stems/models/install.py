"""`make setup-musicgen`: torch in the build that fits this machine, audiocraft and what it imports, into this `.venv`.

Light: the standard library only. What is here already in the wanted versions is left alone, so it may run as often as
one likes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[3]
CONSTRAINTS = ROOT / "constraints-musicgen.txt"
NEEDED = ("einops", "julius", "omegaconf", "transformers", "huggingface_hub")
"""Of what audiocraft imports, all that MusicGen uses; its own pins (torch 2.1, numpy 1) contradict what works."""
DRIVERS, BUS = Path("/proc/driver/nvidia/gpus"), Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"
SIZES = {
    "cpu": "0.2 GB to fetch, 1.1 GB on disk (measured), where pip finds a build for the CPU alone",
    "cuda": "0.5 GB to fetch for torch (measured), and several GB of CUDA's libraries with it (not measured)",
}
UNKNOWN = ("No matching distribution found", "ResolutionImpossible")
"""What pip says of a version that no index has; the second where a file of constraints names the package."""
ROOM_BYTES = 1_500_000_000
"""Without so much free, not even the smaller build fits."""


def main(arguments: list[str] | None = None) -> int:
    """Install what is missing; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make setup-musicgen", description=__doc__)
    parser.add_argument("--build", choices=["auto", "cpu", "cuda"], default="auto")
    asked = parser.parse_args(arguments).build
    cards = driven_cards()
    build = asked if asked != "auto" else "cuda" if cards else "cpu"
    if asked != "auto":
        why = "asked for"
    elif cards:
        why = f"for {', '.join(cards)}"
    elif has_undriven_card():
        why = "an NVIDIA card is here, but not its driver; with driver 580 or newer, run this again"
    else:
        why = "no NVIDIA card was found"
    print(f"torch for {build.upper()}: {why}.")
    pins = read_pins(CONSTRAINTS)
    if installed_build() == build and not outdated(pins):
        print("It is here already, with all that MusicGen needs.")
        return 0
    free = shutil.disk_usage(sys.prefix).free
    print(
        f"Into {sys.prefix}: {SIZES[build]}. Free on this disk: {free / 1e9:.1f} GB. Weights are not fetched here.",
        flush=True,
    )
    if free < ROOM_BYTES:
        print(f"That is too little: make {ROOM_BYTES / 1e9:.1f} GB free, and run it again.", file=sys.stderr)
        return 1
    return install(build, pins)


def install(build: str, pins: dict[str, str]) -> int:
    """Run pip; returns its status."""
    if installed_build() != build or "torch" in outdated(pins):
        for requirement in torch_requirements(build, pins["torch"]):
            status, said = pip(requirement)
            if status == 0:
                break
            if not is_unknown(said):  # A disk that is full, a network that is away: no reason to take another build.
                return status
            print(f"pip knows no {requirement} here. (PIP_EXTRA_INDEX_URL can name an index that does.)", flush=True)
        else:
            return 1
    return pip(*NEEDED)[0] or pip("--no-deps", f"audiocraft=={pins['audiocraft']}")[0]


def pip(*words: str) -> tuple[int, str]:
    """Install something under both files of constraints; returns the exit status, and the complaints."""
    settings = ["--quiet", "--disable-pip-version-check", "--no-warn-conflicts"]
    constraints = ["-c", str(ROOT / "constraints.txt"), "-c", str(CONSTRAINTS)]
    command = [sys.executable, "-m", "pip", "install", *settings, *constraints, *words]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if not is_unknown(done.stderr):
        print(done.stderr, end="", file=sys.stderr)
    return done.returncode, done.stderr


def is_unknown(said: str) -> bool:
    """Whether pip complains that it knows no such version."""
    return any(words in said for words in UNKNOWN)


def torch_requirements(build: str, wanted: str) -> list[str]:
    """What to ask pip for, in this order, until it finds one.

    A build for the CPU alone is called ``2.13.0+cpu`` where pip can find one at all; the plain number is, on the usual
    index, the build for CUDA. Three equal signs match that name and no other, two match every build.
    """
    return [f"torch=={wanted}+cpu", f"torch=={wanted}"] if build == "cpu" else [f"torch==={wanted}", f"torch=={wanted}"]


def read_pins(path: Path) -> dict[str, str]:
    """The version of each package in a file of constraints."""
    found = (re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line.strip()) for line in path.read_text("utf-8").splitlines())
    return {match[1]: match[2] for match in found if match}


def outdated(pins: dict[str, str]) -> list[str]:
    """What is not here in its pinned version; the build of torch does not count."""
    return [name for name in ("torch", "audiocraft", *NEEDED) if _installed(name).partition("+")[0] != pins[name]]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def installed_build() -> str:
    """``cpu`` or ``cuda``, going by the text of torch's own note; empty without torch. It is not imported."""
    spec = PathFinder.find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    try:
        note = Path(spec.origin).with_name("version.py").read_text("utf-8")
    except OSError:
        return ""
    found = re.search(r"^cuda\b[^=]*=\s*(\S+)", note, re.MULTILINE)
    return "cuda" if found and found[1] != "None" else "cpu"


def driven_cards(drivers: Path = DRIVERS) -> list[str]:
    """The names of NVIDIA cards whose driver is loaded."""
    found = []
    for path in sorted(drivers.glob("*/information")):
        named = re.search(r"^Model:\s*(.+)$", path.read_text("utf-8", "replace"), re.MULTILINE)
        found.append(named[1].strip() if named else "an NVIDIA card")
    if found or shutil.which("nvidia-smi") is None:
        return found
    # In a container the tool may see what the file system does not show.
    answer = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []


def has_undriven_card(bus: Path = BUS) -> bool:
    """Whether the machine's bus shows an NVIDIA display device."""
    for device in bus.glob("*"):
        try:
            if (device / "vendor").read_text().strip() == NVIDIA and (device / "class").read_text().startswith(DISPLAY):
                return True
        except OSError:
            continue
    return False


if __name__ == "__main__":
    sys.exit(main())
