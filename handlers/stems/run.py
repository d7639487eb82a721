"""The `stems` handler: opens the model's backend, has it play, and delivers every stem that passes its checks.

What passing means is in :mod:`handlers.stems.acceptance`; how a take becomes a stem in :mod:`handlers.stems.fit`.
"""

from __future__ import annotations

from handlers.contract import Context, Invalid
from handlers.stems.backend import Backend
from handlers.stems.deliver import Delivery
from handlers.stems.instrument.check import check as check_instrument
from handlers.stems.models.check import fetch_command
from handlers.stems.models.manifest import Model, ModelsError, read_manifest
from handlers.stems.models.weights import missing_libraries, shelves
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style, StyleError, load_style
from handlers.stems.takes import make_takes

TAKEN = 0.9
"""Share of a stem's time until it is finished; the rest is writing and drawing."""


def run(params: StemsParams, context: Context) -> None:
    """Make `params.count` stems; items that an earlier attempt finished are skipped and change nothing for the rest."""
    wanted = [item for item in range(1, params.count + 1) if item not in context.completed]
    if not wanted:
        return
    try:
        style = load_style(context.config_dir / "styles", params.style)
        key, model = read_manifest(context.config_dir / "models.yaml").resolve(params.model)
    except (StyleError, ModelsError) as error:
        raise Invalid(str(error)) from error
    params = params.model_copy(update={"model": key})  # What is made says what an alias stood for.
    play(_open(params, style, model, context), wanted, params, style, model, context)


def play(
    backend: Backend, wanted: list[int], params: StemsParams, style: Style, model: Model, context: Context
) -> None:
    """Have a backend play the wanted items, as many at a time as it is wide, and deliver them."""
    delivery = Delivery(params, style, model, backend.facts, context)
    done = float(params.count - len(wanted))
    for start in range(0, len(wanted), backend.width):
        batch = wanted[start : start + backend.width]
        base = done

        def pulse(share: float, base: float = base, size: int = len(batch)) -> None:
            nonlocal done
            context.check_cancelled()
            done = max(done, base + TAKEN * size * share)
            context.progress("working", done, params.count, "stems")

        for finished in make_takes(backend, batch, params, style, context, pulse):
            delivery.deliver(finished)
        done = base + len(batch)
        context.progress("working", done, params.count, "stems")


def _open(params: StemsParams, style: Style, model: Model, context: Context) -> Backend:
    # Each brings libraries that the other does not need.
    if model.backend == "procedural":
        from handlers.stems.instrument.backend import open_instrument

        # Where it stands in for a model that is not here, nobody has asked it yet.
        for finding in check_instrument(params, style):
            if finding.kind == "error":
                raise Invalid(f"{finding.key}: {finding.message}")
            context.warn(finding.message)
        return open_instrument(params, style, model, context)
    if model.not_played:
        raise Invalid(f"model {params.model!r} cannot be played: {model.not_played}; write `model: procedural`")
    if missing := missing_libraries():
        raise Invalid(f"model {params.model!r} needs {', '.join(missing)}; run `make setup-musicgen` in the checkout")
    if shelves(context.config_dir).missing(model):
        raise Invalid(f"model {params.model!r} is not here; in the checkout, run `{fetch_command(params.model)}`")
    from handlers.stems.musicgen.backend import open_musicgen

    return open_musicgen(params, style, model, context)
