"""What two rooms say for themselves, since neither may import the other, is the same."""

from typing import get_args

from safelight import uploads
from safelight.client import pipeline
from safelight.entrypoints.api.requests import WebhookEvent
from safelight.webhooks.endpoints import EVENTS


def test_client_and_service_agree_from_what_size_on_files_come_in_parts() -> None:
    """The client asks for parts exactly where the service grants them."""
    assert pipeline.MULTIPART_FROM == uploads.MULTIPART_FROM


def test_the_api_takes_the_events_that_webhooks_may_be_told_of() -> None:
    """In the same order, too: the refusal of another event lists them."""
    assert get_args(WebhookEvent) == EVENTS
