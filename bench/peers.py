"""The systems people would use instead, set up to do the same: a file renamed into a folder makes a worker act.

Each peer's worker appends ``<name> <monotonic ns>`` to a stamp file and writes a small result. huey is given its best settings
(its consumer polls every 10 ms, its ledger flushes to disk as ours does); task-spooler gets one slot a core. Both are
fed by watchdog, as both lack a watcher. Needs huey from PyPI (`pip install huey`) and tsp from Debian's task-spooler.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HUEY_TASKS = """
import sys, time
from huey import SqliteHuey
huey = SqliteHuey(filename={database!r}, fsync=True)

@huey.task()
def act(name):
    with open({stamps!r}, "a") as file:
        file.write(name + " " + str(time.monotonic_ns()) + "\\n")
    with open({out!r} + "/" + name + ".txt", "w") as file:
        file.write(name)
"""

FEEDER = """
import os, subprocess, sys
from watchdog.events import FileMovedEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

{setup}

class Handler(FileSystemEventHandler):
    def on_moved(self, event):
        name = os.path.basename(event.dest_path)
        {enqueue}

observer = InotifyObserver(generate_full_events=True)
observer.schedule(Handler(), {inbox!r}, event_filter=[FileMovedEvent])
observer.start()
print("ready", flush=True)
observer.join()
"""


class Peer:
    """One system in one folder; `inbox` is watched, `stamps` says when its handler ran."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox, self.out, self.stamps = folder / "inbox", folder / "out", folder / "stamps"
        for path in (self.inbox, self.out):
            path.mkdir(parents=True)
        self.stamps.touch()
        self.processes: list[subprocess.Popen[str]] = []

    def feed(self, setup: str, enqueue: str, **environment: str) -> None:
        script = self.folder / "feeder.py"
        script.write_text(FEEDER.format(setup=setup, enqueue=enqueue, inbox=str(self.inbox)))
        self.spawn([sys.executable, str(script)], wait_for="ready", **environment)

    def spawn(self, command: list[str], wait_for: str | None = None, **environment: str) -> None:
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **environment},
            text=True,
            stdout=subprocess.PIPE if wait_for else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        if wait_for:
            assert process.stdout is not None
            while wait_for not in process.stdout.readline():
                if process.poll() is not None:
                    raise RuntimeError(f"{self.name}: {command} ended with {process.returncode}")

    def start(self) -> None:
        raise NotImplementedError

    def results(self) -> int:
        return len(os.listdir(self.out))

    def stop(self) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)  # huey's workers are processes of its own.
            process.wait()


class Huey(Peer):
    name = "huey (SqliteHuey, fsync, tuned)"

    def start(self) -> None:
        (self.folder / "tasks.py").write_text(
            HUEY_TASKS.format(database=str(self.folder / "huey.db"), stamps=str(self.stamps), out=str(self.out))
        )
        consumer = shutil.which("huey_consumer", path=os.path.dirname(sys.executable)) or shutil.which(
            "huey_consumer.py", path=os.path.dirname(sys.executable)
        )
        if consumer is None:
            raise RuntimeError("huey is not installed in this environment: pip install huey")
        path = os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", "")])
        self.spawn(
            [
                sys.executable,
                consumer,
                "tasks.huey",
                "-w",
                "2",
                "-k",
                "process",
                "-d",
                "0.01",
                "-m",
                "0.01",
                "-b",
                "1.0",
                "-n",
            ],
            PYTHONPATH=path,
        )
        self.feed("from tasks import act", "act(name)", PYTHONPATH=path)
        time.sleep(1.0)


class Spooler(Peer):
    name = "task-spooler"

    def start(self) -> None:
        if shutil.which("tsp") is None:
            raise RuntimeError("task-spooler is not installed: apt-get install task-spooler")
        self.environment = {
            "TS_SOCKET": str(self.folder / "socket"),
            "TS_MAXFINISHED": "10",
            "TMPDIR": str(self.folder),
            "TS_MAXCONN": "4000",
        }
        act = self.folder / "act"
        act.write_text(
            f"#!{sys.executable} -S\nimport sys, time\nt = time.monotonic_ns()\n"
            f"open({str(self.stamps)!r}, 'a').write(f'{{sys.argv[1]}} {{t}}\\n')\n"
            f"open({str(self.out)!r} + '/' + sys.argv[1] + '.txt', 'w').write(sys.argv[1])\n"
        )
        act.chmod(0o755)
        subprocess.run(["tsp", "-S", "2"], env={**os.environ, **self.environment}, check=True)
        self.feed(
            "", f"subprocess.run(['tsp', '-n', {str(act)!r}, name], stdout=subprocess.DEVNULL)", **self.environment
        )

    def stop(self) -> None:
        subprocess.run(["tsp", "-K"], env={**os.environ, **self.environment}, check=False)
        super().stop()


PEERS: tuple[type[Peer], ...] = (Huey, Spooler)
