"""The handlers this installation knows: a dictionary from the word after `do:` to a :class:`~handlers.contract.Handler`.

Three sources, in this order: the ones shipped here, `handlers:` in the configuration, and the entry-point group
``drophammer.handlers`` of installed packages. One that fails to load is named in `problems` and skipped; it never
stops the daemon.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

from handlers.contract import Handler, Params, load

SHIPPED = (
    "handlers.stems.params:HANDLER",
    "handlers.beats.params:HANDLER",
    "handlers.textures.params:HANDLER",
    "handlers.mix.params:HANDLER",
    "handlers.archaeology.params:DISCOVER",
    "handlers.archaeology.params:SELECT",
    "handlers.archaeology.params:REPORT",
)
ENTRY_POINTS = "drophammer.handlers"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
LANES = ("gpu", "cpu")


@dataclass(frozen=True)
class Registry(Mapping[str, Handler]):
    """Handlers by name, and what could not be loaded, as ``(source, reason)``."""

    handlers: dict[str, Handler]
    problems: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, name: str) -> Handler:
        return self.handlers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.handlers)

    def __len__(self) -> int:
        return len(self.handlers)


def load_registry(extra: Iterable[str] = ()) -> Registry:
    """Load every handler.

    Parameters
    ----------
    extra
        ``"module:NAME"`` strings from the configuration.
    """
    handlers: dict[str, Handler] = {}
    problems: list[tuple[str, str]] = []
    targets = [*SHIPPED, *extra, *(point.value for point in entry_points(group=ENTRY_POINTS))]
    for target in dict.fromkeys(targets):
        try:
            handler = load(target)
        # A stranger's module may raise anything on import; it must not take the daemon with it.
        except (Exception, SystemExit) as error:
            problems.append((target, f"{type(error).__name__}: {error}"))
            continue
        if not isinstance(handler, Handler):
            problems.append((target, f"is a {type(handler).__name__}, not a handlers.contract.Handler"))
        elif not NAME.fullmatch(handler.name) or handler.lane not in LANES or not _are_params(handler.params):
            problems.append(
                (target, f"name {handler.name!r}, lane {handler.lane!r}, params {handler.params!r}: a name is lower-case "
                         f"letters, digits, - and _, a lane is {' or '.join(LANES)}, params a handlers.contract.Params")
            )  # fmt: skip
        elif handler.name in handlers:
            problems.append((target, f"a handler named {handler.name!r} is already there; rename one of the two"))
        else:
            handlers[handler.name] = handler
    return Registry(handlers, tuple(problems))


def _are_params(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Params)
