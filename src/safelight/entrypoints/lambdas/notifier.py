"""The jobs table's stream: every end of a job becomes a notice on the topic and a delivery to each webhook that wants
it, at least once, in the order of its writes. The end of a batch's last job becomes a second one, the batch's.

The stream goes on only when a batch is done, so at the first notice that can not be delivered the rest is left for the
next call: nothing is told twice that need not be. Webhooks are sent to right away if they answered the last time, and
by the sweeper otherwise: the stream waits for an address once, not for one that is down.
"""

from collections.abc import Iterable
from typing import Any, Final

from safelight.entrypoints.lambdas.observing import Call, Context, observed
from safelight.entrypoints.lambdas.wiring import courier, system
from safelight.entrypoints.payloads import body_of_notice
from safelight.model import Notice

DELIVER_FOR: Final = 22.0
"""Seconds that a call may spend on webhooks: one attempt, at its longest."""

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
    records: Iterable[dict[str, Any]], told: list[dict[str, Any]], call: Call
) -> tuple[bool, list[dict[str, str]]]:
    """Tell the topic, and keep what webhooks are to be sent. Whether any wants to know, and where it failed."""
    wanted = False
    for record in records:
        try:
            notice = system().notice_in(record)
            if notice is None:
                continue
            call.about(notice.job_id)
            if whole := system().batches.completed_by(notice):
                wanted = _tell_of(whole) or wanted
                call.log.info("told of a batch", extra={"notice": whole.id})
            wanted = _tell_of(notice) or wanted
        except Exception:
            call.log.exception("not told; it is tried again")
            return wanted, [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]
        call.log.info("told", extra={"notice": notice.id, "state": notice.state})
        call.count(f"Jobs{notice.state.capitalize()}")
        told.append(record)
    return wanted, []


def _tell_of(notice: Notice) -> bool:
    system().announce(notice, body_of_notice(system().service, notice))
    return bool(system().webhooks.spread(notice))


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
