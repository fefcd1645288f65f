"""What is to be sent to each webhook, what became of it, and when to go on.

    webhook-log-{id}      a delivery and its attempts; keys sort the newest first
    webhook-queue-{id}    what is still to be sent, by the time of its next attempt: `{milliseconds} {delivery}`
    webhook-lanes         one record a webhook: when to look at its queue, who looks at it now, and how it is doing

Each webhook has a queue of its own, so however much waits for one, nobody has to look through it to serve another. A
lane is held by one courier at a time, of whatever process; what a courier that died was sending is sent again when its
hold runs out. A queue's entry is written before the delivery that it leads to, and one that its delivery does not point
back to is dropped: so a crash between two writes loses nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec

from safelight.decoding import from_json
from safelight.errors import DeliveryNotFound, RecordConflict
from safelight.model import DAY, HOUR, MINUTE, Notice, Value
from safelight.ports import Clock, Page, Records
from safelight.rewriting import change
from safelight.webhooks.endpoints import Webhook

LANES: Final = "webhook-lanes"

GIVE_UP_AFTER: Final = 3 * DAY
"""How long an event is tried to be delivered, and how long a webhook may fail before it is disabled."""

PAUSES: Final = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR)
"""Seconds from a failed attempt to the next; the last attempt is at the end of the three days."""

FAILURES_IN_A_ROW: Final = 3
"""After so many rounds in which nothing arrived a webhook is taken to be down: one attempt at a time finds out when it
is back, and the others wait."""

LOG_KEPT: Final = 7 * DAY
MOST_KEPT: Final = 1000
TRIM_EVERY: Final = 200
"""What the log of a webhook holds: the deliveries of seven days, and of those that are over about the newest 1,000."""

ATTEMPTS_KEPT: Final = 20

AT_ONCE: Final = 0.0
"""The time of what somebody waits for: it goes first, and also to a webhook that is taken to be down."""

HELD_FOR: Final = 60.0
"""Seconds for which a courier holds a lane; longer than any attempt takes, so that one that lives loses none."""


class Outcome(StrEnum):
    """How a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Attempt(Value, frozen=True):
    """One try: when, how many seconds it took, and the status that came, or the code of what went wrong."""

    at: float
    seconds: float
    status: int | None = None
    error: str | None = None


class Delivery(Value, frozen=True):
    """One event on its way to one webhook. Without a notice it is a test. `begun_at` is where the three days begin
    and `tries` count: with the event, or with the last replay."""

    id: str
    message_id: str
    event: str
    created_at: float
    begun_at: float
    notice: Notice | None = None
    outcome: Outcome = Outcome.PENDING
    tries: int = 0
    next_at: float | None = None
    attempts: tuple[Attempt, ...] = ()

    def tried(
        self, attempt: Attempt, *, wait: float = 0.0, over: bool = False, jitter: float = 1.0
    ) -> "Delivery":
        """The delivery after one more attempt. The next is in `wait` seconds at the earliest; none if it is `over`."""
        kept = (*self.attempts, attempt)[-ATTEMPTS_KEPT:]
        after = msgspec.structs.replace(self, tries=self.tries + 1, attempts=kept, next_at=None)
        if attempt.error is None:
            return msgspec.structs.replace(after, outcome=Outcome.DELIVERED)
        end = self.begun_at + GIVE_UP_AFTER
        if over or attempt.at >= end:
            return msgspec.structs.replace(after, outcome=Outcome.FAILED)
        pause = max(pause_after(self.tries + 1) * jitter, wait)
        return msgspec.structs.replace(after, next_at=min(attempt.at + pause, end))


class Lane(Value, frozen=True):
    """A webhook's place among all that have something to be sent."""

    owner: str
    next_at: float | None = None
    """When to look at the queue; None while it is empty."""
    held_until: float = 0.0
    paused_until: float = 0.0
    """Nothing is sent before then: the webhook is taken to be down."""
    failures: int = 0
    """How many rounds of attempts there were since something arrived."""
    failing_since: float | None = None
    logged: int = 0


class Deliveries:
    """The deliveries of all webhooks."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    # --- the log ---

    def add(self, webhook: Webhook, delivery: Delivery) -> None:
        """Keep a new delivery and put it into the queue. One that is there already stays as it is."""
        self._enqueue(webhook, delivery)
        with suppress(RecordConflict):  # then the entry is found not to be needed, and dropped
            self._put(webhook, delivery, expected=0)
        self._look_at(webhook, delivery.next_at or AT_ONCE, logged=1)

    def get(self, webhook: Webhook, delivery_id: str) -> Delivery:
        """The delivery. Raise DeliveryNotFound."""
        record = self._records.get(_log(webhook.id), delivery_id)
        if record is None:
            raise DeliveryNotFound
        return from_json(record.value, Delivery)

    def list(self, webhook: Webhook, *, cursor: str | None = None, limit: int = 50) -> Page[Delivery]:
        """The webhook's deliveries, newest first. Raise InvalidRequest for a cursor that is not one of ours."""
        page = self._records.list(_log(webhook.id), cursor=cursor, limit=limit)
        return Page(
            items=tuple(from_json(record.value, Delivery) for record in page.items),
            cursor=page.cursor,
        )

    def again(self, webhook: Webhook, delivery_id: str) -> Delivery:
        """Send a delivery once more, now, whatever became of it, under the same message id. Raise DeliveryNotFound."""
        delivery = self.get(webhook, delivery_id)
        now = self._clock()
        fresh = msgspec.structs.replace(
            delivery, outcome=Outcome.PENDING, tries=0, begun_at=now, next_at=AT_ONCE
        )
        self.store(webhook, fresh, instead_of=delivery)
        self._look_at(webhook, AT_ONCE)
        return fresh

    def store(self, webhook: Webhook, delivery: Delivery, *, instead_of: Delivery) -> None:
        """Write what became of a delivery, and put it into its new place in the queue."""
        if delivery.next_at is not None:
            self._enqueue(webhook, delivery)
        self._put(webhook, delivery)
        if instead_of.next_at is not None and (
            delivery.next_at is None or _entry(instead_of) != _entry(delivery)
        ):
            self._records.delete(_queue(webhook.id), _entry(instead_of))

    def trim(self, webhook: Webhook) -> None:
        """Remove what is over and not among the newest."""
        cursor: str | None = None
        seen = 0
        while True:
            page = self._records.list(_log(webhook.id), cursor=cursor, limit=TRIM_EVERY)
            for record in page.items:
                seen += 1
                delivery = from_json(record.value, Delivery)
                if seen > MOST_KEPT and delivery.outcome is not Outcome.PENDING:
                    self._records.delete(record.partition, record.key)
            cursor = page.cursor
            if cursor is None:
                return

    # --- the queue ---

    def due(self, webhook: Webhook, now: float, *, limit: int) -> Sequence[Delivery]:
        """What is to be sent now, the longest due first."""
        while True:
            page = self._records.list(_queue(webhook.id), limit=limit)
            entries = [record.key for record in page.items if _time_of(record.key) <= now]
            found = [self._behind(webhook, entry) for entry in entries]
            due = [delivery for delivery in found if delivery is not None]
            if due or not entries:
                return due
            # Entries that led nowhere are gone now; behind them there may be some that do not.

    def _behind(self, webhook: Webhook, entry: str) -> Delivery | None:
        """The delivery that an entry of the queue leads to. One that it does not point back to is dropped."""
        with suppress(DeliveryNotFound):
            delivery = self.get(webhook, entry.partition(" ")[2])
            if delivery.next_at is not None and _entry(delivery) == entry:
                return delivery
        self._records.delete(_queue(webhook.id), entry)
        return None

    # --- the lanes ---

    def lanes(self) -> Sequence[tuple[str, Lane]]:
        """Every webhook that something was sent to lately, and how it stands."""
        found: list[tuple[str, Lane]] = []
        cursor: str | None = None
        while True:
            page = self._records.list(LANES, cursor=cursor, limit=1000)
            found += [(each.key, from_json(each.value, Lane)) for each in page.items]
            cursor = page.cursor
            if cursor is None:
                return found

    def lane(self, webhook: Webhook) -> Lane:
        """How the webhook stands."""
        record = self._records.get(LANES, webhook.id)
        return Lane(owner=webhook.owner) if record is None else from_json(record.value, Lane)

    def hold(self, webhook_id: str) -> bool:
        """Take the lane, if it is due and nobody holds it."""
        record = self._records.get(LANES, webhook_id)
        lane = None if record is None else from_json(record.value, Lane)
        now = self._clock()
        if record is None or lane is None or lane.next_at is None or max(lane.next_at, lane.held_until) > now:
            return False
        held = msgspec.structs.replace(lane, held_until=now + HELD_FOR)
        try:
            self._records.put(
                LANES, webhook_id, _encode(held), expected=record.version, expires_at=now + LOG_KEPT
            )
        except RecordConflict:  # by another courier, or there is more to send: then it is looked at again
            return False
        return True

    def free_all(self) -> None:
        """Nobody holds a lane any more: only for a courier that knows to be the only one."""
        for webhook_id, lane in self.lanes():
            if lane.held_until:
                self._change(
                    webhook_id, lane.owner, lambda lane: msgspec.structs.replace(lane, held_until=0.0)
                )

    def tally(self, webhook: Webhook, results: Sequence[bool]) -> Lane:
        """Count how attempts went that were made side by side, and hold the lane for longer."""
        now = self._clock()

        def counted(lane: Lane) -> Lane:
            failures, since, paused = lane.failures, lane.failing_since, 0.0
            if any(results):
                failures, since = 0, None
            elif results:
                failures, since = failures + 1, now if since is None else since
            if since is not None and failures >= FAILURES_IN_A_ROW:
                paused = min(now + pause_after(failures), max(since + GIVE_UP_AFTER, now))
            return msgspec.structs.replace(
                lane,
                failures=failures,
                failing_since=since,
                paused_until=paused,
                held_until=now + HELD_FOR,
            )

        return self._change(webhook.id, webhook.owner, counted)

    def release(self, webhook: Webhook, *, wait: float = 0.0) -> None:
        """Let go of the lane. It is looked at again when its queue has something due, in `wait` seconds at the
        earliest."""
        now = self._clock()

        def released(lane: Lane) -> Lane:
            # Looked at inside: whoever adds something writes the lane afterwards, so that this is done again.
            entries = self._records.list(_queue(webhook.id), limit=1).items
            at = max(_time_of(entries[0].key), lane.paused_until, now + wait) if entries else None
            return msgspec.structs.replace(lane, held_until=0.0, next_at=at)

        self._change(webhook.id, webhook.owner, released)

    def resume(self, webhook: Webhook) -> None:
        """Its owner says that it is there again: forget its failures, and go on with what waits."""
        now = self._clock()
        self._change(
            webhook.id,
            webhook.owner,
            lambda lane: msgspec.structs.replace(
                lane, failures=0, failing_since=None, paused_until=0.0, next_at=now
            ),
        )

    def forget(self, webhook_id: str) -> None:
        """The webhook is gone: remove its lane. Queue and log go by themselves when their time is over."""
        self._records.delete(LANES, webhook_id)

    def _look_at(self, webhook: Webhook, at: float, *, logged: int = 0) -> None:
        def earlier(lane: Lane) -> Lane:
            lane = msgspec.structs.replace(lane, logged=lane.logged + logged)
            if at == AT_ONCE:
                lane = msgspec.structs.replace(lane, paused_until=0.0)
            soonest = max(at, lane.paused_until)
            return msgspec.structs.replace(
                lane, next_at=soonest if lane.next_at is None else min(soonest, lane.next_at)
            )

        lane = self._change(webhook.id, webhook.owner, earlier)
        if logged and lane.logged % TRIM_EVERY == 0:
            self.trim(webhook)

    def _change(self, webhook_id: str, owner: str, to: Callable[[Lane], Lane]) -> Lane:
        def changed(value: bytes | None) -> bytes:
            return _encode(to(Lane(owner=owner) if value is None else from_json(value, Lane)))

        until = self._clock() + LOG_KEPT
        value = change(self._records, LANES, webhook_id, changed, expires_at=until)
        return from_json(value, Lane)

    def _enqueue(self, webhook: Webhook, delivery: Delivery) -> None:
        self._records.put(_queue(webhook.id), _entry(delivery), b"-", expires_at=delivery.begun_at + LOG_KEPT)

    def _put(self, webhook: Webhook, delivery: Delivery, *, expected: int | None = None) -> None:
        self._records.put(
            _log(webhook.id),
            delivery.id,
            _encode(delivery),
            expected=expected,
            expires_at=delivery.begun_at + LOG_KEPT,
        )


def new_delivery(
    webhook: Webhook, event: str, message_id: str, *, at: float, now: float, notice: Notice | None = None
) -> Delivery:
    """A delivery that is due now, of an event that happened at `at`. The same event gives the same id. Without a notice
    it is a test, and somebody waits for it."""
    newest_first = 9_999_999_999_999 - int(at * 1000)
    which = sha256(f"{webhook.id} {message_id}".encode()).hexdigest()[:16]
    return Delivery(
        id=f"{newest_first:013d}-{which}",
        message_id=message_id,
        event=event,
        created_at=at,
        begun_at=now,
        notice=notice,
        next_at=AT_ONCE if notice is None else now,
    )


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures."""
    return PAUSES[min(failures, len(PAUSES)) - 1]


_encode: Final = msgspec.json.Encoder().encode


def _log(webhook_id: str) -> str:
    return f"webhook-log-{webhook_id}"


def _queue(webhook_id: str) -> str:
    return f"webhook-queue-{webhook_id}"


def _entry(delivery: Delivery) -> str:
    """Where a delivery that is still to be sent stands in the queue."""
    assert delivery.next_at is not None
    return f"{int(delivery.next_at * 1000):013d} {delivery.id}"


def _time_of(entry: str) -> float:
    return int(entry.partition(" ")[0]) / 1000
