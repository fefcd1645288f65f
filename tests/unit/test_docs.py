"""The reference is what the code says."""

from scripts import docs, operations

from safelight.operations import catalogue


def test_the_reference_is_in_step_with_the_code() -> None:
    """Every page of docs/reference is as scripts/docs.py writes it now."""
    assert [path.name for path in docs.stale()] == []


def test_the_operations_are_in_step_with_the_code() -> None:
    """Every operation and parameter is on the page, each operation with a picture; `make check` looks at those."""
    assert operations.page() == operations.PAGE.read_text()
    assert set(operations.EXAMPLES) == set(catalogue())
    for operation, examples in operations.EXAMPLES.items():
        assert examples
        for number in range(1, len(examples) + 1):
            assert (operations.PICTURES / f"{operation}-{number}.webp").exists()


def test_every_setting_has_a_meaning() -> None:
    """No setting is without a sentence."""
    from safelight.entrypoints.cli.settings import every_setting

    assert [one.name for one in every_setting() if not one.meaning.endswith((".", "*"))] == []
