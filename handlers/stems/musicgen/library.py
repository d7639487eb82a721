"""audiocraft and what it is built on, imported with the stand-ins in place and the network out of the way. Heavy.

Every module here that needs a name of theirs takes it from here, so that the order of imports never matters.
"""

from __future__ import annotations

import os
import warnings

# Read by huggingface_hub when it is imported, which is below: nothing here may ask the network for a file.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

from handlers.stems.musicgen import audiocraft_shim

audiocraft_shim.install()
with warnings.catch_warnings():
    # Deprecations in libraries that are pinned for audiocraft's sake: nothing that anybody here could act on.
    warnings.simplefilter("ignore")
    from audiocraft.models import MusicGen, builders
    from audiocraft.models.encodec import CompressionModel, HFEncodecCompressionModel, HFEncodecModel
    from audiocraft.models.lm import LMModel
    from audiocraft.modules.chroma import ChromaExtractor
    from audiocraft.modules.conditioners import (
        ChromaStemConditioner,
        ClassifierFreeGuidanceDropout,
        ConditioningAttributes,
        T5Conditioner,
        WavCondition,
        WaveformConditioner,
    )
    from audiocraft.utils.autocast import TorchAutocast
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from safetensors import SafetensorError, safe_open
    from transformers import T5Tokenizer

__all__ = [
    "ChromaExtractor", "ChromaStemConditioner", "ClassifierFreeGuidanceDropout", "CompressionModel", "ConditioningAttributes",
    "DictConfig", "HFEncodecCompressionModel", "HFEncodecModel", "LMModel", "MusicGen", "OmegaConf", "OmegaConfBaseException",
    "SafetensorError", "T5Conditioner", "T5Tokenizer", "TorchAutocast", "WavCondition", "WaveformConditioner", "builders",
    "safe_open",
]  # fmt: skip
