"""The jobs table's stream: every end of a job becomes a notice on the topic and a delivery to each webhook that wants
it, at least once, in the order of its writes. The end of a batch's last job becomes a second one, the batch's.

The stream goes on only when a batch is done, so at the first notice that can not be delivered the rest is left for the
next call: nothing is told twice that need not be. Webhooks are sent to right away if they answered the last time, and
by the sweeper otherwise: the stream waits for an address once, not for one that is down.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from safelight.entrypoints.lambdas.observing import Call, Context, observed
from safelight.entrypoints.lambdas.wiring import courier, system
from safelight.entrypoints.payloads import bodies_of
from safelight.model import Notice

DELIVER_FOR: Final = 22.0
"""Seconds that a call may spend on webhooks: one attempt, at its longest."""

AT_ONCE: Final = 10
"""Records that are told of together. If one can not be, no more than these are read again."""

ROOM: Final = 5.0
"""Seconds that a call keeps for writing down what became of the last attempt."""


def handler(event: dict[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Tell of every end in the batch. Return the first record that has to come again."""
    with observed(context) as call:
        told: list[dict[str, Any]] = []
        try:
            wanted, failed = _tell(event.get("Records", ()), told, call)
        finally:
            _count(told, call)
        if wanted:
            call.about(None)
            _deliver(call, context)
        return {"batchItemFailures": failed}


def _tell(
    records: Sequence[dict[str, Any]], told: list[dict[str, Any]], call: Call
) -> tuple[bool, list[dict[str, str]]]:
    """Tell the topic, and keep what webhooks are to be sent. Whether any wants to know, and where it failed."""
    # All records were written before this call: whoever is to be told of them is known by now, and is asked for once.
    webhooks_of = cache(system().webhooks.endpoints.of)
    wanted = False
    for start in range(0, len(records), AT_ONCE):
        letters, unread = _written(records[start : start + AT_ONCE], call)
        heard = _announced(letters, call)
        for record, notice, _ in letters[:heard]:
            call.about(notice.job_id)
            try:
                wanted = bool(system().webhooks.spread(notice, webhooks_of)) or wanted
            except Exception:
                call.log.exception("not told; it is tried again")
                return wanted, _again(record)
            if notice.whole_batch:
                call.log.info("told of a batch", extra={"notice": notice.id})
                continue
            call.log.info("told", extra={"notice": notice.id, "state": notice.state})
            call.count(f"Jobs{notice.state.capitalize()}")
            told.append(record)
        if heard < len(letters):
            return wanted, _again(letters[heard].record)
        if unread is not None:
            return wanted, _again(unread)
    return wanted, []


class Letter(NamedTuple):
    """What is told of a record: of the end of its job or, before that, of a batch that is over with it."""

    record: dict[str, Any]
    notice: Notice
    body: bytes


def _written(records: Iterable[dict[str, Any]], call: Call) -> tuple[list[Letter], dict[str, Any] | None]:
    """What is to be told of the records, and the first of which that could not be found out."""
    ends: list[tuple[dict[str, Any], Notice]] = []
    unread = None
    for record in records:
        try:
            notice = system().notice_in(record)
            if notice is None:
                continue
            call.about(notice.job_id)
            whole = system().batches.completed_by(notice)
        except Exception:
            call.log.exception("not told; it is tried again")
            unread = record
            break
        ends += [(record, each) for each in (whole, notice) if each is not None]
    try:
        bodies = bodies_of(system().service, [notice for _, notice in ends])
    except Exception:
        call.about(None)
        call.log.exception("the jobs can not be read; it is tried again")
        return [], ends[0][0]
    return [Letter(*end, body) for end, body in zip(ends, bodies, strict=True)], unread


def _announced(letters: Sequence[Letter], call: Call) -> int:
    """Tell the topic. Return how many of the first letters it knows now."""
    if not letters:
        return 0
    try:
        return system().announce([(letter.notice, letter.body) for letter in letters])
    except Exception:
        call.about(letters[0].notice.job_id)
        call.log.exception("the topic was not told; it is tried again")
        return 0


def _again(record: dict[str, Any]) -> list[dict[str, str]]:
    return [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]


def _deliver(call: Call, context: Context) -> None:
    """Send what is to be sent, in the time that telling has left. It is kept: whatever goes wrong, the sweeper goes on
    with it."""
    seconds = min(DELIVER_FOR, context.get_remaining_time_in_millis() / 1000 - ROOM)
    if seconds <= 0:
        call.log.info("webhooks are left to the sweeper: no time is left")
        return
    try:
        courier().run(seconds, quick=True)
    except Exception:
        call.log.exception("webhooks are left to the sweeper")


def _count(told: list[dict[str, Any]], call: Call) -> None:
    """Keep the operator's tally. It is no reason to tell anything again."""
    try:
        system().note_ends(told)
    except Exception:
        call.log.exception("ends not counted", extra={"ends": len(told)})
