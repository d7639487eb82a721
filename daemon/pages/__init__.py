"""What a person sees in a finished job's folder: `report.md`, `index.html`, `compare.md` of several seeds, and
`reason.txt` when it failed.

Drawn from the manifest and nothing else, on the daemon's errands thread: standard library and the YAML parser only.
Everything in a manifest is untrusted text (names, prompts, messages); each page escapes it by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.pages import compare, index, reason, report, view


def write(folder: Path, manifest: Mapping[str, Any], *, outbox: str = "outbox") -> list[Path]:
    """Write the pages of one job into its folder.

    Parameters
    ----------
    folder
        Where the job's files are, or will be: the pages link to them by name.
    manifest
        As :func:`daemon.manifest.build` makes it.
    outbox
        The outbox as a person types it in the checkout; it stands in the commands that the pages show.

    Returns
    -------
    paths
        What was written.
    """
    page = view.parse(manifest, outbox)
    texts = {"report.md": report.write(page), "index.html": index.write(page)}
    if page.seeds:
        texts["compare.md"] = compare.write(page)
    if page.job["state"] != "done":
        texts["reason.txt"] = reason.write(page)
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
