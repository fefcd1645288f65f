"""Webhooks: who wants to be told of what, and telling them, by the Standard Webhooks specification.

    telling       from a notice to its deliveries, and what callers may do about theirs
    endpoints     the addresses that callers have registered, with their secrets
    deliveries    one row for each event and endpoint: what is still to be sent, and what became of it
    courier       sends what is due, and gives up on who never answers
    signing       the signatures

Everything is kept in `Records`. A notice becomes its deliveries (`Webhooks.spread`) before it is settled, a delivery is
done with once its outcome is stored: whatever is cut off in between is done again, under the same `webhook-id`.
"""

from safelight.webhooks.deliveries import Attempt, Deliveries, Delivery, Lane, Outcome
from safelight.webhooks.endpoints import EVENTS, Endpoints, Webhook
from safelight.webhooks.telling import Webhooks

__all__ = [
    "EVENTS",
    "Attempt",
    "Deliveries",
    "Delivery",
    "Endpoints",
    "Lane",
    "Outcome",
    "Webhook",
    "Webhooks",
]
