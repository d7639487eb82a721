"""Which pieces are played, in which order: as a job gives it, by turns, from an order.txt, or found by a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path, PurePath

from handlers.audio.delivery.concat import Entry, read_concat
from handlers.audio.formats import READABLE, UNSUPPORTED
from handlers.contract import Context, InputFile, Invalid
from handlers.mix.params import MixParams, Planned

MOST_PIECES = 10_000


def given_order(params: MixParams, context: Context) -> list[InputFile]:
    """The pieces in the order that the job gives, once through; those of `order: auto` as they are listed.

    Raises
    ------
    Invalid
        When a reference holds nothing, or an order.txt cannot be followed.
    """
    if isinstance(params.order, str):
        return from_file(context.inputs[params.order][0], _behind(params, context), Path(params.order))
    if params.interleave:
        turns = zip_longest(*(_files(f"interleave.{n}", one, context) for n, one in enumerate(params.interleave, 1)))
        return [file for turn in turns for file in turn if file is not None]
    return _behind(params, context)


def _behind(params: MixParams, context: Context) -> list[InputFile]:
    key = "pieces" if params.order is Planned.AUTO or isinstance(params.order, str) else "order"
    return [file for number, one in enumerate(params.references, 1) for file in _files(f"{key}.{number}", one, context)]


def _files(key: str, reference: str, context: Context) -> list[InputFile]:
    found = context.inputs.get(reference)
    if not found:
        raise Invalid(f"{key}: {reference!r} holds no audio; name a step, an item or a file that is there")
    return list(found)


def from_file(order: InputFile, pieces: Sequence[InputFile], written: Path) -> list[InputFile]:
    """Follow an order.txt.

    A line means one of `pieces`, by where that lies or will lie, as far back as it takes to tell them apart; else a file
    beside the order or below its folder. Nothing else is opened: a text that came from elsewhere reads no files of ours.

    Parameters
    ----------
    order
        The order.txt.
    pieces
        What the job has named beside it.
    written
        How the job writes the order's path, for labels.
    """
    if order.path.suffix.lower() in READABLE | UNSUPPORTED:
        raise Invalid(f"order: {order.label} is audio; an order of one piece is a list: order: [{order.label}]")
    found = []
    ends = _ends(pieces)
    for entry in read_concat(order.path):
        piece = _named(entry, pieces, ends) or _beside(entry, order, written)
        if piece is None:
            known = ", ".join(piece.label for piece in pieces[:5]) or "none"
            raise Invalid(
                f"{order.label}: line {entry.line}: {entry.path!r} is neither one of the job's pieces ({known}) nor a file "
                "beside the order; name it under pieces:, or put it there"
            )
        found.append(piece)
    return found


def _ends(pieces: Sequence[InputFile]) -> dict[tuple[str, ...], dict[Path, InputFile]]:
    """The pieces that every end of a path means, by where they lie."""
    ends: dict[tuple[str, ...], dict[Path, InputFile]] = {}
    for piece in pieces:
        for parts in {piece.path.parts, PurePath(piece.published).parts}:
            for count in range(1, len(parts) + 1):
                ends.setdefault(parts[-count:], {}).setdefault(piece.path, piece)
    return ends


def _named(
    entry: Entry, pieces: Sequence[InputFile], ends: dict[tuple[str, ...], dict[Path, InputFile]]
) -> InputFile | None:
    for piece in pieces:
        if entry.path in (str(piece.path), piece.label, piece.published):
            return piece
    # An order that was moved: the end of the path still tells, unless it fits two pieces.
    parts = PurePath(entry.path).parts
    for count in range(len(parts), 0, -1):
        meant = ends.get(parts[-count:], {})
        if len(meant) == 1:
            return next(iter(meant.values()))
    return None


def _beside(entry: Entry, order: InputFile, written: Path) -> InputFile | None:
    folder = order.path.parent.resolve()
    path = (folder / entry.path).resolve()
    try:
        if not path.is_relative_to(folder) or not path.is_file():
            return None
    except OSError:  # A name that no filesystem holds.
        return None
    return InputFile(path, str(written.parent / path.relative_to(folder)), "")


def trim(files: list[InputFile], wanted_s: float, ends_s: Callable[[list[InputFile]], list[float]]) -> list[InputFile]:
    """Repeat or stop an order so that it ends nearest to a length.

    Parameters
    ----------
    files
        Once through.
    wanted_s
        The length in seconds.
    ends_s
        Where each piece of an order ends in the mix, in seconds, were it the last.
    """
    times = 1
    while (ends := ends_s(files * times))[-1] < wanted_s:
        if len(files) * times * 2 > MOST_PIECES:
            raise Invalid(f"length: {wanted_s:g} s would take more than {MOST_PIECES} pieces; use longer ones")
        times = max(times + 1, min(times * 2, int(times * wanted_s / max(ends[-1], 0.1)) + 1))
    nearest = min(range(len(ends)), key=lambda number: abs(ends[number] - wanted_s))
    return (files * times)[: nearest + 1]
