"""The reference is what the code says."""

from scripts import docs


def test_the_reference_is_in_step_with_the_code() -> None:
    """Every page of docs/reference is as scripts/docs.py writes it now."""
    assert [path.name for path in docs.stale()] == []


def test_every_setting_has_a_meaning() -> None:
    """No setting is without a sentence."""
    from safelight.entrypoints.cli.settings import every_setting

    assert [one.name for one in every_setting() if not one.meaning.endswith((".", "*"))] == []
