"""The promises that the project's own files make."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import group_of

import safelight

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))

each_file = pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)


def entries(path: Path) -> list[str]:
    """The logical lines of a requirement file: one requirement each, with its marker and hashes."""
    lines = (line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    return [entry for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def pins(path: Path) -> dict[str, str]:
    """Name → version."""
    return dict(entry.split()[0].split("==") for entry in entries(path))


def canonical(requirement: str) -> str:
    """The name in a requirement, as indexes compare names."""
    match = re.match(r"[\w.-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_every_requirement_file_is_there() -> None:
    """Building, running, AWS, development, the test servers, fuzzing, locking, packaging, profiling, the site and
    looking at the template have one each."""
    assert [path.stem for path in REQUIREMENTS] == [
        "aws",
        "base",
        "build",
        "dev",
        "emulator",
        "fuzz",
        "lock",
        "package",
        "profile",
        "site",
        "template",
    ]


@each_file
def test_requirements_pin_exact_versions_with_hashes(path: Path) -> None:
    """Every requirement is one exact version and carries the hash of each of its files."""
    pinned = re.compile(r"[a-z0-9-]+==[\w.!+]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert entries(path)
    assert [entry[:60] for entry in entries(path) if not pinned.fullmatch(entry)] == []


@each_file
def test_requirements_name_no_place(path: Path) -> None:
    """No requirement file says where packages come from: no address, no option, no folder of some machine."""
    place = re.compile(r"://|(^|\s)-{1,2}(?!hash=|c requirements/)\w|(^|[\s=])[/~]|\b[A-Z]:\\")
    assert [line for line in path.read_text().splitlines() if place.search(line)][:3] == []


@each_file
def test_requirement_files_agree(path: Path) -> None:
    """What is tested is what is deployed: no file pins another version than the one in dev.txt. The test servers,
    the linters of the template and what makes the site live in environments of their own."""
    if path.stem in ("emulator", "site", "template"):
        return
    tested = pins(ROOT / "requirements/dev.txt")
    assert [name for name, version in pins(path).items() if tested.get(name, version) != version] == []


@pytest.mark.parametrize(
    ("name", "extras"), [("base", []), ("aws", ["aws"]), ("dev", ["aws", "dev"])], ids=["base", "aws", "dev"]
)
def test_requirement_files_hold_what_the_project_declares(name: str, extras: list[str]) -> None:
    """A dependency added to pyproject.toml without `make lock` is noticed."""
    project = PROJECT["project"]
    declared = [*project["dependencies"]]
    for extra in extras:
        declared += project["optional-dependencies"][extra]
    pinned = pins(ROOT / f"requirements/{name}.txt")
    assert [requirement for requirement in declared if canonical(requirement) not in pinned] == []


def test_every_supported_python_is_declared() -> None:
    """Each Python that requires-python admits has its classifier."""
    low, high = (int(minor) for minor in re.findall(r"3\.(\d+)", PROJECT["project"]["requires-python"]))
    listed = re.findall(r"Python :: 3\.(\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert [int(minor) for minor in listed] == list(range(low, high))


def test_the_changelog_knows_this_version() -> None:
    """The changelog has a section for the version in the code, or one for what comes next."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings
    assert headings[0] in ("Unreleased", safelight.__version__)


def test_every_make_target_explains_itself() -> None:
    """`make` lists every target that a person may call."""
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))


def test_every_lint_exception_carries_its_reason() -> None:
    """Each rule switched off in pyproject.toml has a comment that says why."""
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:ignore|skips|\"[^\"]+\") = \[(.*?)\](.*?)$", text, re.MULTILINE | re.DOTALL)
    assert lists
    rules = [line for body, rest in lists for line in (body + rest).splitlines() if '"' in line]
    assert [rule for rule in rules if "#" not in rule] == []


def test_what_needs_the_deployed_stack_is_tested_by_one_process() -> None:
    """Side by side, tests are given out file by file; the stack on the emulator is deployed by one process alone."""
    assert group_of("tests/unit/test_keys.py::test_a[aws]") == "tests/unit/test_keys.py"
    assert group_of("tests/browser/test_jobs.py::test_a[embedded]") == "tests/browser/test_jobs.py"
    files = (
        "tests/infra/test_keys.py::test_a",
        "tests/infra/test_stack.py::test_b[x]",
        "tests/browser/b.py::test_c[aws]",
    )
    assert len({group_of(nodeid) for nodeid in files}) == 1
