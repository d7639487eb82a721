"""`again`: a job made anew around the items that someone keeps, with another seed for the rest.

The new job's file is the old one's text with a few keys changed; it is dropped as `submit` does.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli import terminal
from daemon.cli.failure import NO, CommandError
from daemon.cli.jobview import Outside, find_job, open_ledger
from daemon.cli.rewriting import flow, put, remove, way_to
from daemon.cli.write import Job, is_running
from daemon.jobs import DONE, ENDED, own_name
from daemon.kept import Finished, finished

if TYPE_CHECKING:
    from daemon.settings import Paths

HELD = {"key": "key", "tempo": "tempo_bpm"}
"""Keys by which the new stems are held to the kept ones, and the facts of these that say to what."""
FIRST_LINE = "# Made by `./drophammer again`"


def again(
    job: Job,
    seed: Annotated[int | None, typer.Option(help="The new seed; drawn, if not given.", min=0, max=2**32 - 1)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Make all items anew, the kept ones too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the new job file and submit nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: id, from, seed, kept.")] = False,
) -> None:
    """Make a job again around what was kept: the other items with another seed, and what reads them anew.

    The new job is an ordinary one: its file names the old job (`from:`), what it takes over (`keep:`), and the tempo
    and key that the new stems share with the kept ones. Works with the daemon down.

    Example: ./drophammer again latest
    """
    from daemon.cli.submission import drop
    from daemon.settings import load

    settings = load()
    connection = open_ledger(settings.paths)
    found = find_job(settings.paths, connection, job)
    if isinstance(found, Outside):
        raise CommandError(f"{found.id} is {found.state}: it has made nothing yet", NO)
    assert connection is not None
    plan = _plan(connection, found, everything)
    _verify(connection, settings.paths, plan)
    if seed in plan.old_seeds:
        raise CommandError(f"--seed {seed}: {found} was made with it; choose another")
    while seed is None or seed in plan.old_seeds:
        seed = secrets.randbelow(2**32)
    text = _text(plan, seed, settings)
    if dry_run:
        print(text, end="")
        return
    job_id = drop(settings.paths, text.encode(), plan.name)
    if json:
        terminal.print_json({"id": job_id, "from": found, "seed": seed, "kept": [item.label for item in plan.kept]})
        return
    print(job_id)
    if not is_running(settings.paths):
        terminal.note("no daemon is running: the job starts when it does (./drophammer run)")


@dataclass(frozen=True)
class Plan:
    """What is to be made again, and around what."""

    job_id: str
    name: str
    state: str
    document: str
    old_seeds: Sequence[int]
    params: Mapping[str, dict[str, Any]]
    """Of each step, by its own name."""
    reads_earlier: bool
    """It takes items from another job itself."""
    kept: Sequence[Finished]
    places: Mapping[str, Mapping[int, Finished]]
    """Of each step: which kept item stands where in the new job."""


def _plan(connection: sqlite3.Connection, job_id: str, everything: bool) -> Plan:
    row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row["state"] not in ENDED:
        raise CommandError(f"{job_id} is {row['state']}: wait until it has ended (./drophammer wait {job_id})", NO)
    steps = connection.execute("SELECT * FROM steps WHERE job_id = ? ORDER BY position", (job_id,)).fetchall()
    there = finished(connection, job_id)
    kept = [] if everything else [entry for entry in there.values() if entry.kept]
    if not kept and not everything:
        if not there:
            raise CommandError(f"{job_id} is {row['state']} and has finished nothing that could be kept", NO)
        raise CommandError(
            f"nothing of {job_id} is kept. Mark what you love: ./drophammer keep {job_id} {next(iter(there))}, "
            "or make all of it anew: again --all",
            NO,
        )
    references = [source for step in steps for source in json.loads(step["sources"]).values()]
    overs = [json.loads(step["for_each"])["over"] for step in steps if step["for_each"]]
    reads_earlier = any(source["kind"] == "from" for source in references) or any(o.startswith("from/") for o in overs)
    if kept and reads_earlier:
        raise CommandError(
            f"{job_id} takes items from another job itself (from: {row['from_wanted']}), and a job has one `from:`; "
            "write the new job by hand, or make all of it anew: again --all",
            NO,
        )
    return Plan(
        job_id=job_id,
        name=row["name"],
        state=row["state"],
        document=row["document"].removeprefix("\ufeff"),
        old_seeds=json.loads(row["seeds"] or "null") or [row["seed"]],
        params={own_name(step["name"]): json.loads(step["params"]) for step in steps},
        reads_earlier=reads_earlier,
        kept=kept,
        places=_places(kept),
    )


def _places(kept: Sequence[Finished]) -> dict[str, dict[int, Finished]]:
    """Each kept item stays the item it was; of two seeds' third items the later one takes the first free place."""
    places: dict[str, dict[int, Finished]] = {}
    late = []
    for entry in kept:
        step = places.setdefault(own_name(entry.step), {})
        if entry.item in step:
            late.append(entry)
        else:
            step[entry.item] = entry
    for entry in late:
        step = places[own_name(entry.step)]
        step[next(place for place in range(1, len(kept) + 1) if place not in step)] = entry
    return places


def _verify(connection: sqlite3.Connection, paths: Paths, plan: Plan) -> None:
    """What is kept must be there as it was made. The worker looks again before it takes it over."""
    folder = paths.outbox / plan.job_id if plan.state == DONE else paths.failed / plan.job_id
    for entry in plan.kept:
        files = connection.execute(
            "SELECT published, sha256 FROM artifacts WHERE run_id = ? AND item = ?", (entry.run_id, entry.item)
        )
        for name, sha256 in files:
            path = folder / name
            if not path.is_file():
                raise CommandError(f"{entry.label} cannot be kept: {path} is gone. {_drop(plan, entry)}", NO)
            if _hash(path) != sha256:
                raise CommandError(
                    f"{entry.label} cannot be kept: {path} was changed since it was made. {_drop(plan, entry)}",
                    NO,
                )


def _drop(plan: Plan, entry: Finished) -> str:
    return f"To go on without it: ./drophammer keep {plan.job_id} {entry.label} --drop"


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(plan: Plan, seed: int, settings: Any) -> str:
    """The new job's file: as the daemon will read it, or an error that says why it will not."""
    from daemon import documents
    from handlers.registry import load_registry

    registry = load_registry(settings.handlers)
    held = _held(plan)
    while True:
        text = _written(plan, seed, held)
        try:
            documents.read(text.encode(), registry, settings, default_name=plan.name)
        except documents.DocumentError as error:
            refused = {
                way: problem.message for way in held for problem in error.problems if problem.key == ".".join(way)
            }
            if not refused:
                raise CommandError(f"{plan.job_id} cannot be made again as it is:\n{error}", NO) from None
            for way, message in refused.items():
                terminal.note(f"{'.'.join(way)} is not held to {held.pop(way)}: {message}")
        else:
            return text


def _held(plan: Plan) -> dict[tuple[str, ...], str]:
    """Tempo and key of what is kept, for every step that can be told them and is not already."""
    tonal = {step for step, params in plan.params.items() if HELD.keys() <= params.keys()}
    held = {}
    for key, fact in HELD.items():
        facts = [entry.facts.get(fact) for entry in plan.kept if own_name(entry.step) in tonal]
        values = list(dict.fromkeys(value for value in facts if isinstance(value, str | int | float)))
        if len(values) > 1:
            terminal.note(f"what is kept has not one {key} ({', '.join(map(str, values))}): the new items are free")
        for step in tonal if len(values) == 1 else ():
            if plan.params[step][key] is None or isinstance(plan.params[step][key], list):
                held[(*way_to(plan.document, step), key)] = (
                    f"{values[0]:g}" if key == "tempo" else json.dumps(values[0])
                )
    return held


def _written(plan: Plan, seed: int, held: Mapping[tuple[str, ...], str]) -> str:
    """The old job's text with another seed, what is kept, and what holds the rest to it."""
    lines = plan.document.splitlines(keepends=True)
    text = "".join(lines[1:] if lines[0].startswith(FIRST_LINE) else lines)
    text = put(text, (), "seed", str(seed), in_place_of=("seeds",))
    if plan.places:
        text = put(text, (), "from", plan.job_id)
    elif not plan.reads_earlier:
        text = remove(text, (), "from")
    for way, value in held.items():
        text = put(text, way[:-1], way[-1], value)
    for step in plan.params:
        places = {place: f"from/{entry.label}" for place, entry in plan.places.get(step, {}).items()}
        way = way_to(text, step)
        text = put(text, way, "keep", flow(places)) if places else remove(text, way, "keep")
    keeping = f", keeping {', '.join(entry.label for entry in plan.kept)}" if plan.kept else ""
    return f"{FIRST_LINE}: {plan.job_id} with another seed{keeping}.\n{text}"
