"""The queue, in the tables `messages`, `queue` and `dead_letters`.

There is one message per job. A second `send` for a waiting message merges with it, and the earlier time wins. A `send`
for a message in a worker's hands is remembered, and the message is handed out once more when the worker has acked it.

Fairness is start-time fair queueing: a message's `turn` is one more than the turn being served or the last turn of its
group, whichever is later, and the lowest turn goes first. So every group with something waiting is served in turn, at
the price of two index look-ups, however many messages and groups there are. A message that comes back because its
visibility ended, or that was handed back at once, joins at the turn being served: ahead of the backlog, behind nobody's
first. One that was put off for a later attempt goes behind whatever its group has sent by then: so nobody waits for two
attempts of the same job.

A message is handed out five times; instead of a sixth it moves to the dead letters.

What `send` wrote is on the disk when it returns. Handing out, keeping and acknowledging are not: if the power fails,
they may be undone, and the message is handed out once more, to find its work done.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from safelight.backends.embedded.database import Database, Transaction
from safelight.backends.embedded.doorbell import Doorbell
from safelight.cursors import pack, unpack
from safelight.decoding import known
from safelight.model import Wake
from safelight.ports import Clock, DeadLetter, Delivery, Fate, Page

MAX_RECEIVES: Final = 5
LOOK_AGAIN_SECONDS: Final = 5.0
"""A ring is lost when the process that heard it is killed: sleepers look for themselves at least this often."""
_PROMOTED_AT_ONCE: Final = 1000
_SETTLED_AT_ONCE: Final = 100

_encode: Final = msgspec.json.Encoder().encode
_wake: Final = msgspec.json.Decoder(known(Wake)).decode

_INSERT: Final = """
    INSERT INTO messages (job_id, "group", wake, turn, ready, visible_at, received)
    SELECT ?1, ?2, ?3, 1 + max(queue.turn, coalesce((SELECT max(turn) FROM messages WHERE "group" = ?2), 0)),
           ?4, ?5, 0
    FROM queue"""
_LOOK: Final = """
    SELECT EXISTS (SELECT 1 FROM messages WHERE ready = 1),
           (SELECT min(visible_at) FROM messages WHERE ready = 0)"""
_PROMOTE: Final = """
    UPDATE messages SET ready = 1, turn = max(turn, 1 + (SELECT turn FROM queue)) WHERE id IN (
        SELECT id FROM messages WHERE ready = 0 AND visible_at <= ? ORDER BY visible_at LIMIT ?)"""
_NEXT: Final = """
    SELECT id, wake, turn, received FROM messages WHERE ready = 1 ORDER BY turn LIMIT 1"""
_TAKE: Final = """
    UPDATE messages SET ready = 0, visible_at = ?, received = received + 1, receipt = ?, again_at = NULL
    WHERE id = ?"""
_HIDE: Final = """
    UPDATE messages SET ready = 0, visible_at = ?, received = ?, receipt = NULL, again_at = NULL WHERE id = ?"""
_TO_THE_END: Final = """
    UPDATE messages SET turn = 1 + max((SELECT turn FROM queue), (SELECT max(turn) FROM messages WHERE "group" = ?))
    WHERE id = ?"""


class Messages:
    """The `Queue`, `Inbox` and `DeadLetters` ports. `stop` is for this process's receivers only."""

    def __init__(self, database: Database, doorbell: Doorbell, *, clock: Clock) -> None:
        self._database = database
        self._doorbell = doorbell
        self._clock = clock

    # --- Queue ---

    def send(self, wake: Wake, *, delay: float = 0.0) -> None:
        """Wake a worker for this job."""
        at = self._clock() + max(delay, 0.0)
        with self._database.writing() as write:
            waiting = write.row(
                "SELECT id, receipt, visible_at, again_at FROM messages WHERE job_id = ?", (wake.job_id,)
            )
            if waiting is None:
                write.run(_INSERT, (wake.job_id, wake.group, _encode(wake), int(delay <= 0), at))
            else:
                message, receipt, visible_at, again_at = waiting
                if receipt is not None:
                    sooner = at if again_at is None else min(at, again_at)
                    write.run("UPDATE messages SET again_at = ? WHERE id = ?", (sooner, message))
                elif at < visible_at:
                    write.run("UPDATE messages SET visible_at = ? WHERE id = ?", (at, message))
        # Also for a delayed message: sleepers have to set their alarm anew.
        self._database.afterwards(self._doorbell.ring)

    def depth(self) -> int:
        """How many messages wait or are in flight."""
        row = self._database.row("SELECT depth FROM queue")
        return int(row[0]) if row else 0

    # --- Inbox ---

    def receive(self, *, wait: float, visibility: float) -> Delivery | None:
        """The next message; None after `wait` seconds without one."""
        deadline = time.monotonic() + wait
        while not self._doorbell.stopped:
            # The order matters: a message sent after the drain leaves its ring in the pipe, one sent before is found.
            self._doorbell.drain()
            ready, next_at = self._look()
            if ready and (delivery := self._take(visibility)):
                return delivery
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if next_at is not None:
                left = min(left, max(next_at - self._clock(), 0.0))
            self._doorbell.sleep(min(left, LOOK_AGAIN_SECONDS))
        return None

    def ack(self, delivery: Delivery) -> None:
        """The message is done with."""
        with self._database.writing(durable=False) as write:
            held = _held(write, delivery)
            if held is None:
                return
            message, again_at = held
            if again_at is None:
                write.run("DELETE FROM messages WHERE id = ?", (message,))
                return
            write.run(_HIDE, (again_at, 0, message))
        self._database.afterwards(self._doorbell.ring)

    def extend(self, delivery: Delivery, visibility: float) -> None:
        """Keep the message hidden for that long from now."""
        until = self._clock() + visibility
        with self._database.writing(durable=False) as write:
            if held := _held(write, delivery):
                write.run("UPDATE messages SET ready = 0, visible_at = ? WHERE id = ?", (until, held[0]))

    def retry(self, delivery: Delivery, delay: float) -> None:
        """Hand the message out again after `delay` seconds."""
        at = self._clock() + max(delay, 0.0)
        with self._database.writing(durable=False) as write:
            held = _held(write, delivery)
            if held is None:
                return
            message, again_at = held
            sooner = at if again_at is None else min(at, again_at)
            write.run(_HIDE, (sooner, delivery.received, message))
            if delay > 0:
                write.run(_TO_THE_END, (delivery.wake.group, message))
        self._database.afterwards(self._doorbell.ring)

    def stop(self) -> None:
        """Let every `receive` of this process return at once, now and later. Safe in a signal handler."""
        self._doorbell.stop()

    # --- DeadLetters ---

    def dead(self, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """The dead letters, ordered by job."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        rows = self._database.rows(
            "SELECT job_id, wake, received, died_at, reason FROM dead_letters WHERE job_id > ?"
            " ORDER BY job_id LIMIT ?",
            (after, limit + 1),
        )
        letters = tuple(
            DeadLetter(wake=_wake(wake), received=received, died_at=died_at, reason=reason)
            for _, wake, received, died_at, reason in rows[:limit]
        )
        more = len(rows) > limit
        return Page(items=letters, cursor=pack(letters[-1].wake.job_id) if more and letters else None)

    def redrive(self, job_id: str) -> bool:
        """Send the dead letter of this job again. False if there is none."""
        row = self._database.row("SELECT wake FROM dead_letters WHERE job_id = ?", (job_id,))
        if row is None:
            return False
        # In this order a crash in between leaves the letter and the message, never neither.
        self.send(_wake(row[0]))
        with self._database.writing() as write:
            write.run("DELETE FROM dead_letters WHERE job_id = ?", (job_id,))
        return True

    def settle(self, fate_of: Callable[[DeadLetter], Fate]) -> int:
        """Do with each dead letter what `fate_of` says; how many are gone."""
        gone, cursor = 0, None
        while True:
            page = self.dead(cursor=cursor, limit=_SETTLED_AT_ONCE)
            gone += sum(self._settle(letter, fate_of(letter)) for letter in page.items)
            cursor = page.cursor
            if cursor is None:
                return gone

    def _settle(self, letter: DeadLetter, fate: Fate) -> bool:
        if fate is Fate.KEEP:
            return False
        with self._database.together(), self._database.writing() as write:
            # Not the letter of a death that came after somebody looked.
            gone = write.run(
                "DELETE FROM dead_letters WHERE job_id = ? AND died_at = ?",
                (letter.wake.job_id, letter.died_at),
            )
            if gone and fate is Fate.SEND:
                self.send(letter.wake)
        return bool(gone)

    # --- at start ---

    def recover(self, jobs: Sequence[str] | None = None) -> int:
        """Make the messages of these jobs, or all that were in flight, visible at once. Only for when those who had
        them can not be alive."""
        again = "UPDATE messages SET ready = 1, receipt = NULL, again_at = NULL WHERE receipt IS NOT NULL"
        with self._database.writing() as write:
            if jobs is None:
                count = write.run(again)
            else:
                count = sum(write.run(f"{again} AND job_id = ?", (job_id,)) for job_id in jobs)
        self._database.afterwards(self._doorbell.ring)
        return count

    def _look(self) -> tuple[bool, float | None]:
        """Whether a message can be taken, and when the next hidden one appears. Takes no lock: the idle are free."""
        ready, next_at = self._database.row(_LOOK) or (0, None)
        return bool(ready) or (next_at is not None and next_at <= self._clock()), next_at

    def _take(self, visibility: float) -> Delivery | None:
        now = self._clock()
        with self._database.writing(durable=False) as write:
            write.run(_PROMOTE, (now, _PROMOTED_AT_ONCE))
            while (row := write.row(_NEXT)) and row[3] >= MAX_RECEIVES:
                _bury(write, row[0], now)
            if row is None:
                return None
            message, wake, turn, received = row
            # A new name for every delivery, so that whoever held the message before can do nothing to it.
            receipt = secrets.token_hex(8)
            write.run(_TAKE, (now + visibility, receipt, message))
            write.run("UPDATE queue SET turn = max(turn, ?)", (turn,))
            more = write.row(_NEXT) is not None
        if more:
            # This receiver may have drained a ring that was meant for another.
            self._database.afterwards(self._doorbell.ring)
        return Delivery(wake=_wake(wake), receipt=receipt, received=received + 1)


def _held(write: Transaction, delivery: Delivery) -> tuple[int, float | None] | None:
    """The id and `again_at` of a delivered message, or None if the receipt is stale."""
    row = write.row(
        "SELECT id, again_at FROM messages WHERE job_id = ? AND receipt = ?",
        (delivery.wake.job_id, delivery.receipt),
    )
    return (row[0], row[1]) if row else None


def _bury(write: Transaction, message: int, now: float) -> None:
    reason = f"Received {MAX_RECEIVES} times without being acknowledged."
    write.run(
        "INSERT OR REPLACE INTO dead_letters (job_id, wake, received, died_at, reason)"
        " SELECT job_id, wake, received, ?, ? FROM messages WHERE id = ?",
        (now, reason, message),
    )
    write.run("DELETE FROM messages WHERE id = ?", (message,))
