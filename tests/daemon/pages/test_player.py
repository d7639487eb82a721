"""What a person's clicks and keys do in `index.html`, in a real browser from disk; skipped where there is no Chromium."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.pages import write
from daemon.pages.index import PICTURE_LEFT, PICTURE_RIGHT

Made = tuple[Path, dict[str, Any]]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1200,3000",
    "--remote-debugging-pipe",
]
PATIENCE_S = 30.0
BEDS, MIX = 'document.querySelector("#i-beds-1 audio")', 'document.querySelector("#i-mix-1 audio")'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to look at the page with")


class Browser:
    """Chromium, spoken to through its debugging pipe: JSON messages that end with a zero byte."""

    def __init__(self, profile: Path) -> None:
        to_read, self.write = os.pipe()
        self.read, to_write = os.pipe()
        # The browser takes its commands from descriptor 3 and answers on 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (to_read, to_write)]
        place = f"import os, sys; os.dup2({ends[0]}, 3); os.dup2({ends[1]}, 4); os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", place, CHROMIUM or "", *FLAGS, f"--user-data-dir={profile}"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=ends, stdin=quiet, stdout=quiet, stderr=quiet)
        for end in (to_read, to_write, *ends):
            os.close(end)
        self.rest = b""
        self.number = 0
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            block = os.read(self.read, 1 << 16)
            assert block, "the browser went away"
            self.rest += block
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def run(self, script: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"never true: {condition}"
            time.sleep(0.02)

    def open(self, page: Path) -> None:
        self.ask("Page.navigate", url=page.as_uri())
        self.wait('document.readyState === "complete" && [...document.querySelectorAll("audio")].every((audio) => audio.readyState > 0)')

    def press(self, key: str, code: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=code, text=key if kind == "keyDown" and len(key) == 1 else "")

    def click(self, selector: str, share: float = 0.5) -> None:
        """Press the mouse on an element, at a share of its width."""
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            'e.scrollIntoView({block: "center", behavior: "instant"});'
            "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=box[0] + box[2] * share, y=box[1] + box[3] / 2, button="left", clickCount=1)

    def close(self) -> None:
        self.process.terminate()  # It ends its children itself.
        self.process.wait()
        os.close(self.read)
        os.close(self.write)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser, demo: Made) -> Browser:
    folder, manifest = demo
    write(folder, manifest)
    chromium.events.clear()
    chromium.open(folder / "index.html")
    return chromium


def test_only_one_recording_plays_at_a_time(browser: Browser) -> None:
    browser.run(f"{BEDS}.play()")
    browser.wait(f"!{BEDS}.paused")
    browser.run(f"{MIX}.play()")
    browser.wait(f"!{MIX}.paused && {BEDS}.paused")


def test_click_on_the_picture_plays_from_the_time_under_it(browser: Browser) -> None:
    browser.click("#i-mix-1 .scope", PICTURE_LEFT + 0.4 * (1 - PICTURE_LEFT - PICTURE_RIGHT))
    browser.wait(f"!{MIX}.paused")
    browser.run(f"{MIX}.pause()")
    assert 1.9 < browser.run(f"{MIX}.currentTime") < 5
    browser.run(f"{MIX}.currentTime = 2.5")
    browser.wait(f"{MIX}.currentTime === 2.5 && !{MIX}.seeking")
    browser.wait('Math.abs(parseFloat(document.querySelector("#i-mix-1 .head-line").style.left) - 50) < 0.01')
    assert browser.run('document.querySelector("#i-mix-1 .scope").getAttribute("aria-valuetext")') == "0:02 of 0:05"


def test_track_jumps_to_its_start_without_leaving_the_page(browser: Browser) -> None:
    address = browser.run("location.href")
    browser.click("#i-mix-1 .tracks li:nth-child(3) a")
    browser.wait(f"!{MIX}.paused")
    browser.run(f"{MIX}.pause()")
    assert 3.0 <= browser.run(f"{MIX}.currentTime") < 5
    assert browser.run("location.href") == address
    browser.wait('document.querySelector("#i-mix-1 .tracks li:nth-child(3) a.on")')


def test_space_plays_and_pauses_and_arrows_seek(browser: Browser) -> None:
    browser.press(" ", "Space")
    browser.wait(f"!{MIX}.paused")
    browser.press(" ", "Space")
    browser.wait(f"{MIX}.paused")
    browser.run(f"{MIX}.currentTime = 0")
    browser.press("ArrowRight", "ArrowRight")
    browser.wait(f"{MIX}.currentTime === 5")
    browser.press("ArrowLeft", "ArrowLeft")
    browser.wait(f"{MIX}.currentTime === 0")


def test_copy_takes_the_job_file_as_it_stands(browser: Browser, demo: Made) -> None:
    browser.run(
        "document.execCommand = () => { window.copied = document.activeElement.value; return true; }; "
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: (text) => { window.copied = text; return Promise.resolve(); }}})"
    )
    browser.click('button[data-copy="same"]')
    browser.wait("window.copied")
    assert browser.run("window.copied") == demo[1]["job"]["document"]
    before = browser.run('document.querySelector("#other mark").textContent')
    browser.click('button[data-draw="other"]')
    browser.wait(f'document.querySelector("#other mark").textContent !== "{before}"')


def test_page_asks_for_its_own_files_and_nothing_else(browser: Browser, demo: Made) -> None:
    browser.run("1")
    addresses = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    assert addresses
    assert [address for address in addresses if not address.startswith((demo[0].as_uri(), "data:"))] == []


def test_hostile_texts_run_nothing_and_break_nothing(chromium: Browser, hostile: Made) -> None:
    folder, manifest = hostile
    write(folder, manifest)
    chromium.events.clear()
    chromium.open(folder / "index.html")
    assert chromium.run('document.documentElement.classList.contains("js")')
    bad = {"Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Log.entryAdded"}
    assert [event for event in chromium.events if event["method"] in bad] == []


def test_page_is_as_wide_as_a_phone(chromium: Browser, demo: Made) -> None:
    folder, manifest = demo
    write(folder, manifest)
    chromium.ask("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=2, mobile=True)
    try:
        chromium.open(folder / "index.html")
        assert chromium.run("document.documentElement.scrollWidth") == 360
    finally:
        chromium.ask("Emulation.clearDeviceMetricsOverride")
