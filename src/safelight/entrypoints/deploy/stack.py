"""A stack, by CloudFormation: change sets made, shown, carried out and followed."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from safelight.entrypoints.deploy.account import STACK_TAG, Account
from safelight.entrypoints.deploy.border import advice, spoken
from safelight.errors import ConfigurationError, SafelightError

CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
"""Roles are made, and the SAM transform is run."""

STEADY: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
"""A stack in one of these can be changed."""

NEVER_MADE: Final = frozenset({"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_FAILED"})
"""The creation failed or was not carried out; all that can be done with it is to delete it."""

GOOD: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "DELETE_COMPLETE"})


class StackFailed(SafelightError):
    """The change was not carried out and everything is as before; the reasons stand above."""

    code = "stack_failed"


class Change(NamedTuple):
    """One line of a change set."""

    action: str
    resource: str
    kind: str
    replaced: bool


class Progress(NamedTuple):
    """Something that happened to one resource."""

    resource: str
    kind: str
    status: str
    reason: str


class Stack:
    """One stack of an account, which need not exist."""

    def __init__(self, account: Account, name: str) -> None:
        self.name = name
        self._account = account
        self._client = account.client("cloudformation")

    # --- looking ---

    def describe(self) -> dict[str, Any] | None:
        """What CloudFormation says of it, or None."""
        with spoken():
            try:
                answer = self._client.describe_stacks(StackName=self.name)
            except ClientError as error:
                if "does not exist" in str(error):
                    return None
                raise
        found: dict[str, Any] = answer["Stacks"][0]
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    @property
    def status(self) -> str | None:
        """Its status, or None if there is no stack of that name."""
        found = self.describe()
        return str(found["StackStatus"]) if found else None

    def parameters(self) -> dict[str, str]:
        """The parameters it was made with; empty if there is none."""
        found = self.describe() or {}
        return {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())}

    def outputs(self) -> dict[str, str]:
        """Its outputs; empty if there is none."""
        found = self.describe() or {}
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}

    def resources(self) -> list[dict[str, Any]]:
        """Its resources, as CloudFormation knows them."""
        with spoken():
            try:
                pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self.name)
                return [each for page in pages for each in page["StackResourceSummaries"]]
            except ClientError as error:
                if "does not exist" in str(error):
                    return []
                raise

    # --- changing ---

    def prepare(self, kind: str, *, parameters: list[dict[str, Any]], **what: Any) -> str | None:
        """Make a change set (CREATE, UPDATE or IMPORT) and return its id, or None if there is nothing to change.

        `what` is the template, and the resources to import. Raise ConfigurationError.
        """
        # An import takes in, and can not tag.
        tags = {} if kind == "IMPORT" else {"Tags": [{"Key": STACK_TAG, "Value": self.name}]}
        with spoken():
            answer = self._client.create_change_set(
                StackName=self.name,
                ChangeSetName=f"safelight-{time.time_ns()}",
                ChangeSetType=kind,
                Parameters=parameters,
                Capabilities=CAPABILITIES,
                **tags,
                **what,
            )
        change_set = str(answer["Id"])
        for pause in _pauses():
            with spoken():
                found = self._client.describe_change_set(ChangeSetName=change_set)
            if found["Status"] == "CREATE_COMPLETE":
                return change_set
            if found["Status"] == "FAILED":
                self.discard(change_set)
                reason = str(found.get("StatusReason", "no reason was given"))
                if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                    return None
                raise ConfigurationError(f"CloudFormation can not make this change: {reason.rstrip('.')}.")
            time.sleep(pause)
        raise AssertionError("unreachable")

    def changes(self, change_set: str) -> list[Change]:
        """What a change set would do."""
        with spoken():
            pages = self._client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
            found = [each["ResourceChange"] for page in pages for each in page["Changes"]]
        return [
            Change(
                each["Action"],
                each["LogicalResourceId"],
                each["ResourceType"],
                each.get("Replacement") == "True",
            )
            for each in found
        ]

    def discard(self, change_set: str) -> None:
        """Forget a change set, and the empty stack that stands for one that was never made."""
        with spoken():
            self._client.delete_change_set(ChangeSetName=change_set)
        if self.status == "REVIEW_IN_PROGRESS":
            self.delete()

    def carry_out(self, change_set: str, tell: Callable[[Progress], None]) -> None:
        """Execute a change set and follow it to its end.

        Raise StackFailed, or ConfigurationError where the operator can do something; everything is as before then.
        """
        since = self._newest_event()
        failures: list[Progress] = []

        def noted(progress: Progress) -> None:
            if progress.status.endswith("_FAILED"):
                failures.append(progress)
            tell(progress)

        with spoken():
            self._client.execute_change_set(ChangeSetName=change_set)
        if self._follow(since, noted) not in GOOD:
            raise _failure(failures)

    def delete(
        self, tell: Callable[[Progress], None] = lambda _: None, *, retaining: list[str] | None = None
    ) -> str | None:
        """Delete the stack, but not what it retains; return its last status, None if it is gone."""
        found = self.describe()
        if found is None:
            return None
        since = self._newest_event()
        keep = {"RetainResources": retaining} if retaining else {}
        with spoken():
            # By its id: a stack that is gone can be asked about by that only.
            self._client.delete_stack(StackName=found["StackId"], **keep)
        status = self._follow(since, tell, stack=found["StackId"])
        return None if status == "DELETE_COMPLETE" else status

    def wait(self, tell: Callable[[Progress], None]) -> None:
        """Wait until whatever is under way has ended."""
        if (self.status or "").endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS":
            self._follow(self._newest_event(), tell)

    def _follow(self, since: str | None, tell: Callable[[Progress], None], *, stack: str = "") -> str:
        """Tell what happens to each resource until the stack is steady again. Return its status."""
        seen = {since} if since else set()
        for pause in _pauses():
            time.sleep(pause)
            with spoken():
                found = self._client.describe_stacks(StackName=stack or self.name)["Stacks"][0]
            for event in self._events_after(seen, stack or self.name):
                seen.add(event["EventId"])
                if event["PhysicalResourceId"] != event["StackId"]:
                    tell(
                        Progress(
                            event["LogicalResourceId"],
                            event["ResourceType"],
                            event["ResourceStatus"],
                            event.get("ResourceStatusReason", ""),
                        )
                    )
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                return str(found["StackStatus"])
        raise AssertionError("unreachable")

    def _newest_event(self) -> str | None:
        for event in self._events(self.name):
            return str(event["EventId"])
        return None

    def _events_after(self, seen: set[str], stack: str) -> list[dict[str, Any]]:
        """Events that were not seen yet, oldest first."""
        new = []
        for event in self._events(stack):
            if event["EventId"] in seen:
                break
            new.append(event)
        return new[::-1]

    def _events(self, stack: str) -> Iterator[dict[str, Any]]:
        """All events, newest first."""
        try:
            for page in self._client.get_paginator("describe_stack_events").paginate(StackName=stack):
                yield from page["StackEvents"]
        except ClientError as error:
            if "does not exist" not in str(error):
                with spoken():
                    raise


def _failure(failures: list[Progress]) -> SafelightError:
    """What went wrong first: what came after it was only called off."""
    if not failures:
        return StackFailed()
    first, reason = failures[0], " ".join(failures[0].reason.split()).rstrip(".")
    what = f"{first.resource} could not be made or changed: {reason}"
    help_ = advice(reason)
    if help_:
        return ConfigurationError(f"{what}; {help_}. Everything is as it was before.")
    return StackFailed(f"{what}. Everything is as it was before.")


def _pauses() -> Iterator[float]:
    """Seconds between two looks: short ones first. A stack takes minutes at most; an hour is the end."""
    began, pause = time.monotonic(), 0.2
    while time.monotonic() - began < 3600:
        yield pause
        pause = min(3.0, pause * 1.3)
    raise ConfigurationError(
        "CloudFormation has not ended after an hour; `safelight status` shows where it stands."
    )
