"""What a function tells of itself: one JSON object a line, and metrics in the same stream (EMF).

Every line names the call, and the job as soon as it is known. What is logged is named where it is logged; events,
headers and URLs never are.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Protocol

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit


class Context(Protocol):
    """What Lambda says about a call."""

    function_name: str
    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """How long the call may still take."""


class Call:
    """One call of a function: its log and its metrics."""

    def __init__(self, log: Logger, metrics: Metrics) -> None:
        self.log = log
        self._metrics = metrics

    def about(self, job_id: str | None) -> None:
        """From here on the log is about this job, or about none."""
        if job_id is None:
            self.log.remove_keys(["job"])
        else:
            self.log.append_keys(job=job_id)

    def count(self, name: str, value: float = 1) -> None:
        """Add to a metric."""
        self._metrics.add_metric(name, MetricUnit.Count, value)


@contextmanager
def observed(context: Context) -> Iterator[Call]:
    """Log and count what happens in the block; metrics are written at its end, however it ends."""
    log, metrics = _logger(), _metrics()
    log.append_keys(function=context.function_name, call=context.aws_request_id)
    try:
        yield Call(log, metrics)
    finally:
        log.remove_keys(["job"])
        if metrics.metric_set:
            metrics.flush_metrics()


@cache
def _logger() -> Logger:
    from safelight import config

    logger = Logger(level=config.load().log_level.upper(), use_rfc3339=True, location=None)
    # The service's own lines go out in the same form. Nobody else's do: a library may log what must not be told.
    ours = logging.getLogger("safelight")
    ours.handlers = list(logger.handlers)
    ours.setLevel(logger.log_level)
    ours.propagate = False
    return logger


@cache
def _metrics() -> Metrics:
    return Metrics()
