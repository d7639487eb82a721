"""`demo`: the whole way once, from a job file to a finished set, with a word at every station."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli import gpu, terminal
from daemon.cli.failure import NO, CommandError
from daemon.cli.jobview import read_files
from daemon.cli.wait import ProgressLine, describe_progress, follow
from daemon.cli.write import is_running

if TYPE_CHECKING:
    from daemon.settings import Paths
    from daemon.settings_model import Settings

START_S = 30.0
"""How long a daemon of our own may take to answer."""
STOP_S = 90.0
"""How long it may take to leave: `drain` is 60 s unless configured otherwise."""
STEP_S = 0.1
MUSICGEN_JOB = "industrial-set.yaml"
"""The demo's plan with MusicGen in place of the built-in instrument."""
QUIET_LINE_S = 5.0
"""Without a terminal, progress is printed this often."""


def demo() -> None:
    """Make an industrial set and show how: five beds, three transitions, one continuous mix, its beat grid.

    Uses the daemon that is running, or starts one for the while and stops it afterwards.

    Example: ./drophammer demo
    """
    from daemon.cli.submission import drop, read_documents
    from daemon.settings import CHECKOUT, load

    settings = load()
    paths = settings.paths
    job_file = paths.config / "jobs" / "demo.yaml"
    if not job_file.exists():
        job_file = CHECKOUT / "config" / "jobs" / "demo.yaml"
    ((text, document),) = read_documents([str(job_file)], settings)
    with _daemon(paths) as own:
        began = time.monotonic()
        job_id = drop(paths, text, document.name)
        print(f"dropped {terminal.safe(job_file)} as {job_id}", flush=True)
        job, files = _watch(paths, job_id, own)
        if job["state"] != "done":
            raise CommandError(
                f"the demo {job['state']}: {job['reason']}\nsee {job['folder'] or './drophammer show ' + job_id}", NO
            )
        _print_result(settings, job, files, time.monotonic() - began)


@contextmanager
def _daemon(paths: Paths) -> Iterator[subprocess.Popen[bytes] | None]:
    """The running daemon (None), or one of our own that is stopped at the end."""
    if is_running(paths):
        print("using the daemon that is running")
        yield None
        return
    paths.state.mkdir(parents=True, exist_ok=True)
    log = paths.state / "demo-daemon.log"
    with open(log, "wb") as stream:
        # A session of its own: Ctrl-C here must not reach it before it is asked to stop.
        own = subprocess.Popen([sys.executable, "-m", "daemon", "run"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                               start_new_session=True, cwd=Path(__file__).parents[2])  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while not is_running(paths):
            if own.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"the daemon did not start; {log} says:\n{_tail(log)}")
            time.sleep(STEP_S)
        print(f"started a daemon for this demo (process {own.pid}; its log: {log})", flush=True)
        yield own
    finally:
        _stop(paths, own)


def _stop(paths: Paths, own: subprocess.Popen[bytes]) -> None:
    from daemon.control import ControlError, ask

    if own.poll() is None:
        try:
            ask(paths, {"do": "stop"})
        except ControlError:
            own.terminate()
        try:
            own.wait(STOP_S)
        except subprocess.TimeoutExpired:
            own.kill()
            own.wait()
    print("stopped the daemon again; to have one: ./drophammer run, or ./drophammer service install")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])


def _watch(
    paths: Paths, job_id: str, own: subprocess.Popen[bytes] | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Show progress until the job has ended; returns its row and its files."""
    last: dict[str, Any] = {}
    files: list[dict[str, Any]] = []
    printed_at, told = time.monotonic(), False
    with ProgressLine() as line:
        for connection, last in follow(paths, job_id, alive=lambda: own is None or own.poll() is None):
            if connection is not None and last["state"] not in ("pending", "rejected"):
                files = read_files(connection, paths, last)
            primaries = [file for file in files if file["kind"] == "primary" and file["there"]]
            if primaries and not told:
                line.clear()
                print(f"the first stem can be heard now: {terminal.safe(primaries[0]['path'])}", flush=True)
                told = True
            progress = describe_progress(connection, last)
            line.show(progress)
            if not line.live and time.monotonic() - printed_at > QUIET_LINE_S:
                printed_at = time.monotonic()
                print(progress, flush=True)
    return last, files


def _print_result(settings: Settings, job: dict[str, Any], files: list[dict[str, Any]], took_s: float) -> None:
    primaries = {file["step"]: file for file in files if file["kind"] == "primary"}
    mix, grid = primaries.get("mix"), primaries.get("grid")
    print(f"\ndone in {terminal.duration(took_s)}: {terminal.safe(job['folder'])}")
    print(f"  (outbox/latest points at it: {terminal.safe(settings.paths.outbox / 'latest')})")
    facts = {} if mix is None else mix["facts"]
    measured = []
    if isinstance(facts.get("duration_s"), int | float):
        measured.append(f"{int(facts['duration_s']) // 60}:{int(facts['duration_s']) % 60:02d} long")
    measured_bpm = (grid["facts"] if grid else {}).get("tempo_bpm")
    tempo = facts.get("tempo_bpm") or measured_bpm  # What its stems were made at, where they agree.
    if isinstance(tempo, int | float):
        measured.append(f"{tempo:.1f} BPM" + (f" (the grid measures {measured_bpm:.2f})" if measured_bpm else ""))
    if isinstance(facts.get("integrated_lufs"), int | float):
        measured.append(f"{facts['integrated_lufs']:.1f} LUFS")
    if mix is not None:
        print(f"  the mix: {terminal.safe(mix['name'])}{', ' + ', '.join(measured) if measured else ''}")
    print("  open index.html in there: it plays, and shows, everything")
    _print_gpu(settings)
    print(
        "\nnext:\n"
        "  ./drophammer run                                      start the daemon, in a terminal of its own\n"
        '  ./drophammer new "darkwave set, 10 minutes, dark"     write a job of your own\n'
        "  ./drophammer submit darkwave-set.yaml                 have it made\n"
        "  ./drophammer show latest                              what was made, and where it lies\n"
        "  cp SONG.flac inbox/                                   have a recording analysed: tempo, beats, onsets"
    )


def _print_gpu(settings: Settings) -> None:
    """Name the card, if there is one, and what puts it to use."""
    from daemon.cli.submission import read_documents

    names = gpu.names()
    job_file = settings.paths.config / "jobs" / MUSICGEN_JOB
    if not names or not job_file.exists():
        return
    try:
        ((_, document),) = read_documents([str(job_file)], settings)
    except CommandError as error:
        print(f"\nGPU: {', '.join(names)}. What could use it is not known: {terminal.safe_lines(error)}")
        return
    missing = dict.fromkeys(f.message for step in document.steps for f in step.findings if f.kind == "missing")
    print(f"\nGPU: {', '.join(names)}. The built-in instrument does not need it; MusicGen plays on it:")
    for message in missing:
        print(f"  {terminal.safe(message)}")
    print(f"  ./drophammer submit {terminal.safe(job_file)}\n      this same set, played by MusicGen")
    print("  (This project has tried that path with small test models on a CPU only, not on a GPU or with published weights.)")
