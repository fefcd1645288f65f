"""The jobs table's stream: every end of a job becomes a notice on the topic, at least once, in the order of its writes.
The end of a batch's last job becomes a second one, the batch's.

The stream goes on only when a batch is done, so at the first notice that can not be delivered the rest is left for the
next call: nothing is told twice that need not be.
"""

from collections.abc import Iterable
from typing import Any

from safelight.entrypoints.lambdas.observing import Call, Context, observed
from safelight.entrypoints.lambdas.wiring import system


def handler(event: dict[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Tell of every end in the batch. Return the first record that has to come again."""
    with observed(context) as call:
        told: list[dict[str, Any]] = []
        try:
            return _tell(event.get("Records", ()), told, call)
        finally:
            _count(told, call)


def _tell(
    records: Iterable[dict[str, Any]], told: list[dict[str, Any]], call: Call
) -> dict[str, list[dict[str, str]]]:
    for record in records:
        try:
            notice = system().notice_in(record)
            if notice is None:
                continue
            call.about(notice.job_id)
            if whole := system().batches.completed_by(notice):
                system().announce(whole)
                call.log.info("told of a batch", extra={"notice": whole.id})
            system().announce(notice)
        except Exception:
            call.log.exception("not told; it is tried again")
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
        call.log.info("told", extra={"notice": notice.id, "state": notice.state})
        call.count(f"Jobs{notice.state.capitalize()}")
        told.append(record)
    return {"batchItemFailures": []}


def _count(told: list[dict[str, Any]], call: Call) -> None:
    """Keep the operator's tally. It is no reason to tell anything again."""
    try:
        system().note_ends(told)
    except Exception:
        call.log.exception("ends not counted", extra={"ends": len(told)})
