"""Configuration: `config/defaults.yaml`, overlaid with `config/drophammer.yaml`, validated whole into frozen objects.

Reading commands need only :func:`locate`, which does not import pydantic; the daemon needs :func:`load`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from daemon.settings_model import Settings

CHECKOUT = Path(__file__).resolve().parent.parent
HOME_VARIABLE = "DROPHAMMER_HOME"


class SettingsError(Exception):
    """The configuration cannot be used; the message names file, key, value and what would be right."""


@dataclass(frozen=True)
class Paths:
    """Where everything of one installation lies. All absolute."""

    home: Path
    config: Path
    inboxes: tuple[Path, ...]
    outbox: Path
    state: Path

    @property
    def ledger(self) -> Path:
        return self.state / "ledger.sqlite3"

    @property
    def socket(self) -> Path:
        return self.state / "control.sock"

    @property
    def lock(self) -> Path:
        return self.state / "daemon.lock"

    @property
    def cache(self) -> Path:
        return self.state / "cache"

    @property
    def staging(self) -> Path:
        return self.outbox / ".staging"

    @property
    def failed(self) -> Path:
        return self.outbox / "failed"


def home_folder() -> Path:
    """The installation's folder: ``$DROPHAMMER_HOME``, else this checkout."""
    return Path(os.environ.get(HOME_VARIABLE) or CHECKOUT).expanduser().resolve()


def read_raw(home: Path) -> dict[str, Any]:
    """Read and overlay the two files; keys are checked against the defaults, values are not."""
    defaults_file = home / "config" / "defaults.yaml"
    if not defaults_file.exists():
        defaults_file = CHECKOUT / "config" / "defaults.yaml"
    defaults = _read_mapping(defaults_file)
    user_file = home / "config" / "drophammer.yaml"
    if not user_file.exists():
        return defaults
    return _overlay(defaults, _read_mapping(user_file), user_file, "")


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must hold `key: value` lines, found {type(content).__name__}")
    return content


FREE_KEYS = ("deliver", "handler_lanes")
"""Mappings whose keys are the person's own words."""


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any], source: Path, prefix: str) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        if key not in base:
            nearest = difflib.get_close_matches(str(key), [str(known) for known in base], 1)
            hint = f"; did you mean `{prefix}{nearest[0]}`?" if nearest else ""
            raise SettingsError(f"{source}: unknown key `{prefix}{key}`{hint} (config/defaults.yaml lists every key)")
        nested = isinstance(base[key], dict) and prefix + str(key) not in FREE_KEYS
        if nested and not isinstance(value, dict):
            raise SettingsError(f"{source}: `{prefix}{key}` must be a mapping, found {value!r}")
        result[key] = _overlay(base[key], value, source, f"{prefix}{key}.") if nested else value
    return result


def resolve_folder(home: Path, value: object, key: str) -> Path:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"`{key}` must be a folder's path, found {value!r}")
    # Links are followed once, here: whoever opens a file later refuses those it meets on the way.
    return Path(os.path.realpath(home / Path(value).expanduser()))


def locate(home: Path | None = None, raw: Mapping[str, Any] | None = None) -> Paths:
    """Find the folders without validating the rest."""
    home = home or home_folder()
    raw = read_raw(home) if raw is None else raw
    inboxes = raw["inboxes"]
    if not isinstance(inboxes, list) or not inboxes:
        raise SettingsError(f"`inboxes` must list at least one folder, found {inboxes!r}")
    return Paths(
        home=home,
        config=home / "config",
        inboxes=tuple(resolve_folder(home, folder, "inboxes") for folder in inboxes),
        outbox=resolve_folder(home, raw["outbox"], "outbox"),
        state=resolve_folder(home, raw["state"], "state"),
    )


def load(home: Path | None = None) -> Settings:
    """Read, overlay and validate the configuration.

    Raises
    ------
    SettingsError
        With every problem of the file in one message.
    """
    from pydantic import ValidationError

    from daemon.settings_model import Settings

    home = home or home_folder()
    raw = read_raw(home)
    paths = locate(home, raw)
    try:
        return Settings.model_validate({**raw, "paths": paths}, context={"home": home})
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')} (found {e['input']!r})"
            for e in error.errors()
        ]
        raise SettingsError("\n".join([f"{home / 'config' / 'drophammer.yaml'}:", *lines])) from None


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def parse_seconds(value: object) -> object:
    """``90``, ``"90s"``, ``"60m"``, ``"2h"``, ``"7d"`` → seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value.strip(), re.ASCII)
        if not match:
            raise ValueError("write seconds (90), or a number with s, m, h or d (60m)")
        return float(match[1]) * _UNITS[match[2]]
    return value


def parse_size(value: object) -> object:
    """``1024``, ``"512MiB"``, ``"8GiB"`` → bytes."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]iB|B)", value.strip(), re.ASCII)
        if not match:
            raise ValueError("write bytes, or a number with KiB, MiB, GiB or TiB (512MiB)")
        return int(float(match[1]) * _SIZES[match[2]])
    return value
