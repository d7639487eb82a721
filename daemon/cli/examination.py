"""The single examinations behind `doctor`. Each yields findings and never raises for what it is there to find."""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli import gpu, places
from daemon.cli.places import FAIL, OK, WARN, Found

if TYPE_CHECKING:
    from daemon.settings_model import Settings

CODEC_ASK_S = 60.0
CODECS = {"WAV": "WAV", "FLAC": "FLAC", "MP3": "MP3", "OGG": "OGG (Vorbis)", "AIFF": "AIFF"}
PYTHON = (3, 11)
LEVELS = {"ok": OK, "warning": WARN, "missing": WARN, "error": FAIL}
"""Of what handlers find, in the doctor's words."""


def examine() -> Iterator[Found]:
    """Everything, in the order in which it should be mended."""
    from daemon.settings import SettingsError, load

    yield from _python()
    yield from _platform()
    yield from _foreign_package()
    try:
        settings = load()
    except SettingsError as error:
        yield Found(
            FAIL, "configuration", str(error), "correct config/drophammer.yaml; config/defaults.yaml lists every key"
        )
        return
    yield Found(OK, "configuration", "valid")
    yield from places.folders(settings)
    yield from places.filesystems(settings)
    yield from places.inotify(settings)
    yield from places.disk(settings)
    yield from places.outbox_growth(settings)
    yield from _handlers(settings)
    yield from _said_by_handlers(settings)
    yield from _codecs()
    yield from _gpu()
    yield from _schedules(settings)
    yield from _daemon(settings)


def _python() -> Iterator[Found]:
    version = platform.python_version()
    if sys.version_info < PYTHON:
        yield Found(FAIL, "Python", version, "install Python 3.11 or newer, then: make setup")
    else:
        yield Found(OK, "Python", f"{version} in {sys.prefix}")


def _platform() -> Iterator[Found]:
    if sys.platform == "linux":
        yield Found(OK, "system", f"Linux {platform.release()}")
    else:
        missing = "no inotify (folders are polled), no read leases (files are taken after `settle`), no death signal for workers, no systemd"
        yield Found(
            FAIL, "system", f"{platform.system()}: {missing}", "Linux is supported; run it there, or in a container"
        )


def _foreign_package() -> Iterator[Found]:
    from daemon.settings import CHECKOUT

    spec = importlib.util.find_spec("daemon")
    origin = Path(spec.origin or "") if spec else Path()
    if not origin.is_relative_to(CHECKOUT):
        yield Found(FAIL, "package daemon", f"comes from {origin}", "pip uninstall python-daemon in this environment")
        return
    others = [
        entry
        for entry in sys.path
        if entry and Path(entry, "daemon", "__init__.py").exists() and Path(entry).resolve() != CHECKOUT
    ]
    if others:
        yield Found(
            WARN,
            "package daemon",
            f"another one lies in {', '.join(others)}",
            "pip uninstall python-daemon in this environment",
        )
    else:
        yield Found(OK, "package daemon", "ours")


def _handlers(settings: Settings) -> Iterator[Found]:
    from handlers.registry import load_registry

    registry = load_registry(settings.handlers)
    yield Found(OK if registry else FAIL, "handlers", ", ".join(registry) or "none loaded")
    for source, reason in registry.problems:
        yield Found(FAIL, "handler", f"{source}: {reason}", "mend or remove it; all others work")


def _said_by_handlers(settings: Settings) -> Iterator[Found]:
    """What handlers say of themselves: models, libraries."""
    from daemon.documents.outlook import HandlerFault, ask
    from handlers.contract import World
    from handlers.registry import load_registry

    world = World(settings.paths.config, settings.paths.state)
    for handler in load_registry(settings.handlers).values():
        if handler.examine is None:
            continue
        try:
            findings = ask(handler.examine, handler, world)
        except HandlerFault as error:
            yield Found(FAIL, handler.name, str(error), "mend or remove it; all others work")
            continue
        for finding in findings:
            yield Found(LEVELS[finding.kind], finding.key, finding.message, finding.remedy)


def _codecs() -> Iterator[Found]:
    # In another process: the libraries are heavy, and a broken one must not end the doctor.
    script = "import json, soundfile; print(json.dumps([soundfile.__libsndfile_version__, sorted(soundfile.available_formats())]))"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=CODEC_ASK_S, check=False
        )
    except subprocess.TimeoutExpired:
        yield Found(FAIL, "codecs", f"soundfile did not answer within {CODEC_ASK_S:g} s", "make setup")
        return
    if answer.returncode != 0:
        yield Found(
            FAIL, "codecs", answer.stderr.strip().rpartition("\n")[2] or "soundfile does not load", "make setup"
        )
        return
    version, formats = json.loads(answer.stdout)
    missing = [name for key, name in CODECS.items() if key not in formats]
    if missing:
        yield Found(
            WARN,
            "codecs",
            f"libsndfile {version} cannot write {', '.join(missing)}",
            "libsndfile 1.1 or newer writes MP3: make setup",
        )
    else:
        yield Found(OK, "codecs", f"libsndfile {version}: {', '.join(CODECS.values())}")


def _gpu() -> Iterator[Found]:
    names = gpu.names()
    if not names:
        yield Found(OK, "GPU", "none found: the built-in instrument does not need one")
        return
    yield Found(OK, "GPU", "; ".join(gpu.memory() or names))


def _schedules(settings: Settings) -> Iterator[Found]:
    from daemon import schedule
    from daemon.documents import DocumentError
    from daemon.settings import SettingsError

    try:
        found = schedule.read(settings.paths.config / "schedules.yaml")
    except (DocumentError, SettingsError, ValueError, OSError) as error:
        yield Found(FAIL, "schedules", str(error), "correct config/schedules.yaml")
        return
    yield Found(OK, "schedules", f"{len(found)} ({sum(entry.enabled for entry in found)} enabled)")


def _daemon(settings: Settings) -> Iterator[Found]:
    from daemon.control import ControlError, ask

    answer: dict[str, Any]
    try:
        answer = ask(settings.paths, {"do": "status"})
    except ControlError as error:
        yield Found(WARN, "daemon", str(error), "./drophammer run, or for good: ./drophammer service install")
        return
    if answer.get("obstacle"):
        yield Found(FAIL, "daemon", f"process {answer['pid']}, parked: {answer['obstacle']}", "see the message")
    else:
        yield Found(OK, "daemon", f"process {answer['pid']}, version {answer['version']}")
