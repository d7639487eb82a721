"""Which files of a model's weights lie in this installation's ``models/``, and how the others are fetched.

Light: no torch. The daemon asks this of every job that waits.
"""

from __future__ import annotations

import pickletools
import shlex
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path
from pickle import UnpicklingError

from handlers.stems.models.manifest import Model, Weights

STATE, CODEC = "state_dict.bin", "compression_state_dict.bin"
"""The two files of a model's own folder: the language model, and the codec that turns its tokens into sound."""
LIBRARIES = ("torch", "audiocraft", "transformers", "omegaconf", "einops", "julius")
POINTER_LIMIT_BYTES = 1 << 16
"""A codec file that only names another folder is some hundred bytes long; the smallest real codec is far larger."""


def models_folder(config_dir: Path) -> Path:
    """Where weights lie: ``models/`` beside ``config/``."""
    return config_dir.parent / "models"


def missing_libraries() -> list[str]:
    """What `make setup-musicgen` installs and is not here; looked for on disk, not imported."""
    # Asked of the path alone: the daemon's process refuses to look for heavy libraries in the usual way.
    return [name for name in LIBRARIES if PathFinder.find_spec(name) is None]


def missing_weights(model: Model, folder: Path) -> list[Weights]:
    """The model's weights that are not in `folder`, in the order of ``models.yaml``.

    A codec in a folder of its own counts only where the model's codec file is here and names it.
    """
    pointed_to = codec_pointer(folder / model.weights[0].folder / CODEC)
    named = pointed_to and Path(pointed_to).name
    return [
        weights
        for weights in model.weights
        if not all((folder / weights.folder / name).is_file() for name in weights.files)
        and (not weights.if_pointed_to or weights.folder == named)
    ]


def codec_pointer(path: Path) -> str | None:
    """The name that a codec file gives in place of a codec, such as ``facebook/encodec_32khz``.

    `None` where it is a codec, is not there, or cannot be read. The file's pickle is read as a list of instructions
    and not executed.
    """
    try:
        if path.stat().st_size > POINTER_LIMIT_BYTES:
            return None
        with zipfile.ZipFile(path) as archive:
            (entry,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            words = [word for _, word, _ in pickletools.genops(archive.read(entry)) if isinstance(word, str)]
        return words[words.index("pretrained") + 1]
    except (OSError, ValueError, IndexError, zipfile.BadZipFile, UnpicklingError):
        return None


def fetch_command(weights: Weights, folder: Path) -> str:
    """The command, for a shell in the checkout, that fetches one of a model's weights into `folder`."""
    return weights.fetch.replace("{models}", shlex.quote(str(folder)))


def describe_size(weights: Weights) -> str:
    """One of a model's weights with its size, as far as it is known."""
    if weights.about_gb is None:
        return f"{weights.repository} (size not known)"
    return f"{weights.repository} (about {weights.about_gb:g} GB, computed)"
