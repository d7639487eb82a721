"""`top`: lanes, progress and queue, live, with keys to pause and cancel. Drawn anew several times a second."""

from __future__ import annotations

import sqlite3
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from daemon.cli import terminal
from daemon.cli.failure import CommandError
from daemon.cli.jobview import open_ledger, pending_jobs, plain
from daemon.cli.read import JOB_COLUMNS, outside_facts, remark

if TYPE_CHECKING:
    from rich.console import RenderableType

    from daemon.settings import Paths

REFRESH_S = 0.25
ASK_TIMEOUT_S = 2.0
ACTIVE_SHOWN, ENDED_SHOWN = 200, 10
MESSAGE_S = 6.0
BAR = 20
HELP = "up/down or j/k select   p pause or resume a lane   c cancel a job   q quit"


@dataclass
class View:
    """What is on the screen: the last answers, the selected row, and one message."""

    paths: Paths
    answer: dict[str, Any] | None = None
    problem: str = ""
    jobs: list[dict[str, Any]] = field(default_factory=list)
    selected: str = ""
    message: str = ""
    message_until: float = 0.0
    connection: sqlite3.Connection | None = None

    def refresh(self) -> None:
        """Ask the daemon and the ledger."""
        from daemon.control import ControlError, ask

        try:
            self.answer, self.problem = ask(self.paths, {"do": "status"}, timeout_s=ASK_TIMEOUT_S), ""
        except ControlError as error:
            self.answer, self.problem = None, str(error)
        self.connection = self.connection or open_ledger(self.paths)
        self.jobs = [outside_facts(job) for job in pending_jobs(self.paths)]
        if self.connection is not None:
            self.jobs += _read_jobs(self.connection)
        rows = self.rows()
        if self.selected not in rows:
            self.selected = rows[0] if rows else ""

    def lanes(self) -> dict[str, dict[str, Any]]:
        return {} if self.answer is None else self.answer.get("lanes", {})

    def rows(self) -> list[str]:
        """What can be selected, top to bottom: lanes by name, jobs by id."""
        return [*self.lanes(), *(job["id"] for job in self.jobs)]

    def press(self, key: str) -> bool:
        """Act on a key; False: leave."""
        rows = self.rows()
        place = rows.index(self.selected) if self.selected in rows else 0
        if key in ("q", "Q"):
            return False
        if key in ("j", "k") and rows:
            self.selected = rows[max(0, min(len(rows) - 1, place + (1 if key == "j" else -1)))]
        elif key == "p":
            self._pause()
        elif key == "c":
            self._cancel()
        return True

    def say(self, text: str) -> None:
        self.message, self.message_until = text, time.monotonic() + MESSAGE_S

    def _pause(self) -> None:
        lanes = self.lanes()
        lane = self.selected if self.selected in lanes else self._lane_of_job()
        if lane is None:
            self.say("select a lane, or a job that runs in one")
            return
        verb = "resume" if lanes[lane].get("paused") else "pause"
        self._ask({"do": verb, "lane": lane}, f"{lane} {verb}d")

    def _lane_of_job(self) -> str | None:
        for name, lane in self.lanes().items():
            if any(worker.get("job_id") == self.selected for worker in lane.get("workers", [])):
                return name
        return None

    def _cancel(self) -> None:
        job = next((job for job in self.jobs if job["id"] == self.selected), None)
        if job is None:
            self.say("select a job to cancel")
        elif job["state"] in ("done", "failed", "cancelled"):
            self.say(f"{job['id']} is {job['state']} already")
        elif job["state"] == "pending":
            self.say(f"{job['id']} is not taken yet: ./drophammer cancel {job['id']}")
        else:
            self._ask(
                {"do": "cancel", "job": job["id"]},
                f"cancelling {job['id']}; to resume it: ./drophammer retry {job['number']}",
            )

    def _ask(self, request: dict[str, Any], done: str) -> None:
        from daemon.control import ControlError, ask

        try:
            ask(self.paths, request, timeout_s=ASK_TIMEOUT_S)
        except ControlError as error:
            self.say(str(error))
        else:
            self.say(done)


def _read_jobs(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Jobs that have not ended, in the order they came, then the latest that have."""
    active = connection.execute(
        f"SELECT {JOB_COLUMNS} FROM jobs WHERE state IN ('waiting', 'queued', 'running', 'publishing')"
        " ORDER BY state IN ('queued', 'waiting'), state = 'waiting', priority DESC, id LIMIT ?", (ACTIVE_SHOWN,)
    ).fetchall()  # fmt: skip
    ended = connection.execute(
        f"SELECT {JOB_COLUMNS} FROM jobs WHERE state IN ('done', 'failed', 'cancelled') ORDER BY finished_at DESC LIMIT ?",
        (ENDED_SHOWN,),
    ).fetchall()
    return [plain(row) for row in (*active, *ended)]


def draw(view: View, height: int) -> RenderableType:
    """The whole screen for a terminal of so many lines."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def cell(text: object, style: str = "") -> Text:
        return Text(terminal.safe(text), style=style)

    answer = view.answer
    if answer is None:
        head = cell(view.problem, "bold red")
    else:
        head = cell(
            f"drophammer {answer['version']}   process {answer['pid']}   {datetime.now(UTC).astimezone():%H:%M:%S}",
            "bold",
        )
        if answer.get("obstacle"):
            head.append(f"   parked: {terminal.safe(answer['obstacle'])}", style="bold red")
    lanes = Table(box=None, expand=True, pad_edge=False, header_style="bold")
    for name, ratio in (("lane", None), ("state", None), ("queued", None), ("working on", 1)):
        lanes.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for name, lane in view.lanes().items():
        busy = [worker for worker in lane.get("workers", []) if worker.get("state") == "busy"]
        state = "paused" if lane.get("paused") else "closed" if lane.get("closed") else "running" if busy else "idle"
        style = "reverse" if name == view.selected else ""
        work = Text("\n").join([cell(_work(worker)) for worker in busy])
        lanes.add_row(cell(name), terminal.coloured("warning" if state in ("paused", "closed") else "running" if busy else "", state),
                      cell(lane.get("queued", 0)), work, style=style)  # fmt: skip
    jobs = Table(box=None, expand=True, pad_edge=False, header_style="bold")
    for name, ratio in (("job", None), ("state", None), ("took", None), ("", 1)):
        jobs.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
    now = datetime.now(UTC)
    taken = 7 + sum(max(1, len(lane.get("workers", []))) for lane in view.lanes().values())
    for job in _window(view, max(3, height - taken)):
        took = terminal.duration(terminal.seconds_between(job["started_at"], job["finished_at"] or now))
        style = "reverse" if job["id"] == view.selected else ""
        jobs.add_row(cell(job["id"]), terminal.coloured(job["state"]), cell(took), cell(remark(job)), style=style)
    message = view.message if time.monotonic() < view.message_until else ""
    return Group(head, Text(), lanes, Text(), jobs, Text(), cell(message, "bold yellow"), cell(HELP, "dim"))


def _window(view: View, height: int) -> list[dict[str, Any]]:
    """The jobs that fit, the selected one among them."""
    place = next((index for index, job in enumerate(view.jobs) if job["id"] == view.selected), 0)
    first = max(0, min(place - height // 2, len(view.jobs) - height))
    return view.jobs[first : first + height]


def _work(worker: dict[str, Any]) -> str:
    done, total = worker.get("done"), worker.get("total")
    share = min(1.0, done / total) if done and total else 0.0
    bar = f"[{'#' * round(share * BAR):.<{BAR}}] {100 * share:3.0f} %  " if total else ""
    doing = terminal.progress(worker.get("phase"), done, total, worker.get("unit"))
    return f"{bar}{worker.get('job_id', '')} {worker.get('step', '')}: {doing}"


def top() -> None:
    """Watch the daemon: lanes, progress and queue, several times a second.

    Keys: up and down (or k and j) select, p pauses or resumes a lane, c cancels a job, q quits.

    Example: ./drophammer top
    """
    from daemon.settings import locate

    if not (sys.stdin.isatty() and terminal.is_terminal()):
        raise CommandError("top needs a terminal; elsewhere: ./drophammer status --json")
    from rich.live import Live

    from daemon.cli.keyboard import Keyboard

    view = View(locate())
    view.refresh()
    console = terminal.console()
    with (
        Keyboard() as keyboard,
        Live(draw(view, console.height), console=console, screen=True, auto_refresh=False) as live,
    ):
        going = True
        while going:
            for key in keyboard.read(REFRESH_S):
                going = going and view.press(key)
            view.refresh()
            live.update(draw(view, console.height), refresh=True)
