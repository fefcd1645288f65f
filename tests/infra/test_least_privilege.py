"""Each role may do what its function does, and nothing else: with any one action taken away, the function fails.

A journey touches everything that a role is for. It ends with Denied as soon as a log says that something was not
allowed, or a signed URL is refused. The short form takes one action from each role; `make infra` takes every one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.infra.role_journeys import Denied, Journeys
from tests.infra.test_template import many, statements
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)

NOT_SHOWN = {
    "xray:PutTraceSegments": "Lambda itself sends traces",
    "xray:PutTelemetryRecords": "Lambda itself sends traces",
    "logs:CreateLogStream": "the emulator writes logs by itself",
    "logs:PutLogEvents": "the emulator writes logs by itself",
    "dynamodb:DescribeStream": "the event source's: the emulator asks for none",
    "dynamodb:GetRecords": "the event source's: the emulator asks for none",
    "dynamodb:GetShardIterator": "the event source's: the emulator asks for none",
    "dynamodb:ListStreams": "the event source's: the emulator asks for none",
    "s3:ListBucket": "AWS hides from who may not list that an object is missing; the emulator tells everybody",
    "s3:DeleteObjectVersion": "AWS asks for it besides s3:DeleteObject; the emulator does not",
    "kms:Decrypt": "only with a key",
    "kms:GenerateDataKey": "only with a key",
}
NOT_SHOWN_OF = {
    ("DispatcherRole", "OnFailure"): "the destination's: the emulator asks for none",
    ("NotifierRole", "OnFailure"): "the destination's: the emulator asks for none",
    ("WorkerPolicy", "sqs:ReceiveMessage"): "the event source's: the emulator asks for none",
    ("WorkerPolicy", "sqs:DeleteMessage"): "the event source's: the emulator asks for none",
    ("WorkerPolicy", "sqs:GetQueueAttributes"): "the event source's: the emulator asks for none",
    ("WorkerPolicy", "s3:DeleteObject"): "only for an attempt that fails between two of its outputs",
    ("WorkerPolicy", "WhoseIsWhatIsThere"): "only when the answer to a PUT is lost",
}


JOURNEY_OF = {
    "RequestUploadRole": Journeys.request_upload,
    "GetJobStatusRole": Journeys.get_job_status,
    "PreviewRole": Journeys.preview,
    "DispatcherRole": Journeys.dispatcher,
    "WorkerPolicy": Journeys.worker,
    "SweeperRole": Journeys.sweeper,
    "NotifierRole": Journeys.notifier,
}


WAITING = frozenset({"SweeperRole", "NotifierRole"})
"""Whose work comes with time."""


def actions() -> list[Any]:
    """Every action of every statement that the emulator can show to be needed."""
    return [
        pytest.param(role, statement["Sid"], action, id=f"{role}-{statement['Sid']}-{action}")
        for role, statement in statements()
        for action in many(statement["Action"])
        if action not in NOT_SHOWN
        and not {(role, statement["Sid"]), (role, action)} & set(NOT_SHOWN_OF)
        and role in JOURNEY_OF
    ]


@pytest.mark.parametrize(
    "role",
    [pytest.param(role, marks=[pytest.mark.long] * (role in WAITING)) for role in JOURNEY_OF],
)
def test_the_roles_suffice(deployed_stack: Stack, role: str) -> None:
    """With the policies of the template, and with them enforced, every function can do its work."""
    JOURNEY_OF[role](Journeys(deployed_stack))


@pytest.mark.parametrize(
    ("role", "sid", "action"),
    [
        ("RequestUploadRole", "Jobs", "dynamodb:PutItem"),
        ("GetJobStatusRole", "SignDownloads", "s3:GetObject"),
        ("DispatcherRole", "Queue", "sqs:SendMessage"),
        ("NotifierRole", "Tell", "sns:Publish"),
    ],
)
def test_a_role_without_one_action_fails(deployed_stack: Stack, role: str, sid: str, action: str) -> None:
    """Enforcement is real: an action taken away stops the function."""
    with without(deployed_stack, role, sid, action), pytest.raises(Denied):
        JOURNEY_OF[role](Journeys(deployed_stack))


@pytest.mark.long
@pytest.mark.parametrize(("role", "sid", "action"), actions())
def test_every_action_is_needed(deployed_stack: Stack, role: str, sid: str, action: str) -> None:
    """No role may do a thing that its function could do without."""
    with without(deployed_stack, role, sid, action), pytest.raises(Denied):
        JOURNEY_OF[role](Journeys(deployed_stack))


@contextmanager
def without(stack: Stack, role: str, sid: str, action: str) -> Iterator[None]:
    """Take an action away from a statement of a role or policy, and give it back when the block ends."""
    iam, physical = stack.account.client("iam"), stack.roles[role]
    if role.endswith("Policy"):
        version = iam.get_policy(PolicyArn=physical)["Policy"]["DefaultVersionId"]
        whole = iam.get_policy_version(PolicyArn=physical, VersionId=version)["PolicyVersion"]["Document"]
    else:
        whole = iam.get_role_policy(RoleName=physical, PolicyName="calls")["PolicyDocument"]
    whole = json.loads(whole) if isinstance(whole, str) else whole

    def put(document: dict[str, Any]) -> None:
        text = json.dumps(document)
        if not role.endswith("Policy"):
            iam.put_role_policy(RoleName=physical, PolicyName="calls", PolicyDocument=text)
            return
        old = iam.list_policy_versions(PolicyArn=physical)["Versions"]
        for each in old:
            if not each["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=physical, VersionId=each["VersionId"])
        iam.create_policy_version(PolicyArn=physical, PolicyDocument=text, SetAsDefault=True)

    def left(statement: dict[str, Any]) -> dict[str, Any] | None:
        if statement.get("Sid") != sid:
            return statement
        rest = [one for one in many(statement["Action"]) if one != action]
        return {**statement, "Action": rest} if rest else None

    put({**whole, "Statement": [kept for each in whole["Statement"] if (kept := left(each))]})
    try:
        yield
    finally:
        put(whole)
