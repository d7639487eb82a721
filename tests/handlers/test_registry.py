"""The registry: a stranger's handler that is wrong is named and left out, and nothing else suffers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from handlers.registry import load_registry

HEAD = "from handlers.contract import Handler, Params\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import no_such_library", "ModuleNotFoundError"),
        ("x = 1", "AttributeError"),
        ("HANDLER = 'beats'", "is a str"),
        (HEAD + "HANDLER = Handler('beats', '', Params, 'a:b')", "already there"),
        (HEAD + "HANDLER = Handler('../up', '', Params, 'a:b')", "'../up'"),
        (HEAD + "HANDLER = Handler('up', '', Params, 'a:b', lane='tpu')", "lane 'tpu'"),
        (HEAD + "HANDLER = Handler('up', '', dict, 'a:b')", "params <class 'dict'>"),
    ],
)
def test_a_handler_that_is_wrong_is_named_and_the_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    (tmp_path / "stranger.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stranger", raising=False)
    registry = load_registry(["stranger:HANDLER"])
    ((target, reason),) = registry.problems
    assert target == "stranger:HANDLER" and said in reason
    assert {"stems", "beats", "textures", "mix"} <= set(registry)
    sys.modules.pop("stranger", None)


def test_a_good_one_is_known_by_its_name() -> None:
    registry = load_registry(["tests.probes:HANDLER"])
    assert registry.problems == () and registry["probe"].lane == "cpu"
