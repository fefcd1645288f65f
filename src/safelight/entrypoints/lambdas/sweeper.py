"""Every minute: the sweeper, for as long as this call may take, and the figure by which the operator is alarmed. Beside
it, webhooks are sent what is due, so that neither waits for the other."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from safelight.entrypoints.lambdas.observing import Context, observed
from safelight.entrypoints.lambdas.wiring import courier, system
from safelight.model import HOUR, Job, JobState, Stage

ROOM: Final = 10.0
"""Seconds that a call keeps for the step that is under way when the budget ends."""

OPEN_TOO_LONG: Final = 2 * HOUR
"""The upload window, its grace and 30 minutes for the work are over by then."""


def handler(_event: dict[str, Any], context: Context) -> dict[str, int]:
    """Sweep once. Return what was done, counted."""
    with observed(context) as call:
        ports = system().service.ports
        now = ports.clock()
        call.count("JobsOpenTooLong", sum(open_too_long(job, now) for job in ports.jobs.due(now)))
        budget = context.get_remaining_time_in_millis() / 1000 - ROOM
        with ThreadPoolExecutor(1, thread_name_prefix="courier") as beside:
            delivering = beside.submit(courier().run, budget)
            done = system().sweeper.sweep(budget=budget)
            delivering.result()
        if done:
            call.log.info("swept", extra=dict(done))
        return dict(done)


def open_too_long(job: Job, now: float) -> bool:
    """Whether the job should have come to an end long ago. A retry begins anew."""
    if job.state.terminal:
        return False
    begun = max((at.at for at in job.timeline if at.state is JobState.PENDING), default=job.created_at)
    if job.stage is Stage.AWAITING_UPLOAD and job.upload.multipart is not None:
        begun = job.updated_at  # as long as its client asks for parts
    return now - begun > OPEN_TOO_LONG
