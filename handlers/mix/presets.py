"""What a mix is for, in one word: loudness, ceiling, formats and tags of each preset. Light: read by the daemon.

A key that the job names itself stands; the preset gives the others. Sources: Spotify and YouTube play at -14 LUFS,
Apple asks of podcasts -16 LUFS and -1 dBTP; -9 LUFS is about what club masters have; games keep their music low under
speech and effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["streaming", "club", "podcast", "game-loop"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "streaming": {
        "loudness": -14.0,
        "ceiling": -1.0,
        "formats": ["flac", {"mp3": {"kbps": 320}}, {"opus": {"kbps": 160}}],
        "tags": {"comment": "Mastered for streaming: -14 LUFS, -1 dBTP"},
    },
    "club": {
        "loudness": -9.0,
        "ceiling": -0.5,
        "lossy_ceiling": -0.5,
        "formats": [{"wav": {"bits": 24}}, {"mp3": {"kbps": 320}}],
        "tags": {"comment": "Mastered for clubs: -9 LUFS, -0.5 dBTP"},
    },
    "podcast": {
        "loudness": -16.0,
        "ceiling": -1.0,
        "formats": [{"mp3": {"kbps": 192}}, {"opus": {"kbps": 96}}],
        "tags": {"genre": "Podcast"},
    },
    "game-loop": {
        "loop": True,
        "loudness": -18.0,
        "ceiling": -3.0,
        "formats": [{"wav": {"bits": 16}}, {"ogg": {"quality": 6}}],
        "tags": {"genre": "Game", "comment": "Seamless loop: play the whole file, over and over"},
    },
}


def fill(keys: Mapping[str, Any]) -> dict[str, Any]:
    """A job's keys, and what its preset says where it says nothing."""
    table = PRESETS.get(keys.get("preset") or "", {})
    return {**{name: value for name, value in table.items() if name not in keys}, **keys}
