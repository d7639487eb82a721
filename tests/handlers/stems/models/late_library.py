"""Loaded into a real daemon by its configuration: from then on MusicGen needs the library that the environment names."""

from __future__ import annotations

import os

from handlers.contract import Handler, Params
from handlers.stems.models import weights

VARIABLE = "LATE_LIBRARY"
if VARIABLE in os.environ:
    weights.LIBRARIES = (*weights.LIBRARIES, os.environ[VARIABLE])

HANDLER = Handler("late", "does nothing; its module is what counts", Params, run="nowhere:run")
