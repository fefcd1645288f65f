"""The site made of docs/: every link leads somewhere, and no page asks another host for anything."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.support.pages import ROOT

MKDOCS = ROOT / ".venv-site" / "bin" / "mkdocs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew."""
    if not MKDOCS.exists():
        pytest.skip("there is no .venv-site; `make site` makes it")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [MKDOCS, "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_docs_is_in_the_site(site: Path) -> None:
    """A strict build fails for a link that leads nowhere; none of the pages is left out."""
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists(), page


def test_no_page_asks_another_host(site: Path) -> None:
    """Fonts, scripts, styles and pictures are the site's own."""
    loads = re.compile(
        r'<(?:script|img|iframe|source)[^>]+src="?(https?:)?//|<link[^>]+rel="?(?:stylesheet|preconnect)[^>]+//'
    )
    asking = [page.name for page in site.rglob("*.html") if loads.search(page.read_text(encoding="utf-8"))]
    assert asking == []


def test_every_page_is_in_the_navigation() -> None:
    """Nothing that people write can be found by its address only."""
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if f": {page}\n" not in listed} == set()
