"""A finished stem on disk: the formats asked for, its layers, and what goes beside it; nothing else is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handlers.audio import files, picture
from handlers.audio.defects import measure_energy
from handlers.audio.delivery.choices import FormatChoice, WavSettings
from handlers.audio.delivery.encode import encoding_of
from handlers.audio.delivery.loop_points import write_loop
from handlers.audio.delivery.lossy import write_under
from handlers.contract import Context
from handlers.stems.fit import CEILING_DBTP
from handlers.stems.models.manifest import Model
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style
from handlers.stems.takes import Finished

LOSSLESS = ("wav", "flac")
LAYER_BITS = 24
"""At least: the rounding of four layers then stays 130 dB under full scale."""


@dataclass(frozen=True)
class Delivery:
    """Writes and emits the stems of one step."""

    params: StemsParams
    style: Style
    model: Model
    backend_facts: Mapping[str, Any]
    context: Context

    def deliver(self, finished: Finished) -> None:
        """Write one stem and emit it, the primary last."""
        item, best, context = finished.item, finished.best, self.context
        fitted = best.fitted
        facts = self._facts(finished)
        renditions = []
        primary: tuple[Path, dict[str, Any]] | None = None
        for choice in self.params.formats:
            path = context.workdir / f"{item}.{choice.name}"
            written = self._write(path, choice, fitted.audio, item, facts)
            context.check_cancelled()
            if primary is None:
                primary = path, written
            else:
                renditions.append((path, written))
        assert primary is not None, "formats has at least one entry"
        self._emit_sidecars(finished, facts)
        for name, layer in fitted.layers.items():
            choice = _layer_format(self.params.formats[0])
            path = context.workdir / f"{item}.{name}.{choice.name}"
            self._write(path, choice, layer, item, {**facts, "layer": name})
            context.check_cancelled()
            context.emit(item, path, "part", label=name)
        for path, written in renditions:
            context.emit(item, path, "rendition", **written)
        path, written = primary
        context.emit(item, path, **{**facts, **written})

    def _write(
        self, path: Path, choice: FormatChoice, audio: np.ndarray, item: int, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write one file; return what is true of it alone."""
        how, rate = encoding_of(choice), self.params.sample_rate
        tags = self._tags(item, facts)
        written: dict[str, Any] = {"format": how.format, "subtype": how.subtype}
        if choice.name in LOSSLESS:
            files.write(path, audio, rate, how=how, tags=tags)
            if self.params.loop and choice.name == "wav":
                write_loop(path, 0, audio.shape[1] - 1, rate)
            return written
        loudness, gain_db = write_under(
            path, audio, rate, CEILING_DBTP, how=how, tags=tags, pulse=self.context.check_cancelled
        )
        measured = loudness.facts()
        if gain_db:
            written["encoder_gain_db"] = round(gain_db, 2)
        return {**written, "integrated_lufs": measured["integrated_lufs"], "true_peak_dbtp": measured["true_peak_dbtp"]}

    def _tags(self, item: int, facts: Mapping[str, Any]) -> dict[str, str]:
        kept = ("prompt", "style", "seed", "take", "model", "licence", "tempo_bpm", "tempo_measured_bpm", "key",
                "layer", "weights_sha256")  # fmt: skip
        made = {"step": self.context.step, "item": item}
        made |= {name: facts[name] for name in kept if facts.get(name) is not None}
        title = f"{self.context.job_name} {self.context.step} {item}"
        return {
            "title": f"{title} {facts['layer']}" if "layer" in facts else title,
            "genre": self.style.family,
            "license": self.model.licence,
            "software": "Drophammer",
            # In ASCII: libsndfile marks the UTF-8 of an MP3's tags as Latin-1.
            "comment": json.dumps({"drophammer": made}),
        }

    def _facts(self, finished: Finished) -> dict[str, Any]:
        fitted, take, verdict = finished.best.fitted, finished.best.take, finished.best.verdict
        loudness = fitted.loudness.facts()
        heard: dict[str, Any] = {}
        if not take.grid:
            from handlers.stems.hear import hear  # The tracker, which only this needs.

            heard = hear(fitted.audio, fitted.sample_rate)
        facts = {
            **self.backend_facts,
            **take.facts,
            **heard,
            **fitted.facts,
            "style": self.style.name,
            "model": self.params.model,
            "licence": self.model.licence,
            "seed": self.context.seed,
            "take": finished.best.number,
            "duration_s": fitted.audio.shape[1] / fitted.sample_rate,
            "sample_rate": fitted.sample_rate,
            "channels": fitted.audio.shape[0],
            "integrated_lufs": loudness["integrated_lufs"],
            "true_peak_dbtp": loudness["true_peak_dbtp"],
            "gate": {
                "passed": verdict.passed,
                "failed": [rule.name for rule in verdict.failed],
                "takes": len(finished.tried),
            },
            "takes": list(finished.tried),
            "energy_db": measure_energy(fitted.audio),
        }
        if fitted.seam:
            facts |= {"loop": True, "seam": {**fitted.seam.facts(), "faults": list(fitted.seam_faults)}}
        if fitted.grid and (sections := fitted.grid.get("sections")):
            facts["sections"] = [{name: entry[name] for name in ("start_s", "end_s", "label")} for entry in sections]
        return facts

    def _emit_sidecars(self, finished: Finished, facts: Mapping[str, Any]) -> None:
        item, fitted, take, context = finished.item, finished.best.fitted, finished.best.take, self.context
        if fitted.grid:
            path = context.workdir / f"{item}.grid.json"
            path.write_text(json.dumps(fitted.grid, indent=1) + "\n", encoding="utf-8")
            context.emit(item, path, "sidecar", label="grid")
        path = context.workdir / f"{item}.png"
        self._draw(path, finished, facts)
        context.check_cancelled()
        context.emit(item, path, "sidecar", label="picture")
        for label, (suffix, content) in take.sidecars.items():
            path = context.workdir / f"{item}.{label}{suffix}"
            path.write_bytes(content)
            context.emit(item, path, "sidecar", label=label)
        if take.log or len(finished.tried) > 1 or not finished.best.verdict.passed:
            path = context.workdir / f"{item}.log"
            path.write_text("\n".join(_log(finished, facts)) + "\n", encoding="utf-8")
            context.emit(item, path, "sidecar", label="log")

    def _draw(self, path: Path, finished: Finished, facts: Mapping[str, Any]) -> None:
        fitted = finished.best.fitted
        grid = fitted.grid or {}
        tempo_bpm = facts.get("tempo_bpm") or facts.get("tempo_measured_bpm")
        words = [self.style.name, f"{tempo_bpm:g} BPM" if tempo_bpm else self.params.model]
        words += [key] if (key := facts.get("key")) else []
        picture.draw(
            path,
            fitted.audio,
            fitted.sample_rate,
            beats_s=grid.get("beats_s", ()),
            downbeats_s=grid.get("downbeats_s", ()),
            sections=[(entry["start_s"], entry["end_s"], entry["label"]) for entry in facts.get("sections", ())],
            title="  ".join([*words, f"seed {self.context.seed}/{finished.item}"]),
        )


def _layer_format(first: FormatChoice) -> FormatChoice:
    """The first format where it keeps samples, in at least 24 bits; else WAV."""
    if first.name not in LOSSLESS:
        return FormatChoice(wav=WavSettings())
    settings = first.wav or first.flac
    assert settings is not None, "a lossless format has settings"
    bits = settings.bits and max(settings.bits, LAYER_BITS)
    return FormatChoice.model_validate({first.name: {"bits": bits}})


def _log(finished: Finished, facts: Mapping[str, Any]) -> Sequence[str]:
    best = finished.best
    lines = list(best.take.log) or [f"prompt: {facts.get('prompt', '')}"]
    for tried in finished.tried:
        failed = ", ".join(tried["failed"])
        measured = ", ".join(f"{name} {value}" for name, value in tried["measured"].items())
        lines.append(f"take {tried['take'] + 1}: {'failed ' + failed if failed else 'passed'} ({measured})")
    lines.append(f"delivered: take {best.number + 1}" + ("" if best.verdict.passed else ", which did not pass"))
    return lines
