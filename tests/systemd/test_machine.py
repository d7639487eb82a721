"""The units under a real systemd: started, ready, working, reloaded, drained, revived, and kept in."""

from __future__ import annotations

import json

import pytest

from tests.conftest import CHECKOUT, eventually
from tests.systemd.conftest import PERSON, Installed

REFUSALS = ("Read-only file system", "No such file", "Permission denied")
"""How a write outside ends: on a read-only mount, in a folder that is not there, in an empty home."""


def test_machine_an_installed_service_is_ready_enabled_and_up_to_date(system_service: Installed) -> None:
    shown = system_service.shown("ActiveState", "SubState", "UnitFileState", "Type", "StatusText", "User")
    assert shown == {
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "Type": "notify",
        "StatusText": "idle",
        "User": PERSON,
    }
    status = system_service.drophammer("service", "status", "--system")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "up to date" in status.stdout and "yes" in next(
        line for line in status.stdout.splitlines() if line.startswith("up to date")
    )


def test_machine_a_dropped_job_is_done_and_published(system_service: Installed) -> None:
    system_service.drop("first", {"do": "probe", "text": "hello"})
    job = system_service.ended("first")
    assert job["state"] == "done", job["reason"]
    assert system_service.lines(f"{system_service.outbox}/latest/first_probe_1.txt") == ["hello 1"]
    # Renames stay inside one mount: the accepted file's within the inbox, the published folder's within the outbox.
    assert system_service.machine.run("ls", f"{system_service.inbox}/accepted").stdout.split() == [f"{job['id']}.yaml"]


def test_machine_the_status_shows_the_running_step(system_service: Installed) -> None:
    system_service.drop("long", {"steps": {"beds": {"do": "probe", "seconds": 4}}})
    eventually(lambda: "/beds" in system_service.shown("StatusText")["StatusText"], "the status names the step")
    assert system_service.ended("long")["state"] == "done"


def test_machine_a_reload_takes_a_good_configuration(system_service: Installed) -> None:
    before = system_service.pid()
    system_service.configure(retries=5)
    system_service.systemctl("reload", "drophammer")
    assert system_service.pid() == before and system_service.shown("ActiveState")["ActiveState"] == "active"
    assert "configuration reloaded" in system_service.log()


def test_machine_a_broken_configuration_fails_the_reload_and_changes_nothing(system_service: Installed) -> None:
    before = system_service.pid()
    system_service.configure(retries="many")
    try:
        assert system_service.systemctl("reload", "drophammer", check=False).returncode != 0
        assert system_service.shown("ActiveState", "MainPID") == {"ActiveState": "active", "MainPID": str(before)}
        assert "the old one stays in force" in system_service.log()
    finally:
        system_service.configure()
    system_service.drop("after", {"do": "probe"})
    assert system_service.ended("after")["state"] == "done"


@pytest.mark.parametrize(
    "path", [f"/home/{PERSON}/outside", "/srv/open/outside", f"{CHECKOUT}/outside", "/etc/outside"]
)
def test_machine_the_service_writes_nowhere_but_into_its_folders(system_service: Installed, path: str) -> None:
    machine = system_service.machine
    machine.run("install", "-d", "-m", "777", "/srv/open", check=True)
    machine.run("chmod", "o+w", str(CHECKOUT), "/etc", check=True)
    machine.run("touch", path, user=PERSON, check=True)  # The person may; the person's service may not.
    machine.run("rm", path, check=True)
    name = "outside-" + path.split("/")[1]
    system_service.drop(name, {"do": "probe", "stamp": path, "retries": 0})
    job = system_service.ended(name)
    assert job["state"] == "failed" and any(words in job["reason"] for words in REFUSALS), job["reason"]
    assert machine.run("test", "-e", path).returncode != 0


def test_machine_its_temporary_files_are_its_own(system_service: Installed) -> None:
    system_service.drop("temporary", {"do": "probe", "stamp": "/tmp/stamp"})
    assert system_service.ended("temporary")["state"] == "done"
    assert system_service.machine.run("test", "-e", "/tmp/stamp").returncode != 0


def test_machine_a_worker_has_no_privilege_no_network_and_is_killed_first(system_service: Installed) -> None:
    machine = system_service.machine
    system_service.drop("look", {"do": "probe", "seconds": 3})
    system_service.is_running("look")
    worker = machine.run("pgrep", "-P", str(system_service.pid())).stdout.split()[0]
    status = dict(line.split(":\t", 1) for line in system_service.lines(f"/proc/{worker}/status") if ":\t" in line)
    assert (status["CapEff"], status["CapBnd"]) == ("0" * 16, "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert [line.split(":")[0].strip() for line in system_service.lines(f"/proc/{worker}/net/dev")[2:]] == ["lo"]
    scores = [
        int(system_service.lines(f"/proc/{process}/oom_score_adj")[0]) for process in (system_service.pid(), worker)
    ]
    assert scores[0] <= 0 and scores[1] == 500
    assert (
        system_service.shown("OOMScoreAdjust")["OOMScoreAdjust"] == "-200"
    )  # Applied only where root has CAP_SYS_RESOURCE.
    assert system_service.ended("look")["state"] == "done"


def test_machine_a_killed_daemon_is_started_again_and_finishes_the_job(system_service: Installed) -> None:
    system_service.add_to_unit("RestartSec=0.1")
    system_service.drop("killed", {"do": "probe", "seconds": 2})
    system_service.is_running("killed")
    before = system_service.pid()
    system_service.machine.run("kill", "-9", str(before), check=True)
    job = system_service.ended("killed")
    assert system_service.pid() not in (0, before)
    assert job["state"] == "done" and [attempt["outcome"] for attempt in job["attempts"]] == ["interrupted", "done"]


def test_machine_a_loop_that_stands_still_is_ended_by_the_watchdog_and_started_again(system_service: Installed) -> None:
    system_service.add_to_unit("RestartSec=0.1\nWatchdogSec=2")
    before = system_service.pid()
    system_service.machine.run("kill", "-STOP", str(before), check=True)
    eventually(lambda: system_service.pid() not in (0, before), "another daemon runs")
    eventually(lambda: system_service.shown("ActiveState")["ActiveState"] == "active", "it is ready")
    assert "Watchdog timeout" in system_service.log()
    assert "Fatal Python error: Aborted" in system_service.log(), "where every thread stood is in the journal"
    system_service.drop("revived", {"do": "probe"})
    assert system_service.ended("revived")["state"] == "done"


def test_machine_a_stop_lets_the_running_step_finish_and_gets_the_time_it_asks_for(system_service: Installed) -> None:
    system_service.add_to_unit("TimeoutStopSec=1")  # Far too short, but the daemon asks for more.
    system_service.drop("drained", {"do": "probe", "seconds": 4})
    system_service.is_running("drained")
    system_service.systemctl("stop", "drophammer")
    assert system_service.shown("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    system_service.systemctl("start", "drophammer")
    job = system_service.ended("drained")
    assert job["state"] == "done" and [attempt["outcome"] for attempt in job["attempts"]] == ["done"]


def test_machine_a_daemon_that_is_killed_again_and_again_stays_down_until_a_person_has_looked(
    system_service: Installed,
) -> None:
    system_service.add_to_unit("RestartSec=0.1")
    system_service.drop("struck", {"do": "probe", "seconds": 3})
    system_service.is_running("struck")
    for _ in range(8):
        if system_service.shown("ActiveState")["ActiveState"] == "failed":
            break
        eventually(
            lambda: system_service.shown("ActiveState")["ActiveState"] in ("active", "failed"), "it is up or given up"
        )
        system_service.machine.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "drophammer")
        eventually(
            lambda: system_service.shown("SubState")["SubState"] in ("start", "running", "failed"), "systemd has judged"
        )
    assert system_service.shown("ActiveState")["ActiveState"] == "failed"
    assert "Start request repeated too quickly" in system_service.log()
    system_service.systemctl("reset-failed", "drophammer")
    system_service.systemctl("start", "drophammer")
    assert system_service.ended("struck")["state"] == "done"


def test_machine_a_configuration_it_cannot_start_with_is_not_tried_again(system_service: Installed) -> None:
    system_service.configure(retries="many")
    try:
        assert system_service.systemctl("restart", "drophammer", check=False).returncode != 0
        assert system_service.shown("ActiveState", "ExecMainStatus", "NRestarts") == {
            "ActiveState": "failed", "ExecMainStatus": "2", "NRestarts": "0",
        }  # fmt: skip
        assert "retries" in system_service.log()
    finally:
        system_service.configure()
        system_service.systemctl("reset-failed", "drophammer")
        system_service.systemctl("start", "drophammer")


def test_machine_a_step_longer_than_the_drain_is_given_back_by_a_stop(system_service: Installed) -> None:
    system_service.configure(drain=1)
    system_service.systemctl("reload", "drophammer")
    system_service.drop("given-back", {"do": "probe", "items": 8, "seconds": 1})
    system_service.is_running("given-back")
    system_service.systemctl("stop", "drophammer")
    assert system_service.shown("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    system_service.configure()
    system_service.systemctl("start", "drophammer")
    job = system_service.ended("given-back")
    assert job["state"] == "done" and [attempt["outcome"] for attempt in job["attempts"]] == ["interrupted", "done"]


def test_machine_out_of_memory_takes_the_worker_and_not_the_daemon(system_service: Installed) -> None:
    controllers = system_service.machine.run("cat", "/sys/fs/cgroup/unified/cgroup.controllers").stdout.split()
    if "memory" not in controllers:
        pytest.skip(
            "MemoryMax= needs cgroup v2's memory controller; tests/faults/test_misbehaving.py tries a limit without systemd"
        )
    system_service.add_to_unit("MemoryMax=300M\nMemorySwapMax=0")
    before = system_service.pid()
    system_service.drop("large", {"do": "probe", "memory_mib": 600, "seconds": 1})
    job = system_service.ended("large")
    assert "SIGKILL" in job["reason"] and system_service.pid() == before


def test_machine_a_drive_that_comes_later_is_found_without_a_restart(system_service: Installed) -> None:
    machine = system_service.machine
    script = "mkdir -p /mnt/drive /media/disk && mount -t tmpfs tmpfs /media/disk && mkdir /media/disk/outbox && touch /media/disk/outbox/.drophammer-outbox"
    machine.run(
        "sh", "-c", f"{script} && chown -R {PERSON} /media/disk && mount --bind /media/disk /mnt/drive", check=True
    )
    system_service.configure(outbox="/mnt/drive/outbox")
    system_service.install()
    system_service.systemctl("stop", "drophammer")
    machine.run("umount", "/mnt/drive", check=True)
    system_service.systemctl("start", "drophammer")
    system_service.drop("parked", {"do": "probe"})
    eventually(lambda: system_service.job("parked"), "it is accepted")
    assert "is the drive mounted?" in system_service.shown("StatusText")["StatusText"]
    machine.run("mount", "--bind", "/media/disk", "/mnt/drive", check=True)
    assert system_service.ended("parked")["state"] == "done"
    system_service.configure()


def test_machine_a_group_is_given_what_is_published(system_service: Installed) -> None:
    machine = system_service.machine
    machine.run("groupadd", "music", check=True)
    system_service.configure(group="music")
    done = system_service.drophammer("service", "install", "--system", "--user", PERSON, root=True)
    assert done.returncode == 2 and f"{PERSON} does not belong to music" in done.stderr
    machine.run("usermod", "--append", "--groups", "music", PERSON, check=True)
    system_service.install()
    system_service.drop("shared", {"do": "probe"})
    folder = system_service.ended("shared")["folder"]
    assert set(machine.run("sh", "-c", 'stat -c "%G %a" "$1" "$1"/*.txt', "sh", folder).stdout.splitlines()) == {
        "music 775",
        "music 664",
    }


def test_machine_a_persons_own_service_works_and_writes_nowhere_else(user_service: Installed) -> None:
    assert user_service.shown("ActiveState", "UnitFileState", "StatusText") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "StatusText": "idle",
    }
    user_service.drop("mine", {"do": "probe", "text": "hello"})
    assert user_service.ended("mine")["state"] == "done"
    assert user_service.lines(f"{user_service.outbox}/latest/mine_probe_1.txt") == ["hello 1"]
    for name, path in {"home": f"/home/{PERSON}/outside", "secret": f"/home/{PERSON}/.ssh/id"}.items():
        user_service.drop(name, {"do": "probe", "stamp": path, "retries": 0})
        job = user_service.ended(name)
        assert job["state"] == "failed" and any(words in job["reason"] for words in REFUSALS), job["reason"]


def test_machine_the_installer_names_the_way_to_run_while_logged_out(user_service: Installed) -> None:
    command = f"loginctl enable-linger {PERSON}"
    assert command not in user_service.install()
    # The mark alone, and not for long: without it the person's systemd ends, as nobody is logged in here. So no restart (--now).
    user_service.machine.run("rm", f"/var/lib/systemd/linger/{PERSON}", check=True)
    try:
        done = user_service.drophammer("service", "install")
        assert command in done.stdout + done.stderr
    finally:
        user_service.machine.run("loginctl", "enable-linger", PERSON, check=True)


def test_machine_another_installation_does_not_take_the_unit_over(user_service: Installed) -> None:
    other = Installed(user_service.machine, "/srv/other", system=False)
    done = other.drophammer("service", "install")
    assert done.returncode == 2 and "belongs to another installation" in done.stderr


def test_machine_a_unit_older_than_the_configuration_is_said_to_be(user_service: Installed) -> None:
    def up_to_date() -> bool:
        return json.loads(user_service.drophammer("service", "status", "--json").stdout)["up_to_date"]

    assert up_to_date()
    user_service.configure(deliver={"daw": f"/home/{PERSON}/samples"})
    assert not up_to_date()
    user_service.install()
    assert up_to_date()
    user_service.drop("delivered", {"do": "probe", "deliver": {"to": "daw"}})
    assert user_service.ended("delivered")["state"] == "done"
    eventually(
        lambda: user_service.lines(f"/home/{PERSON}/samples/delivered/delivered_probe_1.txt"), "the copy arrives"
    )


def test_machine_an_uninstalled_service_is_stopped_and_gone(user_service: Installed) -> None:
    done = user_service.drophammer("service", "uninstall")
    assert done.returncode == 0, done.stderr
    assert user_service.shown("LoadState", "ActiveState") == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert user_service.drophammer("service", "status").returncode == 1
