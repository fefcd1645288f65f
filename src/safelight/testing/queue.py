"""The queue, its inbox and its dead letters."""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from safelight.cursors import unpack
from safelight.model import Wake
from safelight.ports import DeadLetter, Delivery, Fate, Page
from safelight.testing.pages import page_of

MAX_RECEIVES: Final = 5
"""How often a message is handed out; instead of once more it moves to the dead letters."""


class _Message(msgspec.Struct):
    wake: Wake
    turn: int
    number: int
    visible_at: float
    received: int = 0
    receipt: str | None = None
    again_at: float | None = None
    hidden: bool = False


class Queue:
    """The `Queue`, `Inbox` and `DeadLetters` ports in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._messages: dict[str, _Message] = {}
        self._dead: dict[str, DeadLetter] = {}
        self._turn = 0
        self._sent = 0
        self._stopped = False

    def send(self, wake: Wake, *, delay: float = 0.0) -> None:
        """Wake a worker for this job."""
        at = self._clock() + max(delay, 0.0)
        with self._changed:
            message = self._messages.get(wake.job_id)
            if message is None:
                turn = max(self._turn, self._last_turn(wake.group)) + 1
                self._sent += 1
                new = _Message(wake=wake, turn=turn, number=self._sent, visible_at=at, hidden=delay > 0)
                self._messages[wake.job_id] = new
            elif message.receipt is not None:
                message.again_at = at if message.again_at is None else min(at, message.again_at)
            else:
                message.visible_at = min(at, message.visible_at)
            self._changed.notify_all()

    def depth(self) -> int:
        """How many messages wait or are in flight."""
        with self._changed:
            return len(self._messages)

    def receive(self, *, wait: float, visibility: float) -> Delivery | None:
        """The next message; None after `wait` seconds without one."""
        deadline = time.monotonic() + wait
        with self._changed:
            while not self._stopped:
                if delivery := self._take(visibility):
                    return delivery
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                soonest = min((m.visible_at for m in self._messages.values()), default=float("inf"))
                self._changed.wait(min(left, max(soonest - self._clock(), 0.001)))
        return None

    def ack(self, delivery: Delivery) -> None:
        """The message is done with."""
        with self._changed:
            if message := self._held(delivery):
                if message.again_at is None:
                    del self._messages[message.wake.job_id]
                else:
                    self._hide(message, message.again_at, received=0)

    def extend(self, delivery: Delivery, visibility: float) -> None:
        """Keep the message hidden for that long from now."""
        with self._changed:
            if message := self._held(delivery):
                message.visible_at, message.hidden = self._clock() + visibility, True

    def retry(self, delivery: Delivery, delay: float) -> None:
        """Hand the message out again after `delay` seconds."""
        at = self._clock() + max(delay, 0.0)
        with self._changed:
            if message := self._held(delivery):
                again = at if message.again_at is None else min(at, message.again_at)
                self._hide(message, again, received=message.received)
                if delay > 0:
                    message.turn = max(self._turn, self._last_turn(message.wake.group)) + 1

    def stop(self) -> None:
        """Let every `receive` return, now and later."""
        self._stopped = True
        # A signal handler can interrupt the very thread that holds the lock: another thread does the waking.
        threading.Thread(target=self._wake_all, daemon=True).start()

    def dead(self, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """The dead letters, ordered by job."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._changed:
            letters = [self._dead[job_id] for job_id in sorted(self._dead) if job_id > after]
        return page_of(letters, limit, lambda letter: (letter.wake.job_id,))

    def redrive(self, job_id: str) -> bool:
        """Put the dead letter of this job back into the queue. False if there is none."""
        with self._changed:
            letter = self._dead.pop(job_id, None)
            if letter is not None:
                self.send(letter.wake)
        return letter is not None

    def waiting_since(self) -> float | None:
        """When the longest waiting message could have been taken first; None if none waits."""
        with self._changed:
            waiting = (message.visible_at for message in self._messages.values())
            return min((at for at in waiting if at <= self._clock()), default=None)

    def settle(self, fate_of: Callable[[DeadLetter], Fate]) -> int:
        """Do with each dead letter what `fate_of` says; how many are gone."""
        gone = 0
        for letter in self.dead(limit=len(self._dead)).items:
            fate = fate_of(letter)
            with self._changed:
                if fate is Fate.KEEP or self._dead.get(letter.wake.job_id) is not letter:
                    continue
                del self._dead[letter.wake.job_id]
                gone += 1
                if fate is Fate.SEND:
                    self.send(letter.wake)
        return gone

    def _wake_all(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _take(self, visibility: float) -> Delivery | None:
        now = self._clock()
        for message in self._messages.values():
            if message.hidden and message.visible_at <= now:
                message.hidden, message.turn = False, max(message.turn, self._turn + 1)
        waiting = sorted(
            (m for m in self._messages.values() if not m.hidden), key=lambda m: (m.turn, m.number)
        )
        for message in waiting:
            if message.received >= MAX_RECEIVES:
                self._bury(message)
                continue
            self._turn = max(self._turn, message.turn)
            message.receipt = secrets.token_hex(8)
            message.received += 1
            message.visible_at, message.hidden, message.again_at = now + visibility, True, None
            return Delivery(wake=message.wake, receipt=message.receipt, received=message.received)
        return None

    def _last_turn(self, group: str) -> int:
        return max((m.turn for m in self._messages.values() if m.wake.group == group), default=0)

    def _hide(self, message: _Message, until: float, *, received: int) -> None:
        message.visible_at, message.hidden, message.received = until, True, received
        message.receipt = message.again_at = None
        self._changed.notify_all()

    def _held(self, delivery: Delivery) -> _Message | None:
        message = self._messages.get(delivery.wake.job_id)
        return message if message and message.receipt == delivery.receipt else None

    def _bury(self, message: _Message) -> None:
        reason = f"Received {MAX_RECEIVES} times without being acknowledged."
        del self._messages[message.wake.job_id]
        self._dead[message.wake.job_id] = DeadLetter(
            wake=message.wake, received=message.received, died_at=self._clock(), reason=reason
        )
