"""docs/beats.md and docs/beats.schema.json, made from what the code knows.

``python -m handlers.beats.document > docs/beats.md`` and ``python -m handlers.beats.result > docs/beats.schema.json``;
a test fails when a file and the code differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handlers.audio.grid.character import WORDS
from handlers.beats.result import VERSION, schema

HEAD = f"""# What `beats` finds

<!-- Made by `python -m handlers.beats.document > docs/beats.md`. Do not edit: change the docstrings it is made from. -->

One JSON file for each recording, and a picture. This page describes version {VERSION} of the JSON; it is written as a JSON Schema in
[beats.schema.json](beats.schema.json). All times are seconds from the start of the file. `tempo`, `beats`, `downbeats` and `onsets` are
plain numbers and lists at the top, so nothing but a JSON parser is needed:

```python
grid = json.load(open("kick-study.json"))
print(grid["tempo"], grid["beats"][:4], [section["label"] for section in grid["sections"]])
```
"""

EXPORTS = """
## Files on request

`exports: [midi, cues]` in a job, `--exports midi` on the command line.

| export | file | for |
|---|---|---|
| `audacity` | `_audacity-sections.txt`, `_audacity-beats.txt` | label tracks of Audacity, Reaper, Ardour: sections as regions, beats as `bar.beat` |
| `rekordbox` | `_rekordbox.xml` | rekordbox (File > Import): the grid as `TEMPO` marks, sections as memory cues, the key. Keep the audio lossless and where it is |
| `midi` | `_midi.mid` | any sequencer: laid at the start of the recording, its bar lines fall on the downbeats; sections are markers. The first bar or two are the lead-in, at the tempo that fits |
| `csv` | `_csv.csv` | spreadsheets: time, bar, beat, tempo and section of every beat |
| `cues` | `_cues.wav` | samplers and editors: a copy of the sound with a region for each section and a cue for each bar |
| `click` | `_click.flac` | your ears: a click on every beat, an octave higher on downbeats |

`rekordbox`, `midi`, `csv` and `click` need a beat; where there is none they are left out, with a warning.
"""

NO_MUSIC = """
## What is no music, or can hardly be read

| input | answer |
|---|---|
| silence, DC, dither | no beat (`tempo: null`, no beats, `beat_confidence` says how sure that is), no onsets, no key, one section |
| noise | no beat, no key, an onset every few seconds at most, one section |
| a lone click, two clicks, less than 2 s | no beat and no key; the clicks are the onsets |
| a drone, of hours too | no beat; a key where a pitch stands out; sections where its sound changes, on windows of 2 s (`first_bar: null`); its beginning is an onset, slow swells are none. Tones that beat against each other under 20 times a second may be told as onsets: they are heard as such |
| a stated `tempo` where there is no beat | no beat, with a warning |
| 1 to 192 kHz and more, any number of channels | as any other: all is heard at 22.05 kHz in mono. Under 1 kHz the job fails |
| NaN or infinity | the job fails and says where the first one is |
| damaged, truncated, empty, no audio | the job fails and says what is wrong with the file; nothing is delivered |
"""

MOOD = """
## Words for the mood

Each word follows from `character` and one rule; none is a matter of taste.

| word | when |
|---|---|
"""


def page() -> str:
    """The page's text."""
    described = schema()
    parts = [HEAD, "\n## Keys\n", *_table(described)]
    for name, definition in described["$defs"].items():  # type: ignore[union-attr]
        parts += [f"\n### {name}\n\n{definition.get('description', '')}\n", *_table(definition)]
    parts += [EXPORTS, NO_MUSIC, MOOD, *(f"| {word.word} | {word.rule} |\n" for word in WORDS)]
    return "".join(parts)


def _table(definition: dict[str, Any]) -> Iterator[str]:
    yield "\n| key | is | |\n|---|---|---|\n"
    for name, value in definition["properties"].items():
        yield f"| `{name}` | {_kind(value)} | {' '.join(value.get('description', '').split())} |\n"


def _kind(value: dict[str, Any]) -> str:
    """A type as people say it."""
    if "$ref" in value:
        return value["$ref"].rpartition("/")[2]
    if "anyOf" in value:
        return " or ".join(_kind(one) for one in value["anyOf"])
    if "const" in value:
        return str(value["const"])
    if value["type"] == "array":
        return f"list of {_kind(value['items'])}"
    return {
        "number": "number",
        "integer": "whole number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
    }[value["type"]]


if __name__ == "__main__":
    print(page(), end="")
