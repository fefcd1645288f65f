"""How a stack is doing: what CloudFormation, the queues and the alarms say."""

from typing import Any, NamedTuple

from safelight.entrypoints.deploy.account import Account
from safelight.entrypoints.deploy.border import spoken
from safelight.entrypoints.deploy.deployment import names_of
from safelight.entrypoints.deploy.stack import STEADY, Stack
from safelight.errors import ConfigurationError


class Condition(NamedTuple):
    """How a stack is doing."""

    stack: str
    status: str
    outputs: dict[str, str]
    waiting: int
    in_flight: int
    dead: int
    alarms: list[str]

    @property
    def well(self) -> bool:
        """Whether it runs and nothing alarms."""
        return self.status in STEADY and not self.alarms and not self.dead

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "stack": self.stack,
            "status": self.status,
            "well": self.well,
            "queue": {"waiting": self.waiting, "inFlight": self.in_flight, "dead": self.dead},
            "alarms": self.alarms,
            "outputs": self.outputs,
        }

    def lines(self) -> list[tuple[str, str]]:
        """For people."""
        return [
            ("stack", f"{self.stack} is {self.status}"),
            ("API", self.outputs.get("ApiUrl", "")),
            ("queue", f"{self.waiting} waiting, {self.in_flight} in work"),
            ("dead letters", str(self.dead)),
            ("alarms", ", ".join(self.alarms) or "none"),
        ]


def condition(account: Account, name: str) -> Condition:
    """How the stack is doing. Raise ConfigurationError if there is none."""
    account_id = account.id
    stack = Stack(account, name)
    found = stack.describe()
    if found is None:
        raise ConfigurationError(
            f"There is no stack {name} in {account.region} of the account {account_id}; safelight deploy makes it."
        )
    outputs = stack.outputs()
    waiting, in_flight = _depth(account, outputs.get("QueueUrl"))
    dead, _ = _depth(account, outputs.get("DeadLetterQueueUrl"))
    return Condition(
        name,
        found["StackStatus"],
        outputs,
        waiting,
        in_flight,
        dead,
        _alarms(account, names_of(account, stack).alarms),
    )


def _depth(account: Account, url: str | None) -> tuple[int, int]:
    if url is None:  # the stack is not whole
        return 0, 0
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    with spoken():
        answer = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=wanted)
    return int(answer["Attributes"][wanted[0]]), int(answer["Attributes"][wanted[1]])


def _alarms(account: Account, names: list[str]) -> list[str]:
    with spoken():
        finder = account.client("cloudwatch").get_paginator("describe_alarms")
        pages = finder.paginate(AlarmNames=names, StateValue="ALARM")
        return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]
