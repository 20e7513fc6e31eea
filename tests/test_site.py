"""The documentation site builds without a warning, and needs no network to be read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    pytest.importorskip("sphinx")
    out = tmp_path_factory.mktemp("site")
    recipe = re.search(r"sphinx-build (.*) runs/site", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert recipe is not None
    command = [sys.executable, "-m", "sphinx", *recipe[1].split(), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_there_and_in_the_navigation(site: Path) -> None:
    home = (site / "docs" / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / "docs" / f"{page.stem}.html").exists()
        assert page.stem == "index" or f'href="{page.stem}.html"' in home, f"{page.name} is in no table of contents"


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8"))
        assert not [tag for tag in tags if re.search(r"(?:src|href)=\"(?:https?:)?//", tag)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


def test_the_public_names_are_documented(site: Path) -> None:
    text = (site / "docs" / "api.html").read_text(encoding="utf-8")
    assert 'id="fia.NeuronMask.with_strengths"' in text
    import fia

    for name in fia.__all__:
        assert f'id="fia.{name}"' in text, name
    assert "<p>r2 in [0, 1]: the share of the connections of a row" in text  # what stands below a field of the settings
