"""Nobody gets in or out through a job file, a file's name, a link, a socket, a header or somebody's module."""

from __future__ import annotations

import csv
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examination
from hypothesis import strategies as st

from handlers.audio.delivery import catalogue
from tests.conftest import CHECKOUT, eventually
from tests.faults.conftest import BreakableHouse, published_once

SECRET = "the secret of another person"


def read(path: object) -> str:
    return f"do: wreck\ninput: ['{path}']\n"


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "bomb-of-aliases": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\ndo: wreck\n", "anchor"),
    "bomb-of-depth": ("do: wreck\nmade: " + "[" * 20_000, "deep"),
    "bomb-of-size": ("do: wreck\nmade: '" + "x" * 70_000 + "'\n", "64 KiB"),
    "bomb-of-number": ("do: wreck\nitems: [" + "1," * 20_000 + "]\n", "values"),
    "doubled-key": ("do: wreck\nitems: 1\nitems: 2\n", "items"),
    "odd-type": ("do: wreck\nitems: !!python/object/apply:os.system ['true']\n", "tag"),
    "odd-number": ("do: wreck\nitems: .inf\n", "items"),
    "nul": (b"do: wreck\nmade: 'a\0b'\n", ""),
    "bidirectional": ("do: wreck\nmade: 'a\u202eb'\n", "U+202E"),
    "escape": ("do: wreck\nmade: 'a\x1b[31mb'\n", "U+001B"),
    "escape-in-words": ('do: wreck\nmade: "a\\e[31mb"\n', ""),
    "a-list": ("- do: wreck\n", ""),
    "climbing": (read("../../../etc/passwd.wav"), "outside the folders"),
    "absolute": (read("/etc/passwd"), "roots: ["),
    "through-a-link": (read("./leads-out/secret.wav"), "outside the folders"),
    "names-the-ledger": (read("{state}/ledger.sqlite3"), "never names the ledger"),
    "names-the-config": (read("{config}/drophammer.yaml"), "never names the configuration"),
    "names-the-staging": (read("{outbox}/.staging/x.wav"), "from: <job id>"),
    "names-the-outbox": (read("{outbox}/latest/x.wav"), "from: <job id>"),
    "names-a-device": (read("./zero.wav"), "not a regular file"),
    "step-that-climbs": ("steps:\n  ../../out: {do: wreck}\n", "out"),
}
"""By name of the file: what it holds, and a word of what its person is told."""


def test_everything_hostile_is_refused_with_a_reason_and_everybody_else_is_served(house: BreakableHouse) -> None:
    outside = house.home / "outside"
    outside.mkdir()
    (outside / "secret.wav").write_text(SECRET)
    (outside / "job.yaml").write_text("do: wreck\n")
    (house.inbox / "leads-out").symlink_to(outside)
    (house.inbox / "link.yaml").symlink_to(outside / "job.yaml")
    (house.inbox / "folder.yaml").mkdir()
    os.mkfifo(house.inbox / "fifo.yaml")
    os.mkfifo(house.inbox / "fifo.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(house.inbox / "socket.yaml"))
    if os.geteuid() == 0:
        os.mknod(house.inbox / "zero.yaml", 0o20666, os.makedev(1, 5))
    os.mkfifo(house.inbox / "zero.wav")
    places = {"state": house.state, "config": house.home / "config", "outbox": house.outbox}
    for name, (content, _) in REFUSED.items():
        if isinstance(content, str):
            for place, path in places.items():
                content = content.replace("{" + place + "}", str(path))
            content = content.encode()
        (house.inbox / f"{name}.yaml").write_bytes(content)
    (house.inbox / "climbing-name.yaml").write_text("do: wreck\nname: ../../../etc/x\n")
    (house.inbox / "good.yaml").write_text("do: wreck\n")
    house.start()
    house.ended("good")
    rejected = house.inbox / "rejected"
    eventually(lambda: len(list(rejected.glob("*.reason.txt"))) >= len(REFUSED), "all are answered")
    for name, (_, words) in REFUSED.items():
        reason = (rejected / f"{name}.yaml.reason.txt").read_text()
        assert words.lower() in reason.lower() and "Traceback" not in reason, (name, reason)
        assert all(c.isprintable() or c == "\n" for c in reason), name
    names = {row["name"]: row for row in house.rows("SELECT * FROM jobs")}
    assert set(names) <= {"good", "etc-x", "climbing-name"}, "nothing hostile became a job"
    assert all(Path(row["folder"]).parent == house.outbox for row in names.values() if row["folder"])
    assert SECRET not in house.output() + house.drophammer("logs", "--limit", "1000")
    assert "\x1b" not in house.output() + house.drophammer("list") + house.drophammer("logs", "--limit", "1000")
    assert house.ask("ping")["ok"]


def test_a_folder_exchanged_for_a_link_between_check_and_use_lets_nothing_out(house: BreakableHouse) -> None:
    outside = house.home / "outside"
    outside.mkdir()
    (outside / "song.wav").write_text(SECRET)
    (house.inbox / "songs").mkdir()
    (house.inbox / "songs" / "song.wav").write_text("a song")
    house.start()
    house.ask("pause")
    house.drop("job.yaml", {"do": "wreck", "input": ["./songs/song.wav"]})
    eventually(lambda: (job := house.job("job")) and job["state"] == "queued", "it was checked")
    (house.inbox / "songs").rename(house.home / "songs")
    (house.inbox / "songs").symlink_to(outside)
    house.ask("resume")
    job = house.ended("job", "failed")
    assert "outside the folders that jobs may read" in job["reason"], job["reason"]
    assert not house.rows("SELECT 1 FROM artifacts")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_not_answered_even_with_the_socket_open_to_all(running: BreakableHouse) -> None:
    os.chmod(running.state, 0o755)
    os.chmod(running.state / "control.sock", 0o777)
    folder = os.open(running.state, os.O_PATH)
    asks = (
        "import os, socket, sys\nos.setgid(65534); os.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\n"
        "s.connect(f'/proc/self/fd/{sys.argv[1]}/control.sock')\nprint(s.recv(1000).decode())"
    )
    done = subprocess.run([sys.executable, "-c", asks, str(folder)], pass_fds=[folder], capture_output=True, text=True)
    os.close(folder)
    assert "belongs to another user" in done.stdout, done.stderr
    assert running.ask("ping")["ok"]


def test_a_strangers_handler_that_raises_on_import_is_left_out_and_named(house: BreakableHouse) -> None:
    site = house.home / "site"
    modules = {
        "broken": "raise RuntimeError('broken')", "leaves": "raise SystemExit(3)", "lacks": "import nothing_of_that_name", "odd": "HANDLER = 7",
        "endless": "def f(): f()\nf()",
    }  # fmt: skip
    (site / "stranger-1.0.dist-info").mkdir(parents=True)
    (site / "stranger-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    points = "".join(f"{name} = stranger_{name}:HANDLER\n" for name in modules)
    (site / "stranger-1.0.dist-info" / "entry_points.txt").write_text(f"[drophammer.handlers]\n{points}")
    for name, text in modules.items():
        (site / f"stranger_{name}.py").write_text(text + "\n")
    path = f"{CHECKOUT}{os.pathsep}{site}"
    house.start(PYTHONPATH=path)
    house.drop("job.yaml", {"do": "wreck"})
    house.ended("job")
    doctor = subprocess.run([sys.executable, "-m", "daemon", "doctor"], cwd=house.home, capture_output=True, text=True,
                            env={**house.environment, "PYTHONPATH": path})  # fmt: skip
    for name in modules:
        assert f"stranger_{name}:HANDLER" in house.output() and f"stranger_{name}:HANDLER" in doctor.stdout, name


HEADERS = """
import resource, sys, time
from pathlib import Path
from handlers.archaeology import listening, recording
from handlers.audio import files
from handlers.contract import Invalid
class Quiet:
    def check_cancelled(self): pass
    def progress(self, *done): pass
have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (have + (512 << 20),) * 2)
for name in sys.argv[1:]:
    began = time.process_time()
    try:
        recording.describe(name)
        recording.verify(name, lambda: None)
        listening.listen(name, ["loudness", "steadiness", "noisiness", "tempo"], Quiet())
        audio, rate = files.read(name)
        said = f"read {audio.shape} at {rate}"
    except Invalid as error:
        said = f"Invalid: {error}"
    except MemoryError as error:
        said = "MemoryError"
    print(f"{Path(name).name}|{time.process_time() - began:.1f}|{said}")
"""


def wav(rate: int, channels: int, data: bytes, claims: int | None = None, kind: int = 1, bits: int = 16) -> bytes:
    """A WAV whose header says what it is told to."""
    size = len(data) if claims is None else claims
    block = max(1, channels * bits // 8) & 0xFFFF
    fmt = struct.pack("<HHIIHH", kind, channels, rate, (rate * block) & 0xFFFFFFFF, block, bits)
    return (
        b"RIFF"
        + struct.pack("<I", min(size + 36, 0xFFFFFFFF))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + b"data"
        + struct.pack("<I", size)
        + data
    )


READ = {
    "64-channels.wav": "read (64, 344) ",
    # What programs write that cannot know the length; what is there is read.
    "claims-2-gib.wav": "read (2, 11025) ",
    "claims-4-gib.wav": "read (2, 11025) ",
}


def test_a_recording_whose_header_lies_is_refused_in_words_and_within_limits(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "true.flac", np.zeros(44100), 44100)
    flac = bytearray((tmp_path / "true.flac").read_bytes())
    flac[21] |= 0x0F  # STREAMINFO: 2^36 - 1 samples, eighteen days
    flac[22:26] = b"\xff\xff\xff\xff"
    (tmp_path / "bomb.flac").write_bytes(flac)
    silence = bytes(44100)
    (tmp_path / "claims-4-gib.wav").write_bytes(wav(44100, 2, silence, claims=0xFFFFFFF0))
    (tmp_path / "claims-2-gib.wav").write_bytes(wav(44100, 2, silence, claims=0x7FFFF000))
    (tmp_path / "claims-1-gib.wav").write_bytes(wav(44100, 2, silence, claims=1 << 30))
    (tmp_path / "no-rate.wav").write_bytes(wav(0, 2, silence))
    (tmp_path / "255-channels.wav").write_bytes(wav(44100, 255, silence))
    (tmp_path / "64-channels.wav").write_bytes(wav(44100, 64, silence))
    (tmp_path / "one-hertz.wav").write_bytes(wav(1, 2, silence))
    (tmp_path / "two-gigahertz.wav").write_bytes(wav(0x7FFFFFFF, 2, silence))
    (tmp_path / "65535-channels.wav").write_bytes(wav(44100, 65535, silence))
    (tmp_path / "largest-rate.wav").write_bytes(wav(0xFFFFFFFF, 2, silence))
    (tmp_path / "nan.wav").write_bytes(wav(44100, 1, struct.pack("<f", float("nan")) * 1000, kind=3, bits=32))
    (tmp_path / "infinity.wav").write_bytes(wav(44100, 1, struct.pack("<f", float("inf")) * 1000, kind=3, bits=32))
    (tmp_path / "cut-in-its-header.wav").write_bytes(wav(44100, 2, silence)[:30])
    names = sorted(str(path) for path in tmp_path.iterdir() if path.name != "true.flac")
    done = subprocess.run(
        [sys.executable, "-c", HEADERS, *names], capture_output=True, text=True, cwd=CHECKOUT, timeout=120
    )
    answers = dict(line.split("|", 1) for line in done.stdout.splitlines())
    assert set(answers) == {Path(name).name for name in names}, done.stderr[-2000:]
    for name, answer in answers.items():
        cpu_s, said = answer.split("|", 1)
        assert said.startswith(READ.get(name, "Invalid: ")), (name, said)
        assert float(cpu_s) < 10.0, (name, cpu_s)


def test_no_name_becomes_a_formula_in_a_table(tmp_path: Path) -> None:
    names = ["=1+1", "+1+1", "＝1+1", "'=1+1", "-1+1", "@SUM(A1)", "\t=1", "=cmd|'/c calc'!A1", "plain"]
    catalogue.write(tmp_path / "table.csv", [{"id": name, "rel_path": name} for name in names], format="csv")
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert len(rows) == len(names)
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


NAMES = st.one_of(
    st.binary(min_size=1, max_size=60).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")),
    st.text(min_size=1, max_size=20).map(
        lambda name: name.encode("utf-8", "replace").replace(b"/", b"_").replace(b"\0", b"_")
    ),
)
CONTENTS = st.one_of(st.binary(max_size=200), st.sampled_from([b"do: wreck\n", b"do: wreck\nitems: 2\n", b"do: nothing\n", b""]),
                     st.text(alphabet="do: wreck\n[]{}&*!|>'\"#,?-12", max_size=80).map(str.encode))  # fmt: skip


def test_whatever_is_dropped_is_a_job_or_is_rejected_with_a_reason(running: BreakableHouse) -> None:
    """Any name, any bytes, against the real intake: afterwards the daemon lives and the inbox is empty of job files."""
    inbox, numbers = os.fsencode(running.inbox), iter(range(10**6))

    # Not made smaller when it fails: each try may wait for a minute, and the batch as it was says as much.
    @examination(
        max_examples=12,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(st.lists(st.tuples(NAMES, CONTENTS), min_size=5, max_size=25))
    def drop(batch: list[tuple[bytes, bytes]]) -> None:
        for name, content in batch:
            part = os.fsencode(running.home) + b"/part"
            Path(os.fsdecode(part)).write_bytes(content or b"#")
            name = name.lstrip(b".~#")[:200] + b"-%d.yaml" % next(numbers)
            os.rename(part, inbox + b"/" + name)
        barrier = f"barrier-{next(numbers)}"
        running.drop(f"{barrier}.yaml", "do: wreck\n")
        running.ended(barrier, patience_s=180)
        eventually(lambda: not [name for name in os.listdir(inbox) if name.endswith(b".yaml")], "all are set aside")

    drop()
    assert running.process.poll() is None
    eventually(lambda: not running.rows("SELECT 1 FROM jobs WHERE state NOT IN ('done', 'failed')"), "all are over")
    assert published_once(running) == []
    for row in running.rows("SELECT moved_to, reason FROM rejections"):
        assert row["reason"] and "Traceback" not in row["reason"]
    assert "Traceback" not in running.output()
