"""Every YAML block of the guide and the README that is a whole file is read by what reads such files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from daemon import settings
from daemon.documents import read
from daemon.schedule.reading import read as read_schedules
from daemon.settings_model import Settings
from handlers.registry import load_registry
from handlers.stems.styles import read_family

ROOT = Path(__file__).parents[2]
PAGES = ("docs/guide.md", "README.md")
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONFIGURED = set(yaml.safe_load((ROOT / "config/defaults.yaml").read_text(encoding="utf-8")))


def _kind(block: str) -> str:
    """What a block is, by its keys at the top."""
    keys = set(yaml.safe_load(block))
    if keys & {"do", "steps"}:
        return "job"
    if "styles" in keys:
        return "style"
    return "configuration" if keys <= CONFIGURED else "schedules"


def _blocks(*kinds: str) -> list[object]:
    found = []
    for page in PAGES:
        if (ROOT / page).exists():
            text = (ROOT / page).read_text(encoding="utf-8")
            for match in BLOCK.finditer(text):
                if _kind(match[1]) in kinds:
                    found.append(pytest.param(match[1], id=f"{page}:{text.count(chr(10), 0, match.start()) + 1}"))
    return found


@pytest.fixture
def configured(tmp_path: Path) -> Settings:
    """A throw-away installation with this project's styles and a delivery folder named as in the guide."""
    (tmp_path / "config").mkdir()
    for name in ("styles", "models.yaml"):
        (tmp_path / "config" / name).symlink_to(ROOT / "config" / name)
    (tmp_path / "config" / "drophammer.yaml").write_text("deliver: {daw: samples}\n", encoding="utf-8")
    return settings.load(tmp_path)


def test_the_guide_has_its_recipes_and_the_readme_a_job() -> None:
    pages = [block.id.partition(":")[0] for block in _blocks("job")]
    assert (pages.count("docs/guide.md"), pages.count("README.md") > 0) == (5, True)
    assert len(_blocks("schedules")) == len(_blocks("style")) == 1


@pytest.mark.parametrize("block", _blocks("job"))
def test_job_is_one_that_the_reader_takes(block: str, configured: Settings) -> None:
    document = read(block.encode(), load_registry(), configured, default_name="block")
    assert document.steps
    assert [finding for step in document.steps for finding in step.findings] == []


@pytest.mark.parametrize("block", _blocks("schedules"))
def test_schedule_can_be_read_and_its_job_too(block: str, configured: Settings, tmp_path: Path) -> None:
    path = tmp_path / "config" / "schedules.yaml"
    path.write_text(block, encoding="utf-8")
    assert len(read_schedules(path)) == 1
    (schedule,) = yaml.safe_load(block).values()
    text = yaml.safe_dump(schedule["job"], sort_keys=False).encode()
    assert read(text, load_registry(), configured, default_name="block").steps


@pytest.mark.parametrize("block", _blocks("style"))
def test_style_can_be_read(block: str, tmp_path: Path) -> None:
    path = tmp_path / "harbour.yaml"
    path.write_text(block, encoding="utf-8")
    assert "crane" in read_family(path).styles


@pytest.mark.parametrize("block", _blocks("configuration"))
def test_configuration_is_valid(block: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "drophammer.yaml").write_text(block, encoding="utf-8")
    settings.load(tmp_path)


@pytest.mark.parametrize("page", [page for page in PAGES if (ROOT / page).exists()])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#:]+)\)", text)]
    assert targets
    assert [target for target in targets if not ((ROOT / page).parent / target).exists()] == []
