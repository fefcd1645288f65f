"""Webhooks on in-memory ports, with a sender that a test answers for and a clock that it moves."""

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from tests.unit.pipeline import ME, Pipeline

from safelight.entrypoints.payloads import body_of
from safelight.errors import OutgoingError
from safelight.outgoing import Answered
from safelight.sweeper import Sweeper
from safelight.webhooks import Delivery, Webhook, Webhooks
from safelight.webhooks.courier import Courier

Answers = Callable[["Sent"], int | Answered | type[OutgoingError]]


class Sent(NamedTuple):
    """One request, as it left."""

    url: str
    body: Any
    headers: Mapping[str, str]
    at: float
    raw: bytes


class Post(Pipeline):
    """The pipeline with webhooks."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.webhooks = Webhooks(self.settings, self.ports, resolve=lambda _host, _port: ["93.184.216.34"])
        self.sweeper = Sweeper(self.service, self._announce)
        self.sent: list[Sent] = []
        self.answers: Answers = lambda _sent: 204
        self._lock = threading.Lock()
        self.courier = self.new_courier()

    def new_courier(self) -> Courier:
        """A courier of another process."""
        return Courier(self.webhooks, partial(body_of, self.service), lambda: self, jitter=lambda: 1.0)

    def _announce(self, notice: Any) -> None:
        self.webhooks.spread(notice)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """The sender's."""
        sent = Sent(url, json.loads(body), headers, self.clock(), body)
        with self._lock:
            self.sent.append(sent)
        answer = self.answers(sent)
        if isinstance(answer, type):
            raise answer
        return answer if isinstance(answer, Answered) else Answered(answer)

    def close(self) -> None:
        """The sender's."""

    def register(self, url: str = "https://hooks.example/a", owner: str = ME, **said: Any) -> Webhook:
        """A caller registers an address."""
        return self.webhooks.endpoints.register(owner, url, **said)

    def look(self, webhook: Webhook) -> Webhook:
        """The webhook as it is now."""
        return self.webhooks.endpoints.get(webhook.owner, webhook.id)

    def deliver(self, after: float = 0.0) -> list[Sent]:
        """Let time pass, tell what is to be told and deliver what is due; what was sent."""
        self.clock.advance(after)
        before = len(self.sent)
        self.sweeper.tell()
        self.courier.run(60.0)
        return self.sent[before:]

    def log(self, webhook: Webhook) -> list[Delivery]:
        """The webhook's deliveries, newest first."""
        return list(self.webhooks.deliveries.list(webhook).items)
