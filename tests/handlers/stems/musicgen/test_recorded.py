"""Weights that are not the ones that were fetched are refused before the model is built."""

from __future__ import annotations

import hashlib

import pytest

from handlers.contract import Invalid
from handlers.stems.models.records import FileRecord, Record, write_record
from handlers.stems.run import run
from tests.handlers.stems.musicgen.conftest import request_for


def test_a_file_with_another_hash_than_recorded_is_named_and_nothing_is_played(context_at, home):
    path = home / "models" / "small" / "state_dict.bin"
    content = path.read_bytes()
    known = FileRecord(hashlib.sha256(content).hexdigest(), len(content))
    write_record(home / "models", "small", Record("x/small", "1" * 40, {"state_dict.bin": known}))
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    context = context_at(home)
    with pytest.raises(Invalid, match=rf"state_dict\.bin is damaged.*must be {known.sha256}.*models fetch"):
        run(request_for(), context)
    assert context.models == {}
