"""`schema`: JSON Schema of job files, for editors."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of job files, made from the handlers that are installed here.

    The examples name config/schema.json in their first line, so that editors complete and check them.

    Example: ./drophammer schema > config/schema.json
    """
    from daemon.schema import render
    from daemon.settings import home_folder, read_raw
    from handlers.registry import load_registry

    print(render(load_registry(read_raw(home_folder()).get("handlers") or [])), end="")
