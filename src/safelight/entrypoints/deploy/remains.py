"""What there is of a stack, looked up one by one where it would be, whatever CloudFormation believes."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from safelight.entrypoints.deploy.account import STACK_TAG, Account, Names
from safelight.entrypoints.deploy.border import absent, code_of, spoken
from safelight.errors import ConfigurationError


class Remain(NamedTuple):
    """Something that is there."""

    kind: str
    name: str


def look(account: Account, names: Names, stack: str) -> list[Remain]:
    """Everything that is there of the stack."""
    return [
        Remain(kind, name) for kind, names_of in _SEARCHES.items() for name in names_of(account, names, stack)
    ]


def kinds() -> tuple[str, ...]:
    """What is looked for."""
    return tuple(_SEARCHES)


def app_of(account: Account, stack: str) -> str | None:
    """The AppName of a stack that CloudFormation has forgotten: its buckets carry the stack's name."""
    end = f"-{account.id}-{account.region}"
    with spoken():
        buckets = [bucket["Name"] for bucket in account.client("s3").list_buckets()["Buckets"]]
    for what in ("artifacts", "uploads", "processed"):
        for name in buckets:
            if name.endswith(f"-{what}{end}") and owner_of(account, name) == stack:
                return str(name.removesuffix(f"-{what}{end}"))
    return None


def owner_of(account: Account, bucket: str) -> str | None:
    """The stack that a bucket belongs to, if it is there and says so."""
    with spoken():
        try:
            tags = account.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
        except ClientError as error:
            if absent(error):
                return None
            raise
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == STACK_TAG), None)


def has_bucket(account: Account, name: str) -> bool:
    """Whether the account has this bucket. Raise ConfigurationError if another account has."""
    with spoken():
        try:
            account.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=account.id)
        except ClientError as error:
            if absent(error):
                return False
            if code_of(error) == "403":
                raise ConfigurationError(
                    f"The bucket {name} is another account's, or hidden from these credentials; choose another "
                    "--parameter AppName=…"
                ) from None
            raise
    return True


def has_table(account: Account, name: str) -> bool:
    """Whether there is this table."""
    return _there(lambda: account.client("dynamodb").describe_table(TableName=name))


def _there(ask: Callable[[], object]) -> bool:
    """Whether asking for something by its name finds it."""
    with spoken():
        try:
            ask()
        except ClientError as error:
            if absent(error):
                return False
            raise
    return True


Found = Iterator[str]

_OWN_ROLES = "(RequestUpload|GetJobStatus|Preview|Dispatcher|Worker|Sweeper|Notifier)Role"


def _buckets(account: Account, names: Names, _stack: str) -> Found:
    buckets = (*names.data_buckets, names.console_bucket, names.bucket("artifacts"))
    yield from (name for name in buckets if has_bucket(account, name))


def _tables(account: Account, names: Names, _stack: str) -> Found:
    yield from (name for name in names.tables if has_table(account, name))


def _queues(account: Account, names: Names, _stack: str) -> Found:
    sqs = account.client("sqs")
    for name in names.queues:
        if _there(lambda name=name: sqs.get_queue_url(QueueName=name)):  # type: ignore[misc]
            yield name


def _functions(account: Account, names: Names, _stack: str) -> Found:
    client = account.client("lambda")
    for name in names.functions:
        if _there(lambda name=name: client.get_function(FunctionName=name)):  # type: ignore[misc]
            yield name


def _log_groups(account: Account, names: Names, _stack: str) -> Found:
    logs = account.client("logs")
    for name in names.log_groups:
        with spoken():
            groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if any(group["logGroupName"] == name for group in groups):
            yield name


def _apis(account: Account, names: Names, _stack: str) -> Found:
    with spoken():
        pages = account.client("apigatewayv2").get_paginator("get_apis").paginate()
        apis = [api for page in pages for api in page["Items"]]
    yield from (api["Name"] for api in apis if api["Name"] == names.api)


def _alarms(account: Account, names: Names, _stack: str) -> Found:
    with spoken():
        pages = (
            account.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNames=names.alarms)
        )
        yield from (alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"])


def _dashboards(account: Account, names: Names, _stack: str) -> Found:
    with spoken():
        answer = account.client("cloudwatch").list_dashboards(DashboardNamePrefix=names.dashboard)
    yield from (
        each["DashboardName"]
        for each in answer["DashboardEntries"]
        if each["DashboardName"] == names.dashboard
    )


def _topics(account: Account, names: Names, _stack: str) -> Found:
    with spoken():
        pages = account.client("sns").get_paginator("list_topics").paginate()
        topics = [topic["TopicArn"].rpartition(":")[2] for page in pages for topic in page["Topics"]]
    yield from (topic for topic in topics if topic in names.topics)


def _roles(account: Account, _names: Names, stack: str) -> Found:
    """CloudFormation names roles and policies after the stack and its resource."""
    with spoken():
        pages = account.client("iam").get_paginator("list_roles").paginate()
        roles = [role["RoleName"] for page in pages for role in page["Roles"]]
    yield from (role for role in roles if re.fullmatch(rf"{re.escape(stack)}-{_OWN_ROLES}-\w+", role))


def _policies(account: Account, _names: Names, stack: str) -> Found:
    with spoken():
        pages = account.client("iam").get_paginator("list_policies").paginate(Scope="Local")
        policies = [policy["PolicyName"] for page in pages for policy in page["Policies"]]
    ours = (f"{stack}-WorkerPolicy-", f"{stack}-FunctionPolicy-")
    yield from (policy for policy in policies if policy.startswith(ours))


def _distributions(account: Account, names: Names, _stack: str) -> Found:
    """A distribution has no name; it is known by the bucket of pages that it is in front of."""
    origin = f"{names.console_bucket}."
    for each in _at_the_edge(account, "list_distributions", "DistributionList"):
        if any(one["DomainName"].startswith(origin) for one in each["Origins"]["Items"]):
            yield each["Id"]


def _accesses(account: Account, names: Names, _stack: str) -> Found:
    listed = _at_the_edge(account, "list_origin_access_controls", "OriginAccessControlList")
    yield from (each["Name"] for each in listed if each["Name"] in names.at_the_edge)


def _headers(account: Account, names: Names, _stack: str) -> Found:
    listed = _at_the_edge(
        account, "list_response_headers_policies", "ResponseHeadersPolicyList", Type="custom"
    )
    found = (each["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]["Name"] for each in listed)
    yield from (name for name in found if name in names.at_the_edge)


def _caches(account: Account, names: Names, _stack: str) -> Found:
    listed = _at_the_edge(account, "list_cache_policies", "CachePolicyList", Type="custom")
    found = (each["CachePolicy"]["CachePolicyConfig"]["Name"] for each in listed)
    yield from (name for name in found if name in names.at_the_edge)


def _at_the_edge(account: Account, call: str, key: str, **asked: str) -> Iterator[dict[str, Any]]:
    """All that CloudFront lists; not every of its calls has pages that botocore knows."""
    client = account.client("cloudfront")
    position: dict[str, str] = {}
    while True:
        with spoken():
            page = getattr(client, call)(**asked, **position)[key]
        yield from page.get("Items", ())
        if not page.get("NextMarker"):
            return
        position = {"Marker": page["NextMarker"]}


def _stacks(account: Account, _names: Names, stack: str) -> Found:
    from safelight.entrypoints.deploy.stack import Stack

    if Stack(account, stack).status is not None:
        yield stack


_SEARCHES: dict[str, Callable[[Account, Names, str], Found]] = {
    "stack": _stacks,
    "bucket": _buckets,
    "table": _tables,
    "queue": _queues,
    "function": _functions,
    "log group": _log_groups,
    "role": _roles,
    "policy": _policies,
    "API": _apis,
    "alarm": _alarms,
    "topic": _topics,
    "dashboard": _dashboards,
    "distribution": _distributions,
    "access to buckets": _accesses,
    "headers policy": _headers,
    "cache policy": _caches,
}
