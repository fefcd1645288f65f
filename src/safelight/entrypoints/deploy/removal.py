"""From a stack to nothing, or to its data alone."""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from safelight.entrypoints.deploy.account import Account, Names
from safelight.entrypoints.deploy.border import absent, code_of, spoken
from safelight.entrypoints.deploy.remains import Remain
from safelight.entrypoints.deploy.stack import Progress, Stack

Say = Callable[[str], None]


def delete_stack(stack: Stack, say: Say, tell: Callable[[Progress], None]) -> None:
    """Delete the stack. What refuses to go is left out the second time: it is removed by hand afterwards."""
    stack.wait(tell)
    status = stack.delete(tell)
    if status == "DELETE_FAILED":
        failed = [each for each in stack.resources() if each["ResourceStatus"] == "DELETE_FAILED"]
        stubborn = [each["LogicalResourceId"] for each in failed]
        say(f"Deleting again without {', '.join(stubborn)}")
        stack.delete(tell, retaining=stubborn)


def delete_data(account: Account, names: Names, found: list[Remain], say: Say) -> None:
    """Empty and delete the buckets, and delete the tables."""
    there = {each.name for each in found}
    for bucket in names.data_buckets:
        if bucket in there:
            delete_bucket(account, bucket, say)
    for table in names.tables:
        if table in there:
            delete_table(account, table, say)


def delete_bucket(account: Account, bucket: str, say: Say) -> None:
    """Erase every version, every marker and every unfinished upload, then the bucket."""
    s3 = account.client("s3")
    count = 0
    with spoken(), _gone():
        for last in (False, False, True):
            count += _empty(s3, bucket)
            try:
                s3.delete_bucket(Bucket=bucket)
                break
            except ClientError as error:
                # A URL that was signed before, or a function that still ran, has put something in meanwhile.
                if last or code_of(error) != "BucketNotEmpty":
                    raise
    say(f"Deleted the bucket {bucket} and {count} versions in it")


def _empty(s3: Any, bucket: str) -> int:
    """Erase what is in the bucket. Return how many versions and markers went."""
    count = 0
    for batch in _versions(s3, bucket):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        count += len(batch) - len(answer.get("Errors", ()))
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return count


def delete_table(account: Account, table: str, say: Say) -> None:
    """Delete a table and wait until it is gone."""
    db = account.client("dynamodb")
    with spoken(), _gone():
        db.delete_table(TableName=table)
        db.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 2, "MaxAttempts": 150})
    say(f"Deleted the table {table}")


def delete_log_group(account: Account, name: str, say: Say) -> None:
    """Delete a log group."""
    with spoken(), _gone():
        account.client("logs").delete_log_group(logGroupName=name)
    say(f"Deleted the log group {name}")


def _versions(s3: Any, bucket: str) -> Iterator[list[dict[str, str]]]:
    """Batches of what `DeleteObjects` takes."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        batch = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]
        if batch:
            yield batch


class _gone:  # noqa: N801 (used as a verb)
    """Somebody else may be quicker: what is gone already is no error."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, ClientError) and absent(error)
