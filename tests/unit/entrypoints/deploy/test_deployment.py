"""What a deployment refuses before it asks AWS anything."""

import pytest

from safelight.entrypoints.deploy.account import Account
from safelight.entrypoints.deploy.deployment import _refuse_old_runtime
from safelight.errors import ConfigurationError


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither settings nor credentials of whoever runs the tests."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


def test_python_3_11_is_for_emulators() -> None:
    """The codecs would not load there, and every job would fail: so it is said before anything is made."""
    with pytest.raises(ConfigurationError, match=r"give --parameter Runtime=python3\.12"):
        _refuse_old_runtime(Account("eu-central-1"), "python3.11")
    _refuse_old_runtime(Account("eu-central-1"), "python3.12")


def test_python_3_11_is_taken_by_what_stands_in_for_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator runs functions on its own Python."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    _refuse_old_runtime(Account("eu-central-1"), "python3.11")


def test_without_a_region_one_is_asked_for() -> None:
    """Nothing is deployed to a region that nobody named."""
    with pytest.raises(ConfigurationError, match="Which region"):
        Account()
