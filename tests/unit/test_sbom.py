"""The bill of materials that comes with the packages."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import safelight

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-package" / "bin" / "python"


def pinned(name: str) -> set[tuple[str, str]]:
    """Every name and version of a requirement file."""
    lines = (ROOT / f"requirements/{name}.txt").read_text()
    return set(re.findall(r"^([a-z0-9-]+)==([^ ;\\\n]+)", lines, re.MULTILINE))


def bill(path: Path) -> bytes:
    """The bill, written anew. What is no valid CycloneDX is not written."""
    if not PYTHON.exists():
        pytest.skip(".venv-package is not there; `make test` and `make package` make it")
    environ = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run([PYTHON, ROOT / "scripts/sbom.py", path], check=True, env=environ)
    return path.read_bytes()


def test_each_pinned_dependency_is_named_and_the_bytes_can_be_made_again(tmp_path: Path) -> None:
    """Every dependency that runs is there with its version, what only AWS needs as optional, and the second bill is the
    first one."""
    text = bill(tmp_path / "a.json")
    document: dict[str, Any] = json.loads(text)
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["version"] == safelight.__version__
    assert document["metadata"]["timestamp"].startswith("2023-11-14T22:13:20")
    parts = {(part["name"], part["version"]): part["scope"] for part in document["components"]}
    assert set(parts) == pinned("base") | pinned("aws")
    assert {part for part, scope in parts.items() if scope == "required"} == pinned("base")
    assert text == bill(tmp_path / "b.json")


def test_who_asks_for_what(tmp_path: Path) -> None:
    """What we ask for ourselves is told from what others bring along."""
    document: dict[str, Any] = json.loads(bill(tmp_path / "a.json"))
    asks = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    names = {re.sub(r"pkg:pypi/(.+)@.*", r"\1", ref) for ref in asks["safelight"]}
    assert {"msgspec", "pyvips", "boto3"} <= names
    assert "cffi" not in names
    [pyvips] = [refs for ref, refs in asks.items() if ref.startswith("pkg:pypi/pyvips@")]
    assert any(ref.startswith("pkg:pypi/cffi@") for ref in pyvips)
