"""What clients get of webhooks and their deliveries. A secret is shown where it is made, and nowhere else."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from safelight.entrypoints.api.views import Time, View
from safelight.model import timestamp
from safelight.webhooks import EVENTS, Attempt, Delivery, Lane, Outcome, Webhook


class WebhookView(View, frozen=True):
    """An address that is told of what happens."""

    id: str
    url: str
    events: Annotated[tuple[str, ...], Meta(description="What it is told of.")]
    description: str
    created_at: Time
    disabled: Annotated[bool, Meta(description="Whether nothing is sent there any more.")]
    disabled_reason: Annotated[
        str | None,
        Meta(
            description="`by_request`, `gone` (it answered 410), or `failing` (nothing arrived for three days)."
        ),
    ]
    disabled_at: Time | None
    failing_since: Annotated[
        Time | None, Meta(description="Since when every attempt has failed; null while the last succeeded.")
    ]
    old_secret_until: Annotated[
        Time | None, Meta(description="Until when the secret before this one signs, too.")
    ]
    secret: Annotated[
        str | UnsetType,
        Meta(
            description="What signatures are checked with. Shown only when it is made.", examples=["whsec_…"]
        ),
    ] = UNSET


class WebhooksView(View, frozen=True):
    """The caller's webhooks, oldest first."""

    items: tuple[WebhookView, ...]


class AttemptView(View, frozen=True):
    """One try to deliver."""

    at: Time
    duration: Annotated[float, Meta(description="How many seconds it took.", ge=0)]
    response_status: Annotated[int | None, Meta(description="The HTTP status that came, if one came.")]
    error: Annotated[str | None, Meta(description="The code of what went wrong; null if it arrived.")]


class DeliveryView(View, frozen=True):
    """One event on its way to one webhook."""

    id: str
    event: str
    webhook_id: Annotated[
        str, Meta(description="The `webhook-id` header: one for an event, however often it is sent.")
    ]
    job_id: str | None
    created_at: Annotated[Time, Meta(description="When the event happened.")]
    status: Annotated[Outcome, Meta(description="`pending` until it has arrived, or was given up.")]
    attempt: Annotated[
        int, Meta(description="How often it was tried since the event, or the last replay.", ge=0)
    ]
    next_attempt_at: Time | None
    attempts: Annotated[tuple[AttemptView, ...], Meta(description="The newest 20, oldest first.")]


class DeliveriesView(View, frozen=True):
    """A part of a webhook's deliveries, newest first."""

    items: tuple[DeliveryView, ...]
    next_cursor: Annotated[
        str | None, Meta(description="Asks for the next part as `cursor`; null at the end.")
    ]


def view_webhook(webhook: Webhook, lane: Lane, now: float, *, with_secret: bool = False) -> WebhookView:
    """A webhook as its owner sees it."""
    old = [each.until for each in webhook.retired if each.until > now]
    return WebhookView(
        id=webhook.id,
        url=webhook.url,
        events=webhook.events or EVENTS,
        description=webhook.description,
        created_at=timestamp(webhook.created_at),
        disabled=webhook.disabled is not None,
        disabled_reason=webhook.disabled,
        disabled_at=None if webhook.disabled_at is None else timestamp(webhook.disabled_at),
        failing_since=None if lane.failing_since is None else timestamp(lane.failing_since),
        old_secret_until=timestamp(max(old)) if old else None,
        secret=webhook.secret if with_secret else UNSET,
    )


def view_delivery(delivery: Delivery) -> DeliveryView:
    """A delivery and its attempts."""
    return DeliveryView(
        id=delivery.id,
        event=delivery.event,
        webhook_id=delivery.message_id,
        job_id=None if delivery.notice is None else delivery.notice.job_id,
        created_at=timestamp(delivery.created_at),
        status=delivery.outcome,
        attempt=delivery.tries,
        # At once is as of the moment when that was asked for.
        next_attempt_at=None
        if delivery.next_at is None
        else timestamp(max(delivery.next_at, delivery.begun_at)),
        attempts=tuple(map(_view_attempt, delivery.attempts)),
    )


def _view_attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        at=timestamp(attempt.at),
        duration=attempt.seconds,
        response_status=attempt.status,
        error=attempt.error,
    )
