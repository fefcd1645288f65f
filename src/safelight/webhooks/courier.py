"""The courier: sends what is due to every webhook at once, so that nobody waits for another's slow receiver.

One thread has the lane of a webhook and sends a few deliveries side by side; a webhook that is down gets one attempt at
a time, in growing pauses, and is disabled when nothing has arrived for three days, or when it answers 410.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Final, Protocol

from safelight import __version__, faults
from safelight.errors import NotWelcome, OutgoingError
from safelight.webhooks.deliveries import (
    FAILURES_IN_A_ROW,
    GIVE_UP_AFTER,
    Attempt,
    Deliveries,
    Delivery,
    Outcome,
)
from safelight.webhooks.endpoints import Webhook
from safelight.webhooks.signing import headers_of
from safelight.webhooks.telling import Webhooks

log = logging.getLogger(__name__)

LANES_AT_ONCE: Final = 32
SIDE_BY_SIDE: Final = 4
"""How many webhooks are served at once, and how many deliveries of one are under way."""

LONGEST_ATTEMPT: Final = 20.0
"""Seconds that an attempt may take, with what is around it."""

AFTER_ERROR: Final = 30.0
"""Seconds until a lane is looked at again that could not be served for a reason inside."""

GONE: Final = 410

DISABLED: Final = "webhook_disabled"
"""What ends the deliveries that waited for a webhook when it was disabled; each can be replayed."""

LONGEST_WAIT: Final = 86_400.0

Payload = Callable[[Delivery], bytes]
"""Makes the body of a delivery: anew for each attempt, so that what is signed in it is fresh."""


class Answer(Protocol):
    """What came back."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def retry_after(self) -> float:
        """How many seconds the other side asks to wait."""


class Sender(Protocol):
    """Sends a body to a URL. `outgoing.Outgoing` is the real one."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raise OutgoingError if no answer comes."""

    def close(self) -> None:
        """Break off what is under way."""


class Courier:
    """Sends the deliveries of all webhooks. `freed` is called whenever a lane is done with. `sender` makes what sends,
    when there is something to be sent: HTTP and TLS take time to load."""

    def __init__(
        self,
        webhooks: Webhooks,
        payload: Payload,
        sender: Callable[[], Sender],
        *,
        freed: Callable[[], None] = lambda: None,
        jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1),
    ) -> None:
        self._webhooks = webhooks
        self._deliveries: Deliveries = webhooks.deliveries
        self._clock = webhooks.ports.clock
        self._payload = payload
        self._make_sender = sender
        self._made: Sender | None = None
        self._freed = freed
        self._jitter = jitter
        self._lock = threading.Lock()
        self._busy: dict[str, Future[None]] = {}
        self._lanes = ThreadPoolExecutor(LANES_AT_ONCE, thread_name_prefix="webhook")
        self._hands = ThreadPoolExecutor(LANES_AT_ONCE * SIDE_BY_SIDE, thread_name_prefix="delivery")
        self._closed = False
        self._end = float("inf")

    def take_over(self) -> None:
        """Go on at once with what a courier was sending that has died. Only where there is no other beside this one.
        Raise StorageUnavailable."""
        self._deliveries.free_all()

    def close(self) -> None:
        """Break off what is under way; it is sent again by whoever comes next."""
        self._closed = True
        self._sender().close()
        self._lanes.shutdown(cancel_futures=True)
        self._hands.shutdown(cancel_futures=True)

    def start_due(self, *, quick: bool = False) -> float | None:
        """Begin with every lane that is due, in threads of its own. Return the seconds until another one will be due;
        None if there is none. `quick` leaves out those whose last attempt failed. Raise StorageUnavailable."""
        now = self._clock()
        soonest: float | None = None
        for webhook_id, lane in self._deliveries.lanes():
            if lane.next_at is None or (quick and lane.failures):
                continue
            at = max(lane.next_at, lane.held_until)
            if at > now:
                soonest = at if soonest is None else min(at, soonest)
                continue
            with self._lock:
                if webhook_id not in self._busy and not self._closed:
                    self._busy[webhook_id] = self._lanes.submit(self._serve, lane.owner, webhook_id)
        return None if soonest is None else soonest - now

    def run(self, seconds: float, *, quick: bool = False) -> None:
        """Send what is due and becomes due meanwhile, for at most about so many seconds. Raise StorageUnavailable."""
        self._end = time.monotonic() + seconds - LONGEST_ATTEMPT
        try:
            while time.monotonic() < self._end:
                self.start_due(quick=quick)
                with self._lock:
                    under_way = list(self._busy.values())
                if not under_way:
                    break
                wait(under_way, timeout=1.0, return_when="FIRST_COMPLETED")
        finally:
            with self._lock:
                under_way = list(self._busy.values())
            wait(under_way)

    def _sender(self) -> Sender:
        with self._lock:
            if self._made is None:
                self._made = self._make_sender()
            return self._made

    # --- one lane, in a thread ---

    def _serve(self, owner: str, webhook_id: str) -> None:
        try:
            if self._deliveries.hold(webhook_id):
                self._serve_held(owner, webhook_id)
        except Exception:
            if not self._closed:
                log.exception("a webhook could not be served", extra={"webhook": webhook_id})
        finally:
            with self._lock:
                self._busy.pop(webhook_id, None)
            self._freed()

    def _serve_held(self, owner: str, webhook_id: str) -> None:
        webhook = self._webhooks.endpoints.find(owner, webhook_id)
        later = AFTER_ERROR
        try:
            while webhook is not None and self._may_go_on() and self._round(webhook):
                webhook = self._webhooks.endpoints.find(owner, webhook_id)
            later = 0.0
        finally:
            if webhook is None:
                self._deliveries.forget(webhook_id)
            elif not self._closed:
                self._deliveries.release(webhook, wait=later)

    def _may_go_on(self) -> bool:
        return not self._closed and time.monotonic() < self._end

    def _round(self, webhook: Webhook) -> bool:
        """Send a few deliveries side by side. Whether to go on with the next."""
        lane = self._deliveries.lane(webhook)
        now = self._clock()
        if lane.paused_until > now:
            return False
        width = 1 if lane.failures >= FAILURES_IN_A_ROW else SIDE_BY_SIDE
        due = self._deliveries.due(webhook, now, limit=width)
        if webhook.disabled is not None:
            waiting = [delivery for delivery in due if delivery.notice is not None]
            for delivery in waiting:
                self._note(webhook, delivery, Attempt(at=now, seconds=0.0, error=DISABLED), over=True)
            due = [delivery for delivery in due if delivery.notice is None]
            if waiting and not due:
                return True
        if not due:
            return False
        results = list(self._hands.map(partial(self._attempt, webhook), due))
        known = [result for result in results if result is not None]
        since = self._deliveries.tally(webhook, known).failing_since
        if since is not None and self._clock() - since >= GIVE_UP_AFTER:
            self._disable(webhook, "failing")
        return len(known) == len(results)

    def _attempt(self, webhook: Webhook, delivery: Delivery) -> bool | None:
        """Send once, and keep what came of it. Whether it arrived; None if it was broken off."""
        body = self._payload(delivery)
        at, begun = self._clock(), time.monotonic()
        headers = headers_of(delivery.message_id, at, body, webhook.secrets(at))
        headers |= {"Content-Type": "application/json", "User-Agent": f"Safelight/{__version__}"}
        status: int | None = None
        patience = 0.0
        faults.reached("webhook.sending")
        try:
            answer = self._sender().post(webhook.url, body, headers)
        except OutgoingError as failed:
            if self._closed:
                return None
            error: str | None = failed.code
        else:
            status, patience = answer.status, min(answer.retry_after, LONGEST_WAIT)
            error = None if 200 <= status < 300 else NotWelcome.code
        faults.reached("webhook.sent")
        attempt = Attempt(at=at, seconds=round(time.monotonic() - begun, 3), status=status, error=error)
        # A test is one look.
        over = delivery.notice is None or status == GONE
        self._note(webhook, delivery, attempt, patience=patience, over=over)
        if status == GONE:
            self._disable(webhook, "gone")
        return error is None

    def _note(
        self, webhook: Webhook, delivery: Delivery, attempt: Attempt, *, patience: float = 0.0, over: bool
    ) -> None:
        after = delivery.tried(attempt, wait=patience, over=over, jitter=self._jitter())
        with self._webhooks.ports.together():
            self._deliveries.store(webhook, after, instead_of=delivery)
        level = logging.WARNING if after.outcome is Outcome.FAILED else logging.INFO
        about = {
            "webhook": webhook.id,
            "delivery": delivery.id,
            "event": delivery.event,
            "outcome": after.outcome.value,
            "status": attempt.status,
            "code": attempt.error,
        }
        log.log(level, "webhook sent", extra=about)

    def _disable(self, webhook: Webhook, reason: str) -> None:
        self._webhooks.endpoints.disable(webhook, reason)
        log.warning("webhook disabled", extra={"webhook": webhook.id, "reason": reason})
