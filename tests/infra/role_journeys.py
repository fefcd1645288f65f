"""What each role is for, as a journey that touches all of it. Ends with Denied when something is not allowed."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import httpx
from tests.journeys.serving import client, decoded, image
from tests.support.receiver import Receiver, receiver
from tests.support.stack import Stack


class Denied(Exception):
    """Something was not allowed."""


class Journeys:
    """What the functions are for, one method a role."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._account = stack.account
        self._uploads = stack.outputs["UploadsBucketName"]
        self._processed = stack.outputs["ProcessedBucketName"]
        self._since = 0

    # --- one for each role ---

    def request_upload(self) -> None:
        """Every POST, DELETE, and what is signed there."""
        time.sleep(2.1)  # what is known of the queue's length is used for so long
        self._begin()
        with self._http() as http:
            # A recipe of its own is published; a key makes the answer repeatable.
            recipe = {"outputs": {"main": {"format": "png"}}, "steps": {}}
            key = {"Idempotency-Key": f"k{time.time_ns()}"}
            made = self._ask(http, "POST", "/uploads", json={"filename": "a.jpg"}, headers=key)
            self._ask(http, "POST", "/uploads", json={"filename": "a.jpg"}, headers=key)
            self._ask(http, "POST", "/uploads", json={"filename": "a.jpg", "recipe": recipe}, check=False)
            self._put(made)
            self._wait(http, made["jobId"], "COMPLETED")
            again = {"Idempotency-Key": f"r{time.time_ns()}"}
            other = self._ask(http, "POST", "/jobs", json={"from": made["jobId"]}, headers=again)
            self._wait(http, other["jobId"], "COMPLETED")
            replayed = self._ask(http, "POST", "/jobs", json={"from": made["jobId"]}, headers=again)
            self._get(replayed["downloadUrl"])
            # A recipe with a name, and a file that was processed before.
            self._ask(http, "PUT", "/recipes/mine", json={"version": 1, **recipe})
            self._ask(http, "DELETE", "/recipes/mine")
            self._processed_before(http)
            # Signed, and refused for another reason than a missing right: a failed action frees its key.
            failing = {"Idempotency-Key": f"f{time.time_ns()}"}
            self._ask(
                http,
                "POST",
                "/jobs",
                json={"from": "0" * 8 + "-0000-4000-8000-" + "0" * 12},
                headers=failing,
                check=False,
            )
            # One that was canceled may have come meanwhile: a retry looks for it.
            canceled = self._ask(http, "POST", "/uploads")
            self._ask(http, "POST", f"/jobs/{canceled['jobId']}/cancel")
            self._ask(http, "POST", f"/jobs/{canceled['jobId']}/retry")
            self._unfinished(made["jobId"])
            self._in_parts(http)
            batch = self._ask(http, "POST", "/batches", json={"files": [{"filename": "a.jpg"}]})
            self._ask(http, "DELETE", f"/jobs/{batch['jobs'][0]['jobId']}")
            # An original that is gone is told from one that may not be seen.
            self._erase_original(other_of := self._ask(http, "POST", "/uploads"))
            self._ask(http, "DELETE", f"/jobs/{other_of['jobId']}")
            self._gone_original(http)
            hook = self._ask(http, "POST", "/webhooks", json={"url": "https://93.184.216.34/"})
            self._ask(http, "DELETE", f"/webhooks/{hook['id']}")
            self._ask(http, "DELETE", f"/jobs/{other['jobId']}")
            self._ask(http, "DELETE", f"/jobs/{made['jobId']}")
            self._nothing_left(made["jobId"])
            self._bury()
            assert len(self._ask(http, "GET", "/ops/dead-letters")["items"]) == 1
            redriven = self._ask(http, "POST", "/ops/dead-letters/redrive", json={"all": True})["redriven"]
            if not redriven:
                raise Denied("the dead letter was not given back by whoever looked at it")
            assert list(redriven.values()) == ["over"], redriven
        self._end()

    def get_job_status(self) -> None:
        """Every GET, and what is signed there."""
        self._begin()
        with self._http() as http:
            job = self._completed(http)
            self._get(job["downloadUrl"])
            self._ask(http, "GET", "/jobs")
            batch = self._ask(http, "POST", "/batches", json={"files": [{"filename": "a.jpg"}]})
            self._ask(http, "GET", f"/batches/{batch['batchId']}")
            self._ask(http, "GET", "/recipes")
            self._ask(http, "GET", "/health")
            self._ask(http, "GET", "/ops")
            self._ask(http, "GET", "/webhooks")
        self._end()

    def preview(self) -> None:
        """A picture is drawn by a recipe of the caller's own, whose name has to be looked up."""
        self._begin()
        with self._http() as http:
            recipe = {"version": 1, "steps": {}, "outputs": {"main": {"format": "png"}}}
            self._ask(http, "PUT", "/recipes/previewed", json=recipe)
            answer = http.post(
                "/preview",
                files={"file": ("a.jpg", image(size=(320, 240)))},
                data={"recipe": "previewed"},
            )
            if answer.status_code != 200:
                self._check()
                raise Denied(answer.text)
            assert decoded(answer.content).format == "PNG"
            self._ask(http, "DELETE", "/recipes/previewed")
        self._end()

    def dispatcher(self) -> None:
        """An upload, and one that comes after its job was deleted."""
        self._begin()
        with self._http() as http:
            self._completed(http)
            made = self._ask(http, "POST", "/uploads")
            self._ask(http, "DELETE", f"/jobs/{made['jobId']}")
            self._unfinished(made["jobId"])
            self._put(made)
            self._nothing_left(made["jobId"])
        self._end()

    def worker(self) -> None:
        """A job that is remembered, one whose original is gone, and a message that can not be read."""
        self._begin()
        with self._http() as http:
            self._completed(http, dedupe=True)
            made = self._ask(http, "POST", "/uploads")
            self._silently(lambda: self._put(made))
            # The version that the job is told of is not there.
            self._invoke("dispatcher", _created(self._uploads, self._key(made["jobId"]), "0" * 32))
            self._wait(http, made["jobId"], "FAILED")
            # What an attempt that did not come to its end has left behind is removed.
            self._invoke("worker", {"Records": [_message("{not json")]})
            self._cut_short(http)
        self._end()

    def sweeper(self) -> None:
        """A lost event, a lost message, losers to tidy, the end of retention, and a webhook that failed once."""
        self._begin()
        with self._hooked() as there:
            answers = iter((503, 204))
            there.answer = lambda _request: next(answers, 204)
            with self._http() as http:
                self._completed(http)
            self._came(there, 1)
            time.sleep(6.0)  # the pause after the first failure
            self._invoke("sweeper", {})
            self._came(there, 2)
            self._get(json.loads(there.received[-1].body)["data"]["downloadUrl"])
        with self._http() as http:
            lost = self._ask(http, "POST", "/uploads")
            self._silently(lambda: self._put(lost))
            late = self._ask(http, "POST", "/uploads")
            self._make_due(lost["jobId"], late["jobId"])
            self._invoke("sweeper", {})
            self._wait(http, lost["jobId"], "COMPLETED")
            self._make_due(lost["jobId"], attempt=2)
            self._invoke("sweeper", {})
            # The record is gone, and the upload with it: the event of a deleted job, come by the sweeper's way.
            self._unfinished(lost["jobId"])
            self._make_due(lost["jobId"], updated_at=1.0)
            self._invoke("sweeper", {})
            self._nothing_left(lost["jobId"])
        self._end()

    def notifier(self) -> None:
        """The end of a job is told, also to a webhook."""
        self._begin()
        with self._hooked() as there:
            with self._http() as http:
                self._completed(http)
            self._came(there, 1)
            self._get(json.loads(there.received[-1].body)["data"]["downloadUrl"])
            time.sleep(1.0)
            self._check()
        with self._http() as http:
            self._logged("told", self._completed(http)["jobId"])
            batch = self._ask(http, "POST", "/batches", json={"files": [{}]})
            self._put(batch["jobs"][0])
            self._logged("told of a batch", batch["jobs"][0]["jobId"])
        self._end()

    # --- steps ---

    def _http(self) -> Any:
        return client(self._stack.api)

    def _ask(self, http: httpx.Client, method: str, path: str, *, check: bool = True, **said: Any) -> Any:
        answer = http.request(method, path, **said)
        if answer.status_code >= 500:
            self._check()
            raise Denied(f"{method} {path} was answered {answer.status_code} {answer.text}")
        if check:
            answer.raise_for_status()
        return answer.json() if answer.content else None

    def _put(self, made: dict[str, Any]) -> None:
        answer = httpx.put(made["uploadUrl"], content=image(), trust_env=False)
        if answer.status_code == 403:
            raise Denied(answer.text)
        answer.raise_for_status()

    def _get(self, url: str) -> None:
        answer = httpx.get(url, trust_env=False)
        if answer.status_code == 403:
            raise Denied(answer.text)
        answer.raise_for_status()

    def _completed(self, http: httpx.Client, **said: Any) -> dict[str, Any]:
        made = self._ask(http, "POST", "/uploads", json=said)
        self._put(made)
        return self._wait(http, made["jobId"], "COMPLETED")

    def _wait(self, http: httpx.Client, job_id: str, status: str) -> dict[str, Any]:
        end, job = time.monotonic() + 60, None
        while time.monotonic() < end:
            job = self._ask(http, "GET", f"/jobs/{job_id}")
            if job["status"] == status:
                return dict(job)
            self._check()
            time.sleep(0.2)
        raise AssertionError(job)

    @contextmanager
    def _hooked(self) -> Iterator[Receiver]:
        """A receiver on this machine with a webhook, and functions that may send to it."""
        with self._stack.settings(webhooks_to_loopback="true"), receiver() as there, self._http() as http:
            hook = self._ask(http, "POST", "/webhooks", json={"url": there.url})
            try:
                yield there
            finally:
                http.delete(f"/webhooks/{hook['id']}")

    def _came(self, there: Receiver, count: int) -> None:
        end = time.monotonic() + 60
        while len(there.received) < count:
            self._check()
            assert time.monotonic() < end, there.received
            time.sleep(0.2)

    def _key(self, job_id: str) -> str:
        item = self._account.client("dynamodb").get_item(
            TableName=self._stack.outputs["JobsTableName"], Key={"jobId": {"S": job_id}}
        )["Item"]
        return str(item["s3Key"]["S"])

    def _unfinished(self, job_id: str) -> None:
        """The client began an upload in parts and never ended it."""
        self._account.client("s3").create_multipart_upload(
            Bucket=self._uploads, Key=f"uploads/{job_id}/parts.jpg"
        )

    def _in_parts(self, http: httpx.Client) -> None:
        """An upload in parts: begun, dropped, begun again, and completed."""
        size = 17_000_000
        said = {"filename": "parts.jpg", "size": size, "multipart": True}
        job_id = self._ask(http, "POST", "/uploads", json=said)["jobId"]
        self._ask(http, "GET", f"/uploads/{job_id}/parts")
        self._ask(http, "DELETE", f"/uploads/{job_id}/parts")
        page = self._ask(http, "GET", f"/uploads/{job_id}/parts")
        for part in page["parts"]:
            body = bytes(min(page["partSize"], size - (part["partNumber"] - 1) * page["partSize"]))
            answer = httpx.put(part["url"], content=body, trust_env=False, timeout=30)
            if answer.status_code == 403:
                raise Denied(answer.text)
            answer.raise_for_status()
        page = self._ask(http, "GET", f"/uploads/{job_id}/parts")
        named = [{"partNumber": part["partNumber"], "etag": part["etag"]} for part in page["uploaded"]]
        self._ask(http, "POST", f"/uploads/{job_id}/complete", json={"parts": named})
        self._wait(http, job_id, "FAILED")  # it is no picture
        self._ask(http, "DELETE", f"/jobs/{job_id}")

    def _erase_original(self, made: dict[str, Any]) -> None:
        self._silently(lambda: self._put(made))

    def _gone_original(self, http: httpx.Client) -> None:
        """A job whose original was removed by somebody else can not be rendered again, and the answer says why."""
        job = self._completed(http)
        s3 = self._account.client("s3")
        key = self._key(job["jobId"])
        for version in s3.list_object_versions(Bucket=self._uploads, Prefix=key)["Versions"]:
            s3.delete_object(Bucket=self._uploads, Key=key, VersionId=version["VersionId"])
        answer = http.post("/jobs", json={"from": job["jobId"]})
        if answer.status_code != 409 and answer.status_code != 410:
            self._check()
            raise Denied(answer.text)
        self._ask(http, "DELETE", f"/jobs/{job['jobId']}")

    def _bury(self) -> None:
        """One message that was given up on, of a job that is gone; what a journey that failed has left is removed."""
        sqs, queue = self._account.client("sqs"), self._stack.outputs["DeadLetterQueueUrl"]
        body = {"jobId": "gone", "s3Key": "uploads/gone/a.jpg", "bucket": self._uploads}
        sqs.purge_queue(QueueUrl=queue)
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(body))

    def _processed_before(self, http: httpx.Client) -> None:
        """The same bytes once more get the same job, and another one when its output is gone."""
        wanted = {"dedupe": True, "sha256": sha256(image()).hexdigest()}
        done = self._completed(http, dedupe=True)
        found = self._ask(http, "POST", "/uploads", json=wanted)
        assert (found["jobId"], found["uploadUrl"]) == (done["jobId"], None)
        s3 = self._account.client("s3")
        for item in s3.list_objects_v2(Bucket=self._processed, Prefix=f"processed/uploads/{done['jobId']}/")["Contents"]:
            s3.delete_object(Bucket=self._processed, Key=item["Key"])
        other = self._ask(http, "POST", "/uploads", json=wanted)
        assert other["uploadUrl"]
        for job in (done, other):
            self._ask(http, "DELETE", f"/jobs/{job['jobId']}")

    def _silently(self, action: Callable[[], None]) -> None:
        """Do it while the bucket tells nobody."""
        s3 = self._account.client("s3")
        told = s3.get_bucket_notification_configuration(Bucket=self._uploads)
        told.pop("ResponseMetadata", None)
        s3.put_bucket_notification_configuration(Bucket=self._uploads, NotificationConfiguration={})
        try:
            action()
        finally:
            s3.put_bucket_notification_configuration(Bucket=self._uploads, NotificationConfiguration=told)

    def _invoke(self, function: str, event: dict[str, Any]) -> None:
        answer = self._account.client("lambda").invoke(
            FunctionName=f"{function}-lambda", Payload=json.dumps(event).encode()
        )
        said = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            self._check()
            raise Denied(said)
        self._check()

    def _make_due(self, *job_ids: str, **changes: Any) -> None:
        """Let time pass for these jobs."""
        db, table = self._account.client("dynamodb"), self._stack.outputs["JobsTableName"]
        for job_id in job_ids:
            item = db.get_item(TableName=table, Key={"jobId": {"S": job_id}})["Item"]
            doc = json.loads(item["doc"]["S"]) | {"due_at": 1.0} | changes
            item |= {"doc": {"S": json.dumps(doc)}, "dueAt": {"N": "1"}}
            item.setdefault("dueShard", {"N": "0"})
            db.put_item(TableName=table, Item=item)

    def _cut_short(self, http: httpx.Client) -> None:
        """A job whose recipe is gone: its attempt fails for a reason inside, and what it left is removed."""
        made = self._ask(http, "POST", "/uploads")
        db, table = self._account.client("dynamodb"), self._stack.outputs["JobsTableName"]
        item = db.get_item(TableName=table, Key={"jobId": {"S": made["jobId"]}})["Item"]
        doc = json.loads(item["doc"]["S"])
        doc["recipe"]["digest"] = "unknown"
        db.put_item(TableName=table, Item=item | {"doc": {"S": json.dumps(doc)}})
        self._put(made)
        self._logged("attempt failed", made["jobId"])
        time.sleep(0.5)
        self._check()
        self._ask(http, "DELETE", f"/jobs/{made['jobId']}")

    def _nothing_left(self, job_id: str) -> None:
        """Every version of everything of the job goes, and unfinished uploads too."""
        s3, end, left = self._account.client("s3"), time.monotonic() + 15, []
        while time.monotonic() < end:
            left = [
                *s3.list_object_versions(Bucket=self._uploads, Prefix=f"uploads/{job_id}/").get(
                    "Versions", ()
                ),
                *s3.list_multipart_uploads(Bucket=self._uploads, Prefix=f"uploads/{job_id}/").get(
                    "Uploads", ()
                ),
                *s3.list_object_versions(Bucket=self._processed, Prefix=f"processed/uploads/{job_id}/").get(
                    "Versions", ()
                ),
            ]
            if not left:
                return
            self._check()
            time.sleep(0.2)
        raise Denied(f"{len(left)} things are left")

    # --- the logs ---

    def _begin(self) -> None:
        self._since = time.time_ns() // 1_000_000

    def _end(self) -> None:
        time.sleep(0.3)
        self._check()

    def _lines(self) -> Iterator[str]:
        logs = self._account.client("logs")
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
            found = logs.filter_log_events(logGroupName=group["logGroupName"], startTime=self._since)
            yield from (event["message"] for event in found["events"])

    def _check(self) -> None:
        for line in self._lines():
            if "is not allowed" in line or "AccessDenied" in line:
                raise Denied(line)

    def _logged(self, message: str, job_id: str) -> None:
        end = time.monotonic() + 15
        while time.monotonic() < end:
            if any(f'"message":"{message}"' in line and job_id in line for line in self._lines()):
                return
            self._check()
            time.sleep(0.2)
        raise AssertionError(f"nobody logged {message!r}")


def _created(bucket: str, key: str, version: str) -> dict[str, Any]:
    about = {"key": re.sub(" ", "+", key), "versionId": version, "size": 1}
    return {
        "Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": about}}]
    }


def _message(body: str) -> dict[str, Any]:
    return {
        "messageId": "m1",
        "receiptHandle": "stale",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
    }
