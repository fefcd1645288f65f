"""SQS hands out messages: each is a job to carry to its end. What has to come again is reported back, by itself.

A message that can not be read comes again too, soon, until the queue gives it up to the dead letters.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from safelight.entrypoints.lambdas.observing import Call, Context, observed
from safelight.entrypoints.lambdas.wiring import system
from safelight.errors import SafelightError
from safelight.heartbeat import Worker
from safelight.model import Wake
from safelight.ports import Delivery

UNREADABLE_AGAIN_AFTER: Final = 5.0
"""Seconds until a message that can not be read is handed out again: it is no use waiting for it to get better."""

ROOM: Final = 10.0
"""Seconds that a call keeps for what surrounds a job."""

NOBODY: Final = Wake(job_id="", key="", group="")


class Again(SafelightError):
    """The message has to be delivered again; the batch is told so by raising."""

    code = "again"


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Work off the batch. Return the messages that have to come again."""
    with observed(context) as call:
        system()
        if not event["Records"]:  # a start without work; Powertools takes it for another service's event
            return {"batchItemFailures": []}
        seconds_left = partial(_seconds_left, context)
        # A batch of which nothing succeeded is told as any other: it is no error of this function.
        batch = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
        answer = process_partial_response(
            event, lambda record: work(record, call, context.function_name, seconds_left), batch
        )
        return dict(answer)


def work(record: SQSRecord, call: Call, name: str, seconds_left: Callable[[], float]) -> None:
    """Carry one message out. Raise Again, or whatever stopped it, if it has to be delivered again."""
    call.about(None)
    service, inbox = system().service, system().service.ports.inbox
    wake = system().read_message(record.body)
    delivery = Delivery(
        wake=wake or NOBODY,
        receipt=record.receipt_handle,
        received=int(record.attributes.approximate_receive_count),
    )
    if wake is None:
        call.log.error(
            "unreadable message", extra={"message_id": record.message_id, "received": delivery.received}
        )
        inbox.retry(delivery, UNREADABLE_AGAIN_AFTER)
        call.count("MessagesUnreadable")
        raise Again
    call.about(wake.job_id)
    if seconds_left() < service.settings.lease_seconds + ROOM:
        inbox.retry(delivery, 0.0)
        raise Again
    try:
        delay = service.process(
            wake, Worker(name=name, extend=lambda seconds: inbox.extend(delivery, seconds))
        )
    except Exception:
        call.log.exception("the store or the queue does not answer")
        raise
    if delay is not None:
        inbox.retry(delivery, delay)
        call.count("MessagesAgain")
        raise Again
    call.count("MessagesDone")


def _seconds_left(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000
