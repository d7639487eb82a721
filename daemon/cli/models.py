"""What ``config/models.yaml`` says of models that need weights, read as plain YAML: which are here, what fetches the rest.

Whether a job can run is decided by the handler's own check. This is what can be said to a person without one.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.settings import Paths

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Command:
    """A command that fetches something, for a shell in the checkout."""

    run: str
    fetches: str
    """What, and how much."""


@dataclass(frozen=True)
class Entry:
    """One model of the manifest."""

    key: str
    summary: str
    not_played: str
    """Why this version cannot play it; empty: it can."""
    missing: tuple[Command, ...]
    """What has to be run before it plays; empty: it is here."""


def read_entries(paths: Paths) -> list[Entry]:
    """The models of ``config/models.yaml``, in its order.

    Raises
    ------
    ValueError
        When the file cannot be read or is not well written.
    """
    import yaml

    path = paths.config / "models.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [_entry(key, model, document, paths) for key, model in document["models"].items()]
    except (*UNREADABLE, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error


def commands_for(keys: list[str], paths: Paths) -> list[Command]:
    """Everything that has to be run before these models play, each command once, in order."""
    entries = {entry.key: entry for entry in read_entries(paths)}
    return list(dict.fromkeys(command for key in keys if key in entries for command in entries[key].missing))


def models_of(job_file: Path) -> list[str]:
    """The models that a job file names in its steps, each once; none where it cannot be read."""
    import yaml

    try:
        steps = yaml.safe_load(job_file.read_text(encoding="utf-8"))["steps"].values()
        return list(dict.fromkeys(step["model"] for step in steps if "model" in step))
    except (*UNREADABLE, yaml.YAMLError):
        return []


def _entry(key: str, model: dict[str, Any], document: dict[str, Any], paths: Paths) -> Entry:
    from daemon.settings import CHECKOUT

    commands: list[Command] = []
    if model["backend"] != "procedural":
        if any(PathFinder.find_spec(name) is None for name in ("torch", "audiocraft")):
            commands += [Command(entry["run"], entry["fetches"]) for entry in document.get("setup", ())]
        folder = paths.config.parent / "models"
        shown = folder.relative_to(CHECKOUT) if folder.is_relative_to(CHECKOUT) else folder
        for weights in model.get("weights", ()):
            # Whether a codec of its own is needed is known when the model is here; the job that waits says so.
            whole = all((folder / weights["folder"] / name).is_file() for name in weights["files"])
            if not whole and not weights.get("if_pointed_to"):
                size = weights.get("about_gb")
                commands.append(
                    Command(
                        weights["fetch"].replace("{models}", shlex.quote(str(shown))),
                        "size not known" if size is None else f"about {size:g} GB, computed",
                    )
                )
    return Entry(key, model["summary"], model.get("not_played", ""), tuple(commands))
