"""The job file that repeats or varies a job: the person's own text, with the seed it was made with.

Their comments, order and spacing stay; only the seed is put in its place, found by the YAML parser and not by pattern.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from hashlib import sha256

import yaml

Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SEEDS = 2**32


@dataclass(frozen=True)
class SeededText:
    """A job file with a hole where its seed stands."""

    before: str
    after: str
    named: bool
    """The file itself named a seed."""
    plain: bool
    """Its first line may be put before it: a plain mapping from column 1, no document marker."""

    def with_seed(self, seed: int) -> str:
        return f"{self.before}{seed}{self.after}"


def find_seed(document: str) -> SeededText | None:
    """Find where the seed of a job file stands, or would; None when the text is not a YAML mapping."""
    text = document.removeprefix("\ufeff")
    try:
        root = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError:
        return None
    if not isinstance(root, yaml.MappingNode) or not root.value:
        return None
    for key, value in root.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "seed":
            if not isinstance(value, yaml.ScalarNode):
                return None
            named = bool(value.style) or value.value not in ("", "~", "null", "Null", "NULL")
            space = "" if text[value.start_mark.index - 1 : value.start_mark.index].isspace() else " "
            return SeededText(text[: value.start_mark.index] + space, text[value.end_mark.index :], named, False)
    first = root.value[0][0].start_mark
    before, after = text[: first.index], text[first.index :]
    if root.flow_style:
        return SeededText(before + "seed: ", ", " + after, False, False)
    plain = first.column == 0 and text == document and not any(line.startswith(("---", "%")) for line in before.splitlines())
    return SeededText(before + "seed: ", "\n" + " " * first.column + after, False, plain)


def other_seed(seed: int, job_id: str) -> int:
    """Draw another seed, the same for the same job each time the page is made."""
    drawn = int.from_bytes(sha256(f"{job_id}/{seed}".encode()).digest()[:4])
    return drawn if drawn != seed else (drawn + 1) % SEEDS


def resubmit(place: str) -> str:
    """Return the shell command that submits a published `job.yaml` as it is."""
    return f"./drophammer submit {shlex.quote(f'{place}/job.yaml')}"


def command(place: str, name: str, seed: int, text: SeededText | None) -> str | None:
    """Return the shell command that repeats a job from its published `job.yaml`; None when no single line does.

    Parameters
    ----------
    place
        The job's folder, as seen from the checkout: ``outbox/20261121-020315-industrial-set-0042``.
    name
        The job's name; a file that names no seed is copied under it, with the seed on its first line.
    """
    source = shlex.quote(f"{place}/job.yaml")
    if text is not None and text.named:
        return resubmit(place)
    if text is not None and text.plain:
        copy = shlex.quote(f"{name}.yaml")
        return f"(echo 'seed: {seed}'; cat {source}) > {copy} && ./drophammer submit {copy}"
    return None
