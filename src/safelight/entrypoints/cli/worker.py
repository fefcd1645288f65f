"""`safelight worker`: the worker as a process of its own, on the queue of a stack."""

from typing import Any

from safelight.entrypoints.cli.deploy import Region
from safelight.entrypoints.cli.terminal import say


def worker(*, stack: str | None = None, region: Region = None) -> None:
    """Take jobs from the queue on AWS and work them off, one at a time, until SIGTERM or Ctrl-C.

    For jobs that take too long or too much memory for a function: deploy with --parameter Workers=process, and run as
    many of these as you like, wherever the stack's WorkerPolicy is attached. Every setting comes from the environment;
    `safelight settings` lists them.

    Parameters
    ----------
    stack
        Take the names of buckets, tables and queue from this stack, instead of from the environment.
    """
    import os
    import signal
    import socket

    from safelight import bootstrap, config
    from safelight.entrypoints import worker as working
    from safelight.entrypoints.process import log_to_stderr

    settings = config.load(backend="aws", **of_stack(stack, region))
    log_to_stderr("worker", settings.log_level)
    with bootstrap.build(settings) as system:
        stop = working.Stop(system)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _signal, _frame: stop.ask())
        locks = working.in_words(system.start_renderer())
        say(f"Working on {settings.queue_url}; sandbox on: {locks}")
        working.run(system.service, f"{socket.gethostname()}-{os.getpid()}", stop)


def of_stack(stack: str | None, region: str | None) -> dict[str, Any]:
    """The settings that the stack's outputs give."""
    if stack is None:
        return {"region": region}
    from safelight.entrypoints.deploy.account import Account
    from safelight.entrypoints.deploy.stack import Stack
    from safelight.errors import ConfigurationError

    account = Account(region)
    outputs = Stack(account, stack).outputs()
    if "QueueUrl" not in outputs:
        raise ConfigurationError(f"There is no stack {stack} in {account.region}; safelight deploy makes it.")
    return {
        "region": account.region,
        "uploads_bucket": outputs["UploadsBucketName"],
        "processed_bucket": outputs["ProcessedBucketName"],
        "jobs_table": outputs["JobsTableName"],
        "records_table": outputs["RecordsTableName"],
        "queue_url": outputs["QueueUrl"],
        "dead_letter_url": outputs["DeadLetterQueueUrl"],
        "topic_arn": outputs["NoticesTopicArn"],
    }
