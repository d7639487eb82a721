"""The import law of the house, read off the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CAPABILITIES = sorted(
    path.name for path in (ROOT / "handlers").iterdir() if path.is_dir() and path.name not in ("audio", "__pycache__")
)


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files("daemon"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_daemon_knows_only_the_contract_and_the_registry(path: Path) -> None:
    for name in imports(path):
        if name.partition(".")[0] == "handlers":
            assert name.startswith(("handlers.contract", "handlers.registry")), f"imports {name}"


@pytest.mark.parametrize("path", files("handlers"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_handler_knows_nothing_of_the_daemon(path: Path) -> None:
    assert not [name for name in imports(path) if name.partition(".")[0] == "daemon"]


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_capabilities_do_not_import_each_other(capability: str) -> None:
    allowed = ("handlers.contract", "handlers.audio", f"handlers.{capability}")
    for path in files(f"handlers/{capability}"):
        for name in imports(path):
            if name.startswith("handlers."):
                assert name.startswith(allowed), f"{path.name} imports {name}"


def test_the_ground_floor_imports_no_capability() -> None:
    for path in files("handlers/audio"):
        for name in imports(path):
            if name.startswith("handlers."):
                assert name.startswith(("handlers.contract", "handlers.audio")), f"{path.name} imports {name}"
