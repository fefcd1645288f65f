"""The webhooks of a caller, as its programs handle them: everything is given as the API says it."""

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from safelight.client.http import Http

Document = dict[str, Any]


class Webhooks:
    """The calls below /webhooks. What the API refuses raises Refused with its code."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def add(self, url: str, *, events: tuple[str, ...] = (), description: str = "") -> Document:
        """Register an address. Only this answer, and that of `rotate`, hold its `secret`."""
        body = {"url": url, "events": list(events), "description": description}
        return self._post("/webhooks", json=body)

    def all(self) -> list[Document]:
        """Every webhook, oldest first."""
        found: list[Document] = self._http.ask(Document, "GET", "/webhooks")["items"]
        return found

    def change(self, webhook_id: str, **to: Any) -> Document:
        """Give it another `url`, `events` or `description`; `disabled` switches it off, or on again."""
        return self._http.ask(Document, "PATCH", _path(webhook_id), partial(dict, json=to))

    def delete(self, webhook_id: str) -> None:
        """Remove it."""
        self._http.call("DELETE", _path(webhook_id))

    def rotate(self, webhook_id: str) -> Document:
        """Replace its secret; for a day both sign."""
        return self._post(f"{_path(webhook_id)}/rotate")

    def test(self, webhook_id: str) -> Document:
        """Send it a test; the answer is the delivery, still to be sent."""
        return self._post(f"{_path(webhook_id)}/test")

    def deliveries(self, webhook_id: str, *, limit: int = 50) -> Iterator[Document]:
        """What was sent to it, newest first, at most `limit`."""
        return self._http.items(f"{_path(webhook_id)}/deliveries", limit=limit)

    def replay(self, webhook_id: str, delivery_id: str) -> Document:
        """Send a delivery once more."""
        return self._post(f"{_path(webhook_id)}/deliveries/{quote(delivery_id, safe='')}/replay")

    def _post(self, path: str, **request: Any) -> Document:
        # Under a key, so that repeating it after a lost answer does nothing twice.
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self._http.ask(Document, "POST", path, partial(dict, **request, headers=key))


def _path(webhook_id: str) -> str:
    return f"/webhooks/{quote(webhook_id, safe='')}"
