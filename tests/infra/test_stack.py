"""A stack's life on the emulator: deployed, changed, beside another, destroyed, half made."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.hostile.mutants import heic
from tests.journeys.serving import client, decoded, image, submit, until, wait
from tests.support import servers
from tests.support.stack import ARCHITECTURE, Emulated, Stack, deployed, runtime

from safelight.entrypoints.cli.deploy import Terminal
from safelight.entrypoints.deploy import deployment, material
from safelight.entrypoints.deploy.account import STACK_TAG, Account, Names
from safelight.entrypoints.deploy.stack import Change, Progress, StackFailed

pytestmark = pytest.mark.timeout(300)


def test_a_picture_goes_through_the_real_stack(deployed_stack: Stack) -> None:
    """Upload, wait, download: functions from the zip, events, queue and roles as the template has them."""
    with client(deployed_stack.api) as http:
        job = wait(http, submit(http, image(size=(640, 480)), filename="beach ü + (1).jpg"), within=60)
        assert job["status"] == "COMPLETED", job
        answer = httpx.get(job["downloadUrl"], trust_env=False)
        assert decoded(answer.content).size == (640, 480)


def test_the_first_contracts_names(deployed_stack: Stack) -> None:
    """The default AppName gives the names of the first contract."""
    account = deployed_stack.account
    functions = {each["FunctionName"] for each in account.client("lambda").list_functions()["Functions"]}
    assert {
        "request-upload-lambda",
        "get-job-status-lambda",
        "dispatcher-lambda",
        "worker-lambda",
    } <= functions
    queues = {url.rpartition("/")[2] for url in account.client("sqs").list_queues()["QueueUrls"]}
    assert {"media-processing-queue", "media-processing-dlq"} <= queues
    assert "media-processing-jobs" in account.client("dynamodb").list_tables()["TableNames"]
    assert [each["Name"] for each in account.client("apigatewayv2").get_apis()["Items"]] == [
        "media-processing-api"
    ]


def test_every_line_of_the_log_names_the_job_and_no_line_a_secret(deployed_stack: Stack) -> None:
    """What a function does is logged under the job's id; headers and signed URLs are not."""
    with client(deployed_stack.api) as http:
        http.headers["Authorization"] = "Bearer very-secret"
        job_id = submit(http, image())
        wait(http, job_id, within=60)

    def told() -> set[str]:
        ours = [line for line in logged(deployed_stack.account) if job_id in line]
        return {found[1] for line in ours if (found := _MESSAGE.search(line))}

    until(lambda: told() >= {"answered", "dispatched", "completed"})
    lines = logged(deployed_stack.account)
    assert not [line for line in lines if re.search("very-secret|X-Amz-Signature|X-Amz-Security-Token", line)]


_MESSAGE = re.compile(r'"message":"([^"]*)"')


def test_status_says_how_it_is_doing(deployed_stack: Stack) -> None:
    """`safelight status` shows the API, the queue and the alarms."""
    done = deployed_stack.account.run("status", "--stack", deployed_stack.name, "--json")
    assert done.json["status"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), done.told
    assert done.json["outputs"] == deployed_stack.outputs
    assert done.json["queue"].keys() == {"waiting", "inFlight", "dead"}
    assert done.code == (0 if done.json["well"] else 1)


def test_a_second_deploy_changes_nothing(deployed_stack: Stack) -> None:
    """Deploying the same again is told as such, and what was given before is kept."""
    done = deployed_stack.account.run("deploy", "--stack", deployed_stack.name, "--yes", "--json")
    assert (done.code, done.json["outputs"]) == (0, deployed_stack.outputs), done.told


@pytest.mark.long
def test_two_stacks_live_side_by_side(deployed_stack: Stack) -> None:
    """Another AppName is another Safelight; destroying it leaves the first alone."""
    account = deployed_stack.account
    made = account.deploy("second", AppName="photos")
    assert made.code == 0, made.told
    assert made.json["outputs"]["JobsTableName"] == "photos-jobs"
    gone = account.destroy("second")
    assert (gone.code, gone.json["left"]) == (0, []), gone.told
    with client(deployed_stack.api) as http:
        assert http.get("/health").status_code == 200


def test_a_name_that_is_taken_is_refused(deployed_stack: Stack) -> None:
    """A second stack under the first one's AppName is refused before anything is made."""
    done = deployed_stack.account.deploy("third")
    assert done.code == 3
    assert "belongs to the stack safelight" in done.told
    assert deployed_stack.account.run("status", "--stack", "third").code == 3


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (["--parameter", "WorkerMemory=1"], {}, "Expected one of 2048, 3008"),
        (["--parameter", "MaxBytes=0"], {}, "Expected a whole number from 1 to 500000000"),
        (["--parameter", "Nonsense=1"], {}, "There is no parameter Nonsense"),
        (["--parameter", "RetentionDays"], {}, "Expected NAME=VALUE"),
        (["--region", "nowhere"], {}, "'nowhere' is no region"),
        ([], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "AWS does not answer at http://127.0.0.1:9"),
        ([], {"AWS_PROFILE": "nobody"}, "nobody"),
        ([], {"AWS_ACCESS_KEY_ID": "unknown"}, "AWS does not know these credentials"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_3(
    account: Emulated, words: list[str], environment: dict[str, str], sentence: str
) -> None:
    """What can not be done is said in one line with the next step, before anything is made."""
    done = account.run("deploy", "--stack", "fourth", "--yes", *words, **environment)
    assert (done.code, done.said) == (3, ""), done.told
    assert sentence in done.told
    assert done.told.count("\n") == 1


def test_without_an_answer_nothing_is_changed(empty_account: Emulated) -> None:
    """Where nobody can say yes, the change set is shown and discarded, and nothing is left of it."""
    done = empty_account.run("deploy", "--stack", "shy")
    assert done.code == 1
    assert "UploadsBucket" in done.told
    assert inventory(empty_account) == []


def test_from_nothing_to_nothing_twice(empty_account: Emulated) -> None:
    """Destroying empties full buckets, leaves nothing, and may be repeated."""
    made = empty_account.deploy("brief")
    assert made.code == 0, made.told
    s3, bucket = empty_account.client("s3"), made.json["outputs"]["UploadsBucketName"]
    empty_account.allow_http(bucket)
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="uploads/x/ü + b.jpg", Body=body)
    s3.delete_object(Bucket=bucket, Key="uploads/x/ü + b.jpg")
    s3.create_multipart_upload(Bucket=bucket, Key="uploads/y/unfinished.jpg")
    dispatched(empty_account, 2)
    for _ in range(2):
        gone = empty_account.destroy("brief")
        assert (gone.code, gone.json["left"]) == (0, []), gone.told
    assert inventory(empty_account) == []


@pytest.mark.long
def test_kept_data_is_taken_in_again(empty_account: Emulated) -> None:
    """`destroy --keep-data` leaves buckets and tables, and the next deploy has everything in them."""
    made = empty_account.deploy("first")
    assert made.code == 0, made.told
    bucket = made.json["outputs"]["UploadsBucketName"]
    empty_account.allow_http(bucket)
    empty_account.client("s3").put_object(Bucket=bucket, Key="uploads/x/kept.jpg", Body=b"kept")
    dispatched(empty_account, 1)
    for name in (bucket, made.json["outputs"]["ProcessedBucketName"]):
        # The emulator forgets the tags that the template gives to buckets.
        tags = {"TagSet": [{"Key": STACK_TAG, "Value": "first"}]}
        empty_account.client("s3").put_bucket_tagging(Bucket=name, Tagging=tags)
    gone = empty_account.destroy("first", "--keep-data")
    assert (gone.code, gone.json["left"]) == (0, []), gone.told
    again = empty_account.deploy("again")
    assert again.code == 0, again.told
    empty_account.allow_http(bucket)
    answer = empty_account.client("s3").get_object(Bucket=bucket, Key="uploads/x/kept.jpg")
    assert answer["Body"].read() == b"kept"
    assert empty_account.destroy("again").json["left"] == []


def test_a_failed_creation_leaves_nothing(
    empty_account: Emulated,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """If one resource can not be made, all others go again, and the reason is told."""
    impossible = """
  Impossible:
    Type: AWS::CloudWatch::Alarm
    DependsOn: [WorkerFunction, JobsTable, UploadsBucket]
    Properties: {Metrics: [{Id: a, Expression: '1'}], ComparisonOperator: GreaterThanThreshold, EvaluationPeriods: 1}

Outputs:
"""
    template = tmp_path / "template.yaml"
    template.write_text(material.template().read_text().replace("\nOutputs:\n", impossible))
    monkeypatch.setattr(material, "template", lambda: template)
    for name, value in {**servers.CREDENTIALS, "AWS_ENDPOINT_URL": empty_account.endpoint}.items():
        monkeypatch.setenv(name, value)
    given = {"Runtime": runtime(), "Architecture": ARCHITECTURE}
    with pytest.raises(StackFailed):
        deployment.deploy(Account(servers.REGION), "unlucky", given, Terminal(yes=True))
    told = capsys.readouterr().err
    assert "✓ UploadsBucket" in told
    assert "✗ Impossible" in told
    assert inventory(empty_account) == []


@pytest.mark.parametrize("when", ["asked", pytest.param("made", marks=pytest.mark.long)])
def test_ctrl_c_leaves_nothing_running(
    empty_account: Emulated, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Whoever changes their mind at the question finds nothing left; while resources are made, at most empty data."""

    class Impatient(Terminal):
        def agrees_to(self, changes: list[Change]) -> bool:
            if when == "asked":
                raise KeyboardInterrupt
            return super().agrees_to(changes)

        def tell(self, progress: Progress) -> None:
            if progress.status == "CREATE_COMPLETE":
                raise KeyboardInterrupt

    for name, value in {**servers.CREDENTIALS, "AWS_ENDPOINT_URL": empty_account.endpoint}.items():
        monkeypatch.setenv(name, value)
    given = {"Runtime": runtime(), "Architecture": ARCHITECTURE}
    with pytest.raises(KeyboardInterrupt):
        deployment.deploy(Account(servers.REGION), "regretted", given, Impatient(yes=True))
    names = Names("media-processing", "000000000000", servers.REGION)
    data = {*names.data_buckets, *names.tables} if when == "made" else set()
    assert set(inventory(empty_account)) <= data


def test_a_bucket_that_is_not_ours_is_not_taken_in(empty_account: Emulated) -> None:
    """A bucket of that name that nobody of ours has made is left alone, and the sentence says what to do."""
    where = {"LocationConstraint": servers.REGION}
    empty_account.client("s3").create_bucket(Bucket=_uploads_bucket(), CreateBucketConfiguration=where)
    done = empty_account.deploy("greedy")
    assert (done.code, done.said) == (3, ""), done.told
    assert "is there and is not Safelight's; choose another --parameter AppName=" in done.told
    assert inventory(empty_account) == [_uploads_bucket()]


def test_a_half_made_stack_can_be_destroyed(empty_account: Emulated) -> None:
    """A stack of ours that stopped half-way and was not rolled back is removed like any other."""
    # The emulator makes no alarms on expressions.
    broken = {"Metrics": [{"Id": "a", "Expression": "1"}], "ComparisonOperator": "GreaterThanThreshold"}
    alarm = {"Type": "AWS::CloudWatch::Alarm", "DependsOn": "UploadsBucket", "Properties": broken}
    names = {"AppName": {"Type": "String", "Default": "media-processing"}}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "Properties": {"BucketName": _uploads_bucket()},
    }
    template = {"Parameters": names, "Resources": {"UploadsBucket": bucket, "Broken": alarm}}
    formation = empty_account.client("cloudformation")
    formation.create_stack(StackName="half", TemplateBody=json.dumps(template), OnFailure="DO_NOTHING")
    until(lambda: formation.describe_stacks()["Stacks"][0]["StackStatus"] == "CREATE_FAILED")
    gone = empty_account.destroy("half")
    assert (gone.code, gone.json["left"]) == (0, []), gone.told
    assert inventory(empty_account) == []


@pytest.mark.parametrize("command", ["deploy", "destroy"])
def test_what_is_not_ours_is_left_alone(empty_account: Emulated, command: str) -> None:
    """A stack of that name which is somebody else's is neither changed nor removed."""
    template = json.dumps({"Resources": {"Theirs": {"Type": "AWS::SQS::Queue"}}})
    empty_account.client("cloudformation").create_stack(StackName="theirs", TemplateBody=template)
    before = until(lambda: inventory(empty_account))
    done = empty_account.run(command, "--stack", "theirs", "--yes")
    assert (done.code, inventory(empty_account)) == (3, before)
    assert "is not Safelight's" in done.told


def test_a_slip_of_the_pen_destroys_nothing(deployed_stack: Stack) -> None:
    """`destroy` with the name of no stack does not take that for the default one."""
    done = deployed_stack.account.destroy("saveligth")
    assert done.code == 3
    assert "belongs to safelight" in done.told
    with client(deployed_stack.api) as http:
        assert http.get("/health").status_code == 200


@pytest.mark.long
def test_workers_as_processes_take_the_functions_place(empty_account: Emulated) -> None:
    """Workers=process leaves the queue alone until a `safelight worker` comes, which finds it by the stack's name. It
    may let in more than the functions do: HEIC, whose decoder is not in their zip."""
    with deployed(empty_account, "own", Workers="process") as stack, client(stack.api) as http:
        job_id = submit(http, image())
        until(lambda: http.get(f"/jobs/{job_id}").json()["stage"] == "queued", within=30)
        time.sleep(3)
        assert http.get(f"/jobs/{job_id}").json()["stage"] == "queued"
        worker = empty_account.start("worker", "--stack", "own", SAFELIGHT_FORMATS="jpeg,heic")
        try:
            assert wait(http, job_id, within=60)["status"] == "COMPLETED"
            job = wait(http, submit(http, heic(decoded(image())), filename="photo.HEIC"), within=60)
            assert (job["status"], job["source"]["contentType"]) == ("COMPLETED", "image/heic")
            [output] = job["outputs"]
            assert (output["contentType"], output["width"], output["height"]) == ("image/jpeg", 320, 240)
        finally:
            worker.terminate()
            code = worker.wait(30)
        assert code == 0


def _uploads_bucket() -> str:
    return Names("media-processing", "000000000000", servers.REGION).bucket("uploads")


def logged(account: Emulated) -> list[str]:
    """Every line of every log."""
    logs = account.client("logs")
    groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    return [
        event["message"]
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    ]


def dispatched(account: Emulated, count: int) -> None:
    """Wait until the dispatcher has looked at so many objects of nobody's.

    The emulator lets a function run on when it is deleted, and makes its log group anew when it ends. AWS does not.
    """
    until(lambda: sum('"message":"no such job"' in line for line in logged(account)) >= count, within=60)


def at_the_edge(account: Emulated) -> list[str]:
    """What CloudFront has."""
    client = account.client("cloudfront")
    found = [
        *client.list_distributions()["DistributionList"].get("Items", ()),
        *client.list_origin_access_controls()["OriginAccessControlList"].get("Items", ()),
        *client.list_response_headers_policies(Type="custom")["ResponseHeadersPolicyList"].get("Items", ()),
        *client.list_cache_policies(Type="custom")["CachePolicyList"].get("Items", ()),
    ]
    return [str(each) for each in found]


def inventory(account: Emulated) -> list[str]:
    """Everything that there is in the account, by name."""

    def every(service: str, call: str, key: str, name: str | None) -> list[str]:
        found: list[Any] = getattr(account.client(service), call)().get(key, [])
        return [str(each[name] if name else each).rpartition("/")[2] for each in found]

    return [
        *every("s3", "list_buckets", "Buckets", "Name"),
        *every("dynamodb", "list_tables", "TableNames", None),
        *every("sqs", "list_queues", "QueueUrls", None),
        *every("lambda", "list_functions", "Functions", "FunctionName"),
        *every("logs", "describe_log_groups", "logGroups", "logGroupName"),
        *every("iam", "list_roles", "Roles", "RoleName"),
        *every("apigatewayv2", "get_apis", "Items", "Name"),
        *every("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        *every("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        *every("sns", "list_topics", "Topics", "TopicArn"),
        *every("events", "list_rules", "Rules", "Name"),
        *at_the_edge(account),
    ]
