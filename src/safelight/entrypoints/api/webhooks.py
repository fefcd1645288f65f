"""Webhooks: request → use case → answer."""

from collections.abc import Callable
from functools import partial
from typing import Any

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, RawBody

from safelight.entrypoints.api.context import Call, answer
from safelight.entrypoints.api.replay import once_only
from safelight.entrypoints.api.requests import (
    PageQuery,
    WebhookBody,
    WebhookChangeBody,
    read_body,
    read_id,
    read_query,
)
from safelight.entrypoints.api.webhook_views import (
    DeliveriesView,
    WebhooksView,
    view_delivery,
    view_webhook,
)
from safelight.errors import DeliveryNotFound, WebhookNotFound
from safelight.webhooks import Delivery, Webhook, Webhooks

NO_STORE = {"Cache-Control": "no-store"}


class WebhookRoutes(Controller):
    """What a caller can do to its own webhooks. Nobody sees another's, whatever its scopes."""

    path = "/webhooks"

    @post("/", status_code=201, sync_to_thread=True)
    def create_webhook(self, request: Call, body: RawBody) -> Response[bytes]:
        """Register an address that is told of what happens to the caller's jobs. The answer shows its secret."""
        wanted = read_body(body, WebhookBody)
        webhooks, owner = _webhooks(request), request.owner

        def create() -> Webhook:
            return webhooks.endpoints.register(
                owner, wanted.url, events=tuple(wanted.events or ()), description=wanted.description or ""
            )

        webhook, headers = once_only(request, body, create, partial(webhooks.endpoints.get, owner))
        return _answer(request, webhook, status=201, headers=headers, with_secret=True)

    @get("/", sync_to_thread=True)
    def list_webhooks(self, request: Call) -> Response[bytes]:
        """The caller's webhooks, oldest first."""
        webhooks = _webhooks(request)
        now = request.service.ports.clock()
        items = tuple(
            view_webhook(each, webhooks.deliveries.lane(each), now)
            for each in webhooks.endpoints.of(request.owner)
        )
        return answer(WebhooksView(items=items), headers=NO_STORE)

    @get("/{webhook_id:str}", sync_to_thread=True)
    def get_webhook(self, request: Call, webhook_id: FromPath[str]) -> Response[bytes]:
        """One webhook: how it stands, and whether it was disabled and why."""
        return _answer(request, _found(request, webhook_id))

    @patch("/{webhook_id:str}", sync_to_thread=True)
    def change_webhook(self, request: Call, body: RawBody, webhook_id: FromPath[str]) -> Response[bytes]:
        """Give a webhook another address, other events or another description; switch it off, or on again."""
        wanted = read_body(body, WebhookChangeBody)
        to: dict[str, Any] = {}
        if wanted.url is not None:
            to["url"] = wanted.url
        if wanted.events is not None:
            to["events"] = tuple(wanted.events)
        if wanted.description is not None:
            to["description"] = wanted.description
        which = read_id(webhook_id, WebhookNotFound)
        changed = _webhooks(request).change(request.owner, which, disabled=wanted.disabled, **to)
        return _answer(request, changed)

    @delete("/{webhook_id:str}", status_code=204, sync_to_thread=True)
    def delete_webhook(self, request: Call, webhook_id: FromPath[str]) -> Response[None]:
        """Remove a webhook. What was still to be sent there is not."""
        _webhooks(request).delete(request.owner, read_id(webhook_id, WebhookNotFound))
        return Response(None, status_code=204)

    @post("/{webhook_id:str}/rotate", status_code=200, sync_to_thread=True)
    def rotate_webhook_secret(
        self, request: Call, body: RawBody, webhook_id: FromPath[str]
    ) -> Response[bytes]:
        """Replace the secret. For 24 hours both sign, so that the receiver can change over in its own time."""
        found = _found(request, webhook_id)
        endpoints = _webhooks(request).endpoints
        rotated, headers = once_only(
            request,
            body,
            lambda: endpoints.rotate(found.owner, found.id),
            partial(endpoints.get, found.owner),
        )
        return _answer(request, rotated, headers=headers, with_secret=True)

    @post("/{webhook_id:str}/test", status_code=202, sync_to_thread=True)
    def test_webhook(self, request: Call, body: RawBody, webhook_id: FromPath[str]) -> Response[bytes]:
        """Send a `webhook.test` event, once and soon; its delivery tells what came of it."""
        found = _found(request, webhook_id)
        return _answer_delivery(request, body, found, lambda: _webhooks(request).test(found))

    @get("/{webhook_id:str}/deliveries", sync_to_thread=True)
    def list_deliveries(self, request: Call, webhook_id: FromPath[str]) -> Response[bytes]:
        """What was sent to a webhook and what came of it, newest first: of seven days, and about 1,000 at most."""
        found = _found(request, webhook_id)
        query = read_query(request.query_params.multi_items(), PageQuery)
        deliveries = _webhooks(request).deliveries
        page = deliveries.list(found, cursor=query.cursor or None, limit=query.limit)
        view = DeliveriesView(items=tuple(map(view_delivery, page.items)), next_cursor=page.cursor)
        return answer(view, headers=NO_STORE)

    @post("/{webhook_id:str}/deliveries/{delivery_id:str}/replay", status_code=202, sync_to_thread=True)
    def replay_delivery(
        self, request: Call, body: RawBody, webhook_id: FromPath[str], delivery_id: FromPath[str]
    ) -> Response[bytes]:
        """Send a delivery once more, soon, under the same `webhook-id`, whatever became of it."""
        found = _found(request, webhook_id)
        which = read_id(delivery_id, DeliveryNotFound)
        return _answer_delivery(request, body, found, lambda: _webhooks(request).replay(found, which))


def _webhooks(request: Call) -> Webhooks:
    return request.context.webhooks


def _found(request: Call, webhook_id: str) -> Webhook:
    return _webhooks(request).endpoints.get(request.owner, read_id(webhook_id, WebhookNotFound))


def _answer(
    request: Call,
    webhook: Webhook,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    with_secret: bool = False,
) -> Response[bytes]:
    lane = _webhooks(request).deliveries.lane(webhook)
    view = view_webhook(webhook, lane, request.service.ports.clock(), with_secret=with_secret)
    return answer(view, status=status, headers=NO_STORE | (headers or {}))


def _answer_delivery(
    request: Call, body: bytes, webhook: Webhook, action: Callable[[], Delivery]
) -> Response[bytes]:
    find = partial(_webhooks(request).deliveries.get, webhook)
    delivery, headers = once_only(request, body, action, find)
    return answer(view_delivery(delivery), status=202, headers=NO_STORE | headers)
