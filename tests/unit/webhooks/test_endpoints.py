"""Changing webhooks that others are changing, too."""

import pytest

from safelight.errors import RecordConflict, StorageUnavailable
from safelight.testing import Clock, in_memory
from safelight.webhooks.endpoints import Endpoints


def test_a_change_that_others_get_in_the_way_of_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried so often and no more, and the caller is told to try again."""
    clock = Clock()
    records = in_memory(clock).records
    endpoints = Endpoints(records, clock, loopback=True)
    webhook = endpoints.register("me", "http://127.0.0.1:9/")

    def put(*_: object, **__: object) -> None:
        raise RecordConflict

    monkeypatch.setattr(records, "put", put)
    with pytest.raises(StorageUnavailable, match="try again"):
        endpoints.change("me", webhook.id, description="another")
