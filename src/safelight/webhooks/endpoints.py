"""The addresses that callers have registered, each with the secret that signs what is sent there.

A secret is kept as it is, since it has to sign; it is told when it is made and never again.
"""

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec

from safelight.addresses import Resolve, addresses_of, place_of
from safelight.decoding import from_json
from safelight.errors import RecordConflict, StorageUnavailable, TooManyWebhooks, WebhookNotFound, WebhooksOff
from safelight.model import DAY, Value, new_id
from safelight.ports import Clock, Record, Records
from safelight.rewriting import TRIES, pause_after
from safelight.webhooks.signing import new_secret

EVENTS: Final = ("job.completed", "job.failed", "job.expired", "job.canceled", "batch.completed")
"""What a webhook may be told of."""

MAX_WEBHOOKS: Final = 20
"""How many webhooks a caller may have."""

BOTH_SIGN_FOR: Final = DAY
"""How long a secret that was replaced still signs beside its successor."""

RETIRED_KEPT: Final = 3
"""How many replaced secrets may sign at a time, so that the header does not grow without end."""


class Retired(Value, frozen=True):
    """A secret that was replaced, and until when it still signs."""

    secret: str
    until: float


class Webhook(Value, frozen=True):
    """An address that wants to be told. No `events` are all events, those of later versions too."""

    id: str
    owner: str
    url: str
    secret: str
    created_at: float
    events: tuple[str, ...] = ()
    description: str = ""
    retired: tuple[Retired, ...] = ()
    disabled: str | None = None
    """Why nothing is sent: `by_request`, `gone` (it answered 410) or `failing` (nothing arrived for three days)."""
    disabled_at: float | None = None

    def wants(self, event: str) -> bool:
        """Whether it is to be told of this now."""
        return self.disabled is None and (not self.events or event in self.events)

    def secrets(self, now: float) -> tuple[str, ...]:
        """The secrets that sign now, the newest first."""
        return (self.secret, *(each.secret for each in self.retired if each.until > now))


Change = Callable[[Webhook], Webhook]


class Endpoints:
    """The webhooks of all callers. With `on=False` none can be made. `loopback` lets them lead to this machine."""

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        on: bool = True,
        loopback: bool = False,
        resolve: Resolve | None = None,
    ) -> None:
        self._records = records
        self._clock = clock
        self._on = on
        self._loopback = loopback
        self._resolve = resolve

    def register(
        self, owner: str, url: str, *, events: tuple[str, ...] = (), description: str = ""
    ) -> Webhook:
        """Make a webhook. Raise WebhooksOff, TooManyWebhooks, AddressRefused or HostUnknown."""
        self._judge(url)
        if len(self.of(owner)) >= MAX_WEBHOOKS:
            raise TooManyWebhooks(f"A caller may have {MAX_WEBHOOKS} webhooks; delete one first.")
        webhook = Webhook(
            id=new_id(),
            owner=owner,
            url=url,
            secret=new_secret(),
            created_at=self._clock(),
            events=events,
            description=description,
        )
        self._records.put(_partition(owner), webhook.id, _encode(webhook), expected=0)
        return webhook

    def of(self, owner: str) -> tuple[Webhook, ...]:
        """The owner's webhooks, oldest first."""
        page = self._records.list(_partition(owner), limit=2 * MAX_WEBHOOKS)
        return tuple(sorted(map(_decoded, page.items), key=lambda webhook: (webhook.created_at, webhook.id)))

    def find(self, owner: str, webhook_id: str) -> Webhook | None:
        """The webhook, if the owner has it."""
        record = self._records.get(_partition(owner), webhook_id)
        return None if record is None else _decoded(record)

    def get(self, owner: str, webhook_id: str) -> Webhook:
        """The webhook. Raise WebhookNotFound, also for another's."""
        webhook = self.find(owner, webhook_id)
        if webhook is None:
            raise WebhookNotFound
        return webhook

    def change(self, owner: str, webhook_id: str, *, disabled: bool | None = None, **to: Any) -> Webhook:
        """Give it another `url`, `events` or `description`; switch it off, or on again whatever had switched it off.
        Raise WebhookNotFound, AddressRefused, HostUnknown, WebhooksOff."""
        if "url" in to or disabled is False:
            self._judge(to.get("url") or self.get(owner, webhook_id).url)

        def changed(webhook: Webhook) -> Webhook:
            webhook = msgspec.structs.replace(webhook, **to)
            if disabled is None or disabled is (webhook.disabled is not None):
                return webhook
            reason, at = ("by_request", self._clock()) if disabled else (None, None)
            return msgspec.structs.replace(webhook, disabled=reason, disabled_at=at)

        return self._rewrite(owner, webhook_id, changed)

    def rotate(self, owner: str, webhook_id: str) -> Webhook:
        """Replace its secret; the old one signs beside it for a day. Raise WebhookNotFound."""
        now = self._clock()

        def rotated(webhook: Webhook) -> Webhook:
            old = Retired(secret=webhook.secret, until=now + BOTH_SIGN_FOR)
            retired = (old, *(each for each in webhook.retired if each.until > now))[:RETIRED_KEPT]
            return msgspec.structs.replace(webhook, secret=new_secret(), retired=retired)

        return self._rewrite(owner, webhook_id, rotated)

    def disable(self, webhook: Webhook, reason: str) -> None:
        """Send nothing there any more. If somebody has deleted it or switched it off meanwhile, that stands."""
        now = self._clock()

        def disabled(found: Webhook) -> Webhook:
            if found.disabled is not None or found.url != webhook.url:
                return found
            return msgspec.structs.replace(found, disabled=reason, disabled_at=now)

        try:
            self._rewrite(webhook.owner, webhook.id, disabled)
        except WebhookNotFound:
            return

    def delete(self, owner: str, webhook_id: str) -> None:
        """Remove it. What was still to be sent is not. Raise WebhookNotFound."""
        self.get(owner, webhook_id)
        self._records.delete(_partition(owner), webhook_id)

    def _judge(self, url: str) -> None:
        if not self._on:
            raise WebhooksOff
        addresses_of(place_of(url, loopback=self._loopback), loopback=self._loopback, resolve=self._resolve)

    def _rewrite(self, owner: str, webhook_id: str, to: Change) -> Webhook:
        for attempt in range(TRIES):
            record = self._records.get(_partition(owner), webhook_id)
            if record is None:
                raise WebhookNotFound
            before = _decoded(record)
            after = to(before)
            if after == before:
                return before
            try:
                self._records.put(_partition(owner), webhook_id, _encode(after), expected=record.version)
            except RecordConflict:
                time.sleep(pause_after(attempt))
                continue
            return after
        raise StorageUnavailable("Others change this webhook all the time; try again.")


_encode: Final = msgspec.json.Encoder().encode


def _decoded(record: Record) -> Webhook:
    return from_json(record.value, Webhook)


def _partition(owner: str) -> str:
    return f"webhooks-{sha256(owner.encode()).hexdigest()}"
