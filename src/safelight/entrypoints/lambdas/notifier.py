"""The jobs table's stream: every end of a job becomes a notice on the topic and a delivery to each webhook that wants
it, at least once, in the order of its writes. The end of a batch's last job becomes a second one, the batch's.

The stream goes on only when a batch is done, so at the first notice that can not be delivered the rest is left for the
next call: nothing is told twice that need not be. Webhooks are sent to right away if they answered the last time, and
by the sweeper otherwise: the stream waits for an address once, not for one that is down.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from safelight.entrypoints.lambdas.observing import Call, Context, observed
from safelight.entrypoints.lambdas.wiring import courier, system
from safelight.entrypoints.payloads import bodies_of
from safelight.model import Notice

DELIVER_FOR: Final = 22.0
"""Seconds that a call may spend on webhooks: one attempt, at its longest."""

AT_ONCE: Final = 10
"""Records that are told of together. Where that fails each is tried alone: no job holds up those before it."""

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
    telling = Telling(call, told)
    start, at_once = 0, AT_ONCE
    while lot := records[start : start + at_once]:
        done = telling.together(lot)
        start += done
        if done < len(lot):
            if len(lot) == 1:
                return telling.wanted, [{"itemIdentifier": lot[0]["dynamodb"]["SequenceNumber"]}]
            at_once = 1
    return telling.wanted, []


class End(NamedTuple):
    """What is told of a record: of the end of its job or, before that, of a batch that is over with it."""

    place: int
    """The record's, among those that are told of together."""
    notice: Notice


class Telling:
    """What one call does to tell of ends."""

    def __init__(self, call: Call, told: list[dict[str, Any]]) -> None:
        self._call = call
        self._told = told
        # All records were written before this call: whoever is to be told of them is known by now.
        self._webhooks_of = cache(system().webhooks.endpoints.of)
        self.wanted = False
        """Whether any webhook is to be sent to."""

    def together(self, records: Sequence[dict[str, Any]]) -> int:
        """Tell of these records. Return how many of the first are done with."""
        ends, read = self._ends(records)
        heard = self._announced(ends)
        for place, notice in ends[:heard]:
            self._call.about(notice.job_id)
            try:
                told = system().webhooks.spread(notice, self._webhooks_of)
            except Exception:
                self._call.log.exception("not told; it is tried again", extra={"notice": notice.id})
                return place
            self.wanted = bool(told) or self.wanted
            if notice.whole_batch:
                self._call.log.info("told of a batch", extra={"notice": notice.id})
                continue
            self._call.log.info("told", extra={"notice": notice.id, "state": notice.state})
            self._call.count(f"Jobs{notice.state.capitalize()}")
            self._told.append(records[place])
        self._call.about(None)
        return ends[heard].place if heard < len(ends) else read

    def _ends(self, records: Sequence[dict[str, Any]]) -> tuple[list[End], int]:
        """What is to be told of the records, and how many of the first could be read."""
        ends: list[End] = []
        for place, record in enumerate(records):
            self._call.about(None)
            try:
                notice = system().notice_in(record)
                if notice is None:
                    continue
                self._call.about(notice.job_id)
                whole = system().batches.completed_by(notice)
            except Exception:
                self._call.log.exception("not told; it is tried again")
                return ends, place
            ends += [End(place, each) for each in (whole, notice) if each is not None]
        return ends, len(records)

    def _announced(self, ends: Sequence[End]) -> int:
        """Tell the topic. Return how many of the first ends it knows now."""
        self._call.about(None)
        if not ends:
            return 0
        notices = [end.notice for end in ends]
        try:
            bodies = bodies_of(system().service, notices)
            return system().announce([*zip(notices, bodies, strict=True)])
        except Exception:
            about = {"notices": [notice.id for notice in notices]}
            self._call.log.exception("the topic was not told; it is tried again", extra=about)
            return 0


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
