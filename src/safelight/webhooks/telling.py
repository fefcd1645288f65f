"""From a notice to its deliveries, and what callers may do about theirs."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from safelight import faults
from safelight.addresses import Resolve
from safelight.config import Settings
from safelight.model import Notice, new_id
from safelight.ports import Ports
from safelight.webhooks.deliveries import Deliveries, Delivery, new_delivery
from safelight.webhooks.endpoints import Endpoints, Webhook

TEST: Final = "webhook.test"
"""The event that a webhook is told of when its owner asks for a test."""


WebhooksOf = Callable[[str], Iterable[Webhook]]
"""The webhooks of an owner."""


class Webhooks:
    """The webhooks of one Safelight: what is registered, and what is sent there."""

    def __init__(self, settings: Settings, ports: Ports, *, resolve: Resolve | None = None) -> None:
        self.ports = ports
        self.endpoints = Endpoints(
            ports.records,
            ports.clock,
            on=settings.webhooks == "on",
            loopback=settings.webhooks_to_loopback,
            resolve=resolve,
        )
        self.deliveries = Deliveries(ports.records, ports.clock)

    def spread(self, notice: Notice, webhooks_of: WebhooksOf | None = None) -> tuple[Webhook, ...]:
        """Make the deliveries of a notice, for everybody who wants to be told; return who that is. The second time
        changes nothing. Who has the webhooks of owners at hand gives them in `webhooks_of`."""
        webhooks = (webhooks_of or self.endpoints.of)(notice.owner)
        told = [each for each in webhooks if each.wants(notice.kind)]
        for webhook in told:
            delivery = new_delivery(
                webhook,
                notice.kind,
                notice.message_id,
                at=notice.at,
                now=self.ports.clock(),
                notice=notice,
            )
            self.deliveries.add(webhook, delivery)
            faults.reached("webhook.spread")
        return tuple(told)

    def test(self, webhook: Webhook) -> Delivery:
        """Send it a test, now: whether it is disabled or not."""
        now = self.ports.clock()
        delivery = new_delivery(webhook, TEST, f"test_{new_id()}", at=now, now=now)
        self.deliveries.add(webhook, delivery)
        self.ports.wake_courier()
        return delivery

    def replay(self, webhook: Webhook, delivery_id: str) -> Delivery:
        """Send a delivery once more, now. Raise DeliveryNotFound."""
        delivery = self.deliveries.again(webhook, delivery_id)
        self.ports.wake_courier()
        return delivery

    def change(self, owner: str, webhook_id: str, *, disabled: bool | None = None, **to: Any) -> Webhook:
        """See `Endpoints.change`. What waited for a webhook that is switched on again is sent now."""
        webhook = self.endpoints.change(owner, webhook_id, disabled=disabled, **to)
        if disabled is False or "url" in to:
            self.deliveries.resume(webhook)
            self.ports.wake_courier()
        return webhook

    def delete(self, owner: str, webhook_id: str) -> None:
        """Remove a webhook and what was to be sent to it. Raise WebhookNotFound."""
        self.endpoints.delete(owner, webhook_id)
        self.deliveries.forget(webhook_id)
