"""The committed pages are what the source in `console/` gives."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "console"
WEB = ROOT / "src/safelight/web"

with_node = pytest.mark.skipif(
    shutil.which("npm") is None or not (SOURCE / "node_modules/.ready").exists(),
    reason="The console's tools are not here: `make test` fetches them with npm.",
)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@with_node
def test_the_committed_pages_are_what_the_source_builds(tmp_path: Path) -> None:
    """A change in `console/` without `make console`, or a change by hand in the bundle, is noticed."""
    subprocess.run(
        ["npx", "--no-install", "vite", "build", "--logLevel", "error", "--outDir", tmp_path / "web"],
        cwd=SOURCE,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    built, committed = files(tmp_path / "web"), files(WEB)
    assert sorted(built) == sorted(committed)
    assert [name for name in built if built[name] != committed[name]] == []


@with_node
def test_the_source_has_no_type_error() -> None:
    """TypeScript, at its strictest, finds nothing."""
    done = subprocess.run(
        ["npx", "--no-install", "tsc", "--noEmit"], cwd=SOURCE, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_first_load_is_small() -> None:
    """What a reader has to wait for takes 250 KB at most, compressed; the rest comes when it is wanted."""
    page = (WEB / "index.html").read_text()
    first = {"index.html", *re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page)}
    assert len(first) > 2
    size = sum(len(gzip.compress((WEB / name).read_bytes(), 9)) for name in first)
    assert size <= 250_000


def test_the_lock_names_no_place() -> None:
    """The lock has exact versions and hashes, and leaves open where the packages come from."""
    lock = (SOURCE / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') > 40
    assert '"resolved"' not in lock
