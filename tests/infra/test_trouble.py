"""What goes wrong around the real stack, and what must not come of it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journeys.serving import client, decoded, image, safelight, submit, until, wait
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)


def test_an_upload_in_parts_arrives_like_any_other(deployed_stack: Stack) -> None:
    """S3 tells of the completion under a name of its own; half an upload is told of by nobody."""
    s3, bucket = deployed_stack.account.client("s3"), deployed_stack.outputs["UploadsBucketName"]
    with client(deployed_stack.api) as http:
        job_id = (
            http.post("/uploads", json={"filename": "in parts + ü.jpg"}).raise_for_status().json()["jobId"]
        )
        at: dict[str, Any] = {"Bucket": bucket, "Key": _key(deployed_stack, job_id)}
        at["UploadId"] = s3.create_multipart_upload(**at, ContentType="image/jpeg")["UploadId"]
        tag = s3.upload_part(**at, PartNumber=1, Body=image())["ETag"]
        assert http.get(f"/jobs/{job_id}").json()["status"] == "PENDING"
        s3.complete_multipart_upload(**at, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
        assert wait(http, job_id, within=60)["status"] == "COMPLETED"


def test_events_come_twice_and_late(deployed_stack: Stack) -> None:
    """The same event again, once the job is done, changes nothing; nor does one of an object that is nobody's."""
    s3, bucket = deployed_stack.account.client("s3"), deployed_stack.outputs["UploadsBucketName"]
    with client(deployed_stack.api) as http:
        job_id = submit(http, image())
        before = wait(http, job_id, within=60)
        # A copy onto itself is another creation under the same key, of a later version.
        key = _key(deployed_stack, job_id)
        copied = s3.copy_object(
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": bucket, "Key": key},
            MetadataDirective="REPLACE",
        )
        s3.put_object(Bucket=bucket, Key="uploads/nobody/x.jpg", Body=b"x")
        other = submit(http, image(seed=2))
        assert wait(http, other, within=60)["status"] == "COMPLETED"
        after = http.get(f"/jobs/{job_id}").json()
        changing = {"downloadUrl", "outputs"}
        assert {k: v for k, v in after.items() if k not in changing} == {
            k: v for k, v in before.items() if k not in changing
        }

        def versions() -> list[str]:
            return [each["VersionId"] for each in s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]]

        until(lambda: copied["VersionId"] not in versions())
        assert len(versions()) == 1


def test_while_the_worker_is_throttled_jobs_wait(deployed_stack: Stack) -> None:
    """Without any concurrency left nothing is lost: the jobs are done as soon as there is some again."""
    functions = deployed_stack.account.client("lambda")
    functions.put_function_concurrency(FunctionName="worker-lambda", ReservedConcurrentExecutions=0)
    with client(deployed_stack.api) as http:
        try:
            jobs = [submit(http, image(seed=seed)) for seed in range(3)]
            until(lambda: all(http.get(f"/jobs/{each}").json()["stage"] == "queued" for each in jobs))
        finally:
            functions.delete_function_concurrency(FunctionName="worker-lambda")
        assert [wait(http, job_id, within=60)["status"] for job_id in jobs] == ["COMPLETED"] * 3


@pytest.mark.long
def test_a_poisonous_message_harms_no_other(deployed_stack: Stack) -> None:
    """What can not be read goes to the dead letters, and every job around it is done."""
    sqs, dead = deployed_stack.account.client("sqs"), deployed_stack.outputs["DeadLetterQueueUrl"]
    with client(deployed_stack.api) as http:
        first = submit(http, image())
        sqs.send_message(QueueUrl=deployed_stack.outputs["QueueUrl"], MessageBody="{not json")
        jobs = [first, *(submit(http, image(seed=seed)) for seed in range(2, 5))]
        assert [wait(http, job_id, within=60)["status"] for job_id in jobs] == ["COMPLETED"] * 4

        def given_up() -> bool:
            found = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10).get("Messages", [])
            for message in found:
                sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
            return any(message["Body"] == "{not json" for message in found)

        until(given_up, within=120)


@pytest.mark.long
def test_an_update_keeps_jobs_and_files(deployed_stack: Stack) -> None:
    """A deploy over the stack, with another parameter: what there was is there, and new jobs are done."""
    with client(deployed_stack.api) as http:
        job_id = submit(http, image(size=(640, 480)))
        wait(http, job_id, within=60)
        changed = deployed_stack.account.run(
            *("deploy", "--stack", deployed_stack.name, "--yes", "--json", "--parameter", "LogLevel=warning")
        )
        assert (changed.code, changed.json["outputs"]) == (0, deployed_stack.outputs), changed.told
        try:
            job = http.get(f"/jobs/{job_id}").json()
            assert decoded(httpx.get(job["downloadUrl"], trust_env=False).content).size == (640, 480)
            assert wait(http, submit(http, image()), within=60)["status"] == "COMPLETED"
        finally:
            back = deployed_stack.account.run(
                *("deploy", "--stack", deployed_stack.name, "--yes", "--json", "--parameter", "LogLevel=info")
            )
            assert back.code == 0, back.told


def test_the_command_line_needs_only_the_address(deployed_stack: Stack, tmp_path: Path) -> None:
    """`safelight upload --api` sends pictures with difficult names to the stack and brings the results back."""
    files = [tmp_path / name for name in ("a b.jpg", "c+d.jpg", "ü – 写真.jpg")]
    for seed, file in enumerate(files):
        file.write_bytes(image(seed=seed))
    done = safelight("upload", *files, "--out", tmp_path / "out", "--api", deployed_stack.api)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 3


def _key(stack: Stack, job_id: str) -> str:
    db, name = stack.account.client("dynamodb"), stack.outputs["JobsTableName"]
    item = db.get_item(TableName=name, Key={"jobId": {"S": job_id}})["Item"]
    return str(item["s3Key"]["S"])
