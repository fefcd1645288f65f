"""Requests that are repeated under an Idempotency-Key: carried out once, answered every time."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from safelight.entrypoints.api.context import Call
from safelight.entrypoints.api.requests import read_idempotency_key
from safelight.errors import (
    BatchNotFound,
    DeliveryNotFound,
    IdempotencyKeyReused,
    JobNotFound,
    WebhookNotFound,
)
from safelight.idempotency import once


class Made(Protocol):
    """What a request was about: a job, a batch, a webhook or a delivery."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Made)


def once_only(
    request: Call, body: bytes, action: Callable[[], T], find: Callable[[str], T]
) -> tuple[T, dict[str, str]]:
    """Carry out `action`; under an Idempotency-Key only the first time, and say so the next times, with what `find`
    finds by then. Return it and the headers to send along. Raise what `idempotency.once` raises."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return action(), {}
    ports = request.service.ports
    made: list[T] = []

    def act() -> str:
        made.append(action())
        return made[0].id

    name = once(
        ports.records,
        ports.clock,
        owner=request.owner,
        key=read_idempotency_key(given),
        request=f"{request.method} {request.scope['path']}\n".encode() + body,
        action=act,
    )
    if made:
        return made[0], {}
    try:
        return find(name), {"Idempotent-Replayed": "true"}
    except (JobNotFound, BatchNotFound, WebhookNotFound, DeliveryNotFound):
        raise IdempotencyKeyReused(
            "What this Idempotency-Key stands for was erased meanwhile; for another one send another key."
        ) from None
