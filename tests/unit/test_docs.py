"""The reference is what the code says."""

import re
from pathlib import Path

import pytest
from scripts import docs, operations

from safelight.operations import catalogue


def test_the_reference_is_in_step_with_the_code() -> None:
    """Every page of docs/reference is as scripts/docs.py writes it now."""
    assert [path.name for path in docs.stale()] == []


def test_all_of_the_client_has_a_meaning() -> None:
    """Each public name is on the page, and each of its methods says what it does."""
    from safelight import client

    page = "\n".join(docs.python_client())
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == set(client.__all__)
    told = re.findall(r"^### (\S+)\n\n```py\n[\s\S]*?\n```\n\n(\S?)", page, re.MULTILINE)
    assert len(told) == page.count("\n### ") > 30
    assert [name for name, meaning in told if not meaning.isalpha()] == []


def test_the_operations_are_in_step_with_the_code() -> None:
    """Every operation and parameter is on the page, each operation with a picture; `make check` looks at those."""
    assert operations.page() == operations.PAGE.read_text()
    assert set(operations.EXAMPLES) == set(catalogue())
    for operation, examples in operations.EXAMPLES.items():
        assert examples
        for number in range(1, len(examples) + 1):
            assert (operations.PICTURES / f"{operation}-{number}.webp").exists()


@pytest.mark.parametrize(("name", "least"), [("security", 30), ("design", 10)])
def test_a_page_names_tests_that_exist(name: str, least: int) -> None:
    """Each test, and each file of tests, that a page names is there; `::test` is in the file named before."""
    tests = Path(__file__).parents[1]
    page = (tests.parent / f"docs/{name}.md").read_text()
    if name == "design":
        page = page.partition("## Where pictures go wrong")[2].partition("\n## ")[0]
    named = re.findall(r"`([a-z0-9_/]+\.py)?(?:::(test_\w+))?`", page)
    missing, file = [], ""
    for path, test in named:
        file = path or file
        source = tests / file
        if not source.is_file() or (test and f"def {test}(" not in source.read_text()):
            missing.append(f"{file}::{test}")
    assert len(named) > least
    assert missing == []


def test_every_setting_has_a_meaning() -> None:
    """No setting is without a sentence."""
    from safelight.entrypoints.cli.settings import every_setting

    assert [one.name for one in every_setting() if not one.meaning.endswith((".", "*"))] == []
