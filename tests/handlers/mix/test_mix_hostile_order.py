"""An order.txt is a text that somebody wrote: it plays what the job named or what lies beside it, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from handlers.contract import InputFile, Invalid
from handlers.mix.order import from_file

HOSTILE = {
    "climbing": "file '../outside/secret.wav'\n",
    "absolute": "file '{outside}/secret.wav'\n",
    "somewhere": "file /etc/passwd\n",
    "link": "file leads-out/secret.wav\n",
    "fifo": "file fifo.wav\n",
    "folder": "file .\n",
    "nothing": "file ''\n",
    "nul": "file 'a\0.wav'\n",
    "escape": "file 'a\x1b[31m.wav'\n",
    "not-utf-8": b"file a\xff.wav\n",
    "long-name": "file '" + "a" * 5000 + "'\n",
    "long-line": "file " + "a/" * 500_000 + "\n",
    "quotes": "file " + "'" * 100_001 + "\n",
    "too-many": "file piece-1.wav\n" * 100_000,
    "too-large": "# nothing\n" * 500_000,
    "protocol": "file 'http://example.com/x.wav'\n",
}


@pytest.fixture
def pieces(tmp_path: Path) -> list[InputFile]:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.wav").touch()
    (inside / "leads-out").symlink_to(outside)
    os.mkfifo(inside / "fifo.wav")
    return [InputFile(inside / "deep" / f"piece-{number}.wav", f"piece-{number}", "") for number in range(50)]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_order_is_refused_in_words(tmp_path: Path, pieces: list[InputFile], name: str) -> None:
    content = HOSTILE[name]
    if isinstance(content, str):
        content = content.replace("{outside}", str(tmp_path / "outside")).encode()
    (tmp_path / "inside" / "order.txt").write_bytes(content)
    with pytest.raises(Invalid) as refused:
        from_file(InputFile(tmp_path / "inside" / "order.txt", "./order.txt", ""), pieces, Path("./order.txt"))
    assert str(refused.value).isprintable(), ascii(str(refused.value))


def test_the_longest_order_is_followed(tmp_path: Path, pieces: list[InputFile]) -> None:
    text = "".join(f"file 'd:/elsewhere/{place}/deep/piece-{place % 50}.wav'\n" for place in range(10_000))
    (tmp_path / "inside" / "order.txt").write_text(text)
    found = from_file(InputFile(tmp_path / "inside" / "order.txt", "./order.txt", ""), pieces, Path("./order.txt"))
    assert [piece.label for piece in found] == [f"piece-{place % 50}" for place in range(10_000)]
