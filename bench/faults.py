"""The same kills for three systems: how many jobs are lost, and how many are done more than once.

.venv/bin/python -m bench.faults [--kills 20] [--seed 7]

Each system gets the same jobs at the same times and is killed whole (SIGKILL, workers too) at the same moments, then started
again. A job takes 0.15 s, two run at a time; when it has finished it writes a line. Jobs are handed to the peers by their own
client, so that nothing is lost on the way in. Needs huey from PyPI and tsp from Debian's task-spooler.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.installation import Installation, scratch_folder

WORK_S = 0.15
JOBS_A_KILL = 5
QUIET_S = 8.0
"""Without a finished job for this long, a system has done all it ever will."""

ACT = """
import sys, time
def act(name):
    time.sleep({work_s})
    with open({made!r}, "a") as file:
        file.write(name + "\\n")
"""


class System:
    """One system in one folder; `made` gets a line for every job that finishes."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = folder / "made"
        folder.mkdir()
        self.made.touch()

    def start(self) -> None:
        raise NotImplementedError

    def drop(self, job: str) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError

    def delivered(self) -> Counter[str]:
        """How often each job's result was handed over: where nothing is published, whenever it finished."""
        return self.finished()

    def finished(self) -> Counter[str]:
        return Counter(line.split()[-1] for line in self.made.read_text().splitlines())


class Drophammer(System):
    name = "Drophammer"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.installation = Installation(folder / "home", handlers=["tests.faults.wreck:HANDLER"])

    def start(self) -> None:
        self.installation.start()

    def drop(self, job: str) -> None:
        part = self.folder / "part"
        part.write_text(f"do: wreck\nseconds: {WORK_S}\nmade: {self.folder}/made-{job}\n")
        part.rename(self.installation.inbox / f"{job}.yaml")

    def kill(self) -> None:
        self.installation.process.kill()  # The kernel takes its workers with it.
        self.installation.process.wait()

    def finished(self) -> Counter[str]:
        return Counter({path.name[5:]: len(path.read_text().splitlines()) for path in self.folder.glob("made-*")})

    def delivered(self) -> Counter[str]:
        folders = (
            path.parent for path in self.installation.outbox.glob("*/manifest.json") if not path.parent.is_symlink()
        )
        return Counter(folder.name.split("-", 2)[2].rpartition("-")[0] for folder in folders)


class Huey(System):
    name = "huey (SqliteHuey, fsync)"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "work.py").write_text(ACT.format(work_s=WORK_S, made=str(self.made)))
        (folder / "tasks.py").write_text(
            f"from huey import SqliteHuey\nimport work\nhuey = SqliteHuey(filename={str(folder / 'huey.db')!r}, fsync=True)\n"
            "@huey.task(retries=2)\ndef act(name):\n    work.act(name)\n"
        )
        self.path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        consumer = shutil.which(
            "huey_consumer", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        )
        if consumer is None:
            raise RuntimeError("huey is not installed in this environment: pip install huey")
        self.command = [
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
            "0.05",
            "-n",
        ]

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env={**os.environ, "PYTHONPATH": self.path}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(1.0)

    def drop(self, job: str) -> None:
        asks = "import sys; from tasks import act; act(sys.argv[1])"
        subprocess.run(
            [sys.executable, "-c", asks, job], cwd=self.folder, env={**os.environ, "PYTHONPATH": self.path}, check=True
        )

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Spooler(System):
    name = "task-spooler"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if shutil.which("tsp") is None:
            raise RuntimeError("task-spooler is not installed: apt-get install task-spooler")
        (folder / "work.py").write_text(ACT.format(work_s=WORK_S, made=str(self.made)) + "act(sys.argv[1])\n")
        self.mark = f"TS_SOCKET={folder / 'socket'}"
        self.environment = {
            **os.environ,
            "TS_SOCKET": str(folder / "socket"),
            "TMPDIR": str(folder),
            "TS_MAXFINISHED": "10",
        }

    def start(self) -> None:
        (self.folder / "socket").unlink(missing_ok=True)
        subprocess.run(["tsp", "-S", "2"], env=self.environment, check=True, stdin=subprocess.DEVNULL)

    def drop(self, job: str) -> None:
        command = ["tsp", "-n", sys.executable, "-S", str(self.folder / "work.py"), job]
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if self.mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.1)


def measure(system: System, kills: int, seed: int) -> str:
    """Drop and kill by the seed's schedule, wait until nothing comes any more, count."""
    schedule = random.Random(seed)
    dropped: list[str] = []
    system.start()
    for _ in range(kills):
        for _ in range(JOBS_A_KILL):
            dropped.append(f"job{len(dropped)}")
            system.drop(dropped[-1])
        time.sleep(schedule.uniform(0.0, 0.6))
        system.kill()
        system.start()
    before, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        if (now := sum(system.finished().values())) != before:
            before, since = now, time.monotonic()
        time.sleep(0.2)
    delivered, finished = system.delivered(), system.finished()
    system.kill()
    lost = sum(delivered[job] == 0 for job in dropped)
    twice = sum(delivered[job] > 1 for job in dropped)
    again = sum(finished[job] > 1 for job in dropped)
    return f"{system.name:28} {len(dropped):8} {kills:6} {lost:6} {twice:8} {again:14}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(f"{'system':28} {'dropped':>8} {'kills':>6} {'lost':>6} {'doubled':>8} {'finished twice':>14}")
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        for number, kind in enumerate((Drophammer, Huey, Spooler)):
            try:
                print(measure(kind(Path(folder) / str(number)), options.kills, options.seed), flush=True)
            except RuntimeError as error:
                print(f"{kind.name:28} not measured: {error}")


if __name__ == "__main__":
    main()
