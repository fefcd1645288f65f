"""What the emulator does not do or does not keep: the template itself says it."""

import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute
from tests.support import pages
from tests.unit.pipeline import Pipeline

from safelight import shelf
from safelight.entrypoints.api import create_app
from safelight.entrypoints.deploy.parameters import parse
from safelight.errors import ConfigurationError
from safelight.entrypoints.api.auth import needed
from safelight.entrypoints.deploy import artifact, material
from safelight.entrypoints.deploy.account import FUNCTIONS, Names
from safelight.keys import PARTITION

TEMPLATE: dict[str, Any] = material.load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Resources of a type, by name."""
    return {name: one for name, one in RESOURCES.items() if one["Type"] == kind}


def properties(name: str) -> dict[str, Any]:
    """What a resource is made with."""
    made: dict[str, Any] = RESOURCES[name]["Properties"]
    return made


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy of a role, with the resource that has it."""
    for name, one in RESOURCES.items():
        documents = [policy["PolicyDocument"] for policy in one.get("Properties", {}).get("Policies", ())]
        if one["Type"] == "AWS::IAM::ManagedPolicy":
            documents.append(one["Properties"]["PolicyDocument"])
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement


def many(value: Any) -> list[Any]:
    """One or several, as a list."""
    return value if isinstance(value, list) else [value]


each_bucket = pytest.mark.parametrize("name", ["UploadsBucket", "ProcessedBucket"])
each_function = pytest.mark.parametrize("name", list(of_type("AWS::Serverless::Function")))


def test_no_aliases_of_yaml() -> None:
    """CloudFormation reads no YAML aliases; a client that resolves them hides that."""
    import yaml

    tokens = yaml.scan(material.template().read_text(encoding="utf-8"))
    assert not [token for token in tokens if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]


# --- files ---


@each_bucket
def test_buckets_are_private_and_encrypted(name: str) -> None:
    """No public access in any of four ways, no ACLs, encryption at rest."""
    made = properties(name)
    assert set(made["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(made["PublicAccessBlockConfiguration"]) == 4
    assert made["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (rule,) = made["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    with_key, without = rule["Fn::If"][1:]
    assert with_key["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert without["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


@each_bucket
def test_buckets_answer_over_tls_only(name: str) -> None:
    """Every action without TLS is denied, on the bucket and on what is in it."""
    statement, *allowing = properties(f"{name}Policy")["PolicyDocument"]["Statement"]
    assert not [each for each in allowing if "Deny" in json.dumps(each)]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]


@each_bucket
def test_nothing_stays_in_a_bucket_for_ever(name: str) -> None:
    """Unfinished uploads, old files, old versions and their markers all have an end."""
    rules = {rule["Id"]: rule for rule in properties(name)["LifecycleConfiguration"]["Rules"] if "Id" in rule}
    assert all(rule["Status"] == "Enabled" for rule in rules.values())
    assert rules["unfinished-multiparts"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    (old,) = (rule for id_, rule in rules.items() if id_.startswith("old-"))
    assert old["ExpirationInDays"] == {"Ref": "RetentionDays"}
    assert "NoncurrentDays" in old["NoncurrentVersionExpiration"]
    assert rules["markers"]["ExpiredObjectDeleteMarker"] is True
    assert properties(name)["VersioningConfiguration"] == {"Status": "Enabled"}


def test_browsers_may_upload_and_download() -> None:
    """The buckets' CORS takes what the links are signed for, from the origins that the operator names."""
    (uploads,) = properties("UploadsBucket")["CorsConfiguration"]["CorsRules"]
    (processed,) = properties("ProcessedBucket")["CorsConfiguration"]["CorsRules"]
    assert uploads["AllowedMethods"] == ["PUT", "POST"]
    assert processed["AllowedMethods"] == ["GET", "HEAD"]
    assert uploads["AllowedOrigins"] == processed["AllowedOrigins"]
    condition, _with_console, otherwise = uploads["AllowedOrigins"]["Fn::If"]
    assert (condition, otherwise) == ("HasConsoleOrigin", {"Ref": "CorsOrigins"})


@pytest.mark.parametrize("name", ["UploadsBucket", "ProcessedBucket", "JobsTable", "RecordsTable"])
def test_data_outlives_the_stack(name: str) -> None:
    """Deleting or replacing takes no data along; only a failed creation takes back what it has just made."""
    assert RESOURCES[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


# --- tables and queues ---


def test_tables_are_those_of_the_code() -> None:
    """Keys, indexes and stream are what the backend says that it needs."""
    from safelight.backends.aws.tables import jobs_table, records_table

    for name, code in (("JobsTable", jobs_table("x")), ("RecordsTable", records_table("x"))):
        made = properties(name)
        for what in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"):
            assert made.get(what) == code.get(what), (name, what)
    assert properties("JobsTable")["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.parametrize("name", ["JobsTable", "RecordsTable"])
def test_tables_can_be_restored_and_forget(name: str) -> None:
    """Point-in-time recovery is on, and so is TTL on the attribute that the code writes."""
    from safelight.backends.aws.tables import EXPIRES

    made = properties(name)
    assert made["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert made["TimeToLiveSpecification"] == {"AttributeName": EXPIRES, "Enabled": True}


def test_the_queue_gives_workers_time_and_gives_up_at_last() -> None:
    """Visibility is six times the worker's timeout; after five receives a message is a dead letter, kept for longer."""
    queue, dead = properties("Queue"), properties("DeadLetterQueue")
    assert queue["VisibilityTimeout"] == 6 * properties("WorkerFunction")["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert queue["SqsManagedSseEnabled"]["Fn::If"][2] is dead["SqsManagedSseEnabled"]["Fn::If"][2] is True


# --- functions ---


@each_function
def test_every_function_has_a_role_and_a_log_of_its_own(name: str) -> None:
    """One role and one log group each, and logs have an end."""
    made, part = properties(name), name.removesuffix("Function")
    assert made["Role"] == {"Fn::GetAtt": [f"{part}Role", "Arn"]}
    assert made["LoggingConfig"] == {"LogGroup": {"Ref": f"{part}Logs"}}
    assert properties(f"{part}Logs")["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@each_function
def test_every_handler_is_there(name: str) -> None:
    """The template names functions that the code has."""
    module, _, function = properties(name)["Handler"].partition(".")
    assert f"{module}.py" == artifact.START
    assert callable(importlib.import_module(f"safelight.entrypoints.lambdas.{function}").handler)


def test_what_fails_for_good_is_kept() -> None:
    """Events that the dispatcher or the notifier gave up on go to the dead letters; a sweep is repeated anyway."""
    dead = {"Type": "SQS", "Destination": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}
    assert properties("DispatcherFunction")["EventInvokeConfig"]["DestinationConfig"]["OnFailure"] == dead
    stream = properties("NotifierFunction")["Events"]["JobChanged"]["Properties"]
    assert stream["DestinationConfig"]["OnFailure"] == dead
    assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_worker_reports_each_message_and_is_bounded() -> None:
    """A failed message comes again by itself, and no flood starts more workers than the operator allows."""
    source = properties("WorkerFunction")["Events"]["Message"]["Properties"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"]["MaximumConcurrency"]["Fn::FindInMap"][1] == {"Ref": "MaxWorkers"}
    assert source["BatchSize"] == 1
    numbers = {name: each["Number"] for name, each in TEMPLATE["Mappings"]["MaxWorkers"].items()}
    assert [(str(n), n) for n in TEMPLATE["Parameters"]["MaxWorkers"]["AllowedValues"]] == list(
        numbers.items()
    )


def test_settings_of_the_functions_are_settings() -> None:
    """Every variable that the template sets is one that the code reads."""
    from safelight.config import Settings

    given = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    ours = {name.removeprefix("SAFELIGHT_").lower() for name in given if name.startswith("SAFELIGHT_")}
    assert ours <= set(Settings.__struct_fields__)


def test_the_formats_that_may_be_let_in() -> None:
    """By default those of every Safelight; TIFF besides, and not HEIC, whose decoder no artifact holds."""
    from safelight.config import FORMATS

    parameter = TEMPLATE["Parameters"]["Formats"]
    assert parameter["Default"] == ",".join(FORMATS)
    pattern = re.compile(parameter["AllowedPattern"])
    assert pattern.search(",".join((*FORMATS, "tiff")))
    assert not any(pattern.search(wrong) for wrong in ("", "jpeg,", "heic", "jpeg, png"))


def test_origins_that_functions_would_refuse_are_refused_before() -> None:
    """Each of them: a function that does not start would say it later, and less clearly."""
    for right in ("*", "https://a.example,http://localhost:3000", "https://a.example, https://b.example:8443"):
        parse([f"CorsOrigins={right}"])
    for wrong in ("a.example", "https://a.example/", "https://*.example", "https://a.example,b.example", ""):
        with pytest.raises(ConfigurationError, match="origins such as"):
            parse([f"CorsOrigins={wrong}"])
    assert parse(["WatermarkText=a\nb"]) == {"WatermarkText": "a\nb"}, "of this one any text is right"


# --- the API ---


def test_the_api_has_every_route_of_the_application() -> None:
    """What the application answers, the API passes on: reading to one function, writing to another, previews to a third."""
    app = create_app(Pipeline().service, streaming=False)
    wanted = {
        (method, route.path.replace(":str", ""))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods - {"OPTIONS"}
    }
    routes = {}
    for one in of_type("AWS::ApiGatewayV2::Route").values():
        method, path = one["Properties"]["RouteKey"].split()
        path = re.sub(r"\{(job|batch|webhook|delivery)Id\}", r"{\1_id}", path)
        routes[method, path] = one["Properties"]["Target"]["Fn::Sub"]
    assert {route for route in wanted if route[1] != "/recipes/schema.json"} == set(routes)
    for (method, path), target in routes.items():
        # To look at dead letters is to receive them.
        reads = method == "GET" and not path.startswith(("/uploads/", "/ops/dead-letters"))
        function = "GetJobStatus" if reads else "Preview" if path == "/preview" else "RequestUpload"
        assert function in target


def test_two_threads_draw_where_there_are_two_cores() -> None:
    """1,769 MB are a core: below twice that, whatever sizes are offered, a drawing has one thread."""
    sizes = [int(size) for size in TEMPLATE["Parameters"]["WorkerMemory"]["AllowedValues"]]
    condition = TEMPLATE["Conditions"]["HasTwoCores"]["Fn::Not"][0]["Fn::Or"]
    assert [each["Fn::Equals"] for each in condition] == [
        [{"Ref": "WorkerMemory"}, size] for size in sizes if size < 2 * 1769
    ]
    worker = TEMPLATE["Resources"]["WorkerFunction"]["Properties"]["Environment"]["Variables"]
    assert worker == {"SAFELIGHT_RENDER_THREADS": {"Fn::If": ["HasTwoCores", "2", "1"]}}


def test_tokens_are_asked_for_at_every_route_but_those_that_are_open() -> None:
    """With AuthMode=jwt API Gateway refuses who has no token of the issuer, wherever the application asks for a caller."""
    app = create_app(Pipeline().service, streaming=False)
    closed = {
        (method, path.replace(":str", "").replace("_id}", "Id}"))
        for path, handler in ((route.path, route.route_handler_map) for route in app.routes if isinstance(route, HTTPRoute))
        for method, (one, *_) in handler.items()
        if method != "OPTIONS" and needed(one, method) is not None
    }
    asked = {
        tuple(one["Properties"]["RouteKey"].split())
        for one in of_type("AWS::ApiGatewayV2::Route").values()
        if (
            one["Properties"].get("AuthorizationType") == {"Fn::If": ["HasTokens", "JWT", "NONE"]}
            and one["Properties"]["AuthorizerId"]["Fn::If"][:2] == ["HasTokens", {"Ref": "TokenAuthorizer"}]
        )
    }
    assert asked == {route for route in closed if route[1] != "/recipes/schema.json"}
    assert len(of_type("AWS::ApiGatewayV2::Route")) == len(asked) + 3
    assert properties("TokenAuthorizer")["JwtConfiguration"] == {
        "Issuer": {"Ref": "JwtIssuer"},
        "Audience": {"Fn::Split": [",", {"Ref": "JwtAudience"}]},
    }
    assert TEMPLATE["Conditions"]["HasTokens"] == {"Fn::Equals": [{"Ref": "AuthMode"}, "jwt"]}
    assert TEMPLATE["Rules"]["TokensHaveAnIssuer"]["RuleCondition"] == TEMPLATE["Conditions"]["HasTokens"]


def test_the_access_log_holds_no_secret() -> None:
    """It names the route, not the address, and no header."""
    fields = json.loads(properties("ApiStage")["AccessLogSettings"]["Format"])
    assert set(fields) == {
        "time",
        "requestId",
        "route",
        "status",
        "bytes",
        "milliseconds",
        "integrationError",
    }


# --- who may do what ---


def test_nobody_may_do_everything_anywhere() -> None:
    """No wildcard in an action, and `*` as a resource only where AWS knows no other."""
    for name, statement in statements():
        assert not [action for action in many(statement["Action"]) if "*" in action], name
        if "*" in many(statement["Resource"]):
            assert {action.split(":")[0] for action in many(statement["Action"])} <= {"xray", "ec2"}, name


def test_roles_are_for_functions_of_this_account() -> None:
    """Only Lambda may take a role."""
    for one in of_type("AWS::IAM::Role").values():
        (statement,) = one["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_only_who_erases_may_erase() -> None:
    """Deleting needs a reason: the API's DELETE, late uploads of deleted jobs, what an attempt left, retention, and what
    has been delivered."""
    erasing = {"dynamodb:DeleteItem", "s3:DeleteObject", "s3:DeleteObjectVersion"}
    may: dict[str, set[str]] = {}
    for name, statement in statements():
        may.setdefault(name, set()).update(erasing & set(many(statement["Action"])))
    assert {name: actions for name, actions in may.items() if actions} == {
        "RequestUploadRole": erasing,
        "DispatcherRole": erasing - {"dynamodb:DeleteItem"},
        "WorkerPolicy": erasing - {"dynamodb:DeleteItem"},
        "SweeperRole": erasing,
        "NotifierRole": {"dynamodb:DeleteItem"},
    }


def test_previews_may_touch_nobodys_data() -> None:
    """What draws strangers' files at once may read keys and named recipes, and write its log: no job, no file, no queue,
    no topic."""
    own = [statement for name, statement in statements() if name == "PreviewRole"]
    [keys, log] = own
    assert (keys["Action"], keys["Resource"]) == (
        "dynamodb:GetItem",
        {"Fn::GetAtt": ["RecordsTable", "Arn"]},
    )
    assert keys["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [PARTITION, shelf.PARTITION]}}
    assert log["Resource"] == {"Fn::GetAtt": ["PreviewLogs", "Arn"]}
    assert properties("PreviewRole")["ManagedPolicyArns"] == [{"Ref": "FunctionPolicy"}]
    shared = [statement for name, statement in statements() if name == "FunctionPolicy"]
    assert {action.split(":")[0] for each in shared for action in many(each["Action"])} == {
        "xray",
        "kms",
        "ec2",
    }


# --- what is written about it ---


def test_the_documentation_has_every_resource() -> None:
    """Whatever the template makes is in the table of docs/how-to/aws.md, and the table has nothing that is not made."""
    text = (pages.ROOT / "docs/how-to/aws.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|") and line.count("|") == 5]
    told = [re.escape(name).replace("…", r"\w+") for row in rows for name in re.findall(r"`([^`]+)`", row[2])]
    assert told
    assert [name for name in RESOURCES if not any(re.fullmatch(each, name) for each in told)] == []
    assert [each for each in told if not any(re.fullmatch(each, name) for name in RESOURCES)] == []
    alarms = len(of_type("AWS::CloudWatch::Alarm"))
    assert f"alarms, {alarms} |" in text


# --- names and alarms ---


def test_the_code_knows_every_name() -> None:
    """What `destroy` looks for is what the template makes, under the first names and under others."""
    for app in ("media-processing", "photos"):
        names = Names(app, "1", "r")
        assert sorted(names.alarms) == sorted(
            named(each, app) for each in of_type("AWS::CloudWatch::Alarm").values()
        )
        assert sorted(names.functions) == sorted(
            named(RESOURCES[n], app) for n in of_type("AWS::Serverless::Function")
        )
        assert sorted(names.log_groups) == sorted(
            named(each, app) for each in of_type("AWS::Logs::LogGroup").values()
        )
        assert sorted(names.tables) == sorted(
            named(each, app) for each in of_type("AWS::DynamoDB::Table").values()
        )
        assert sorted(names.queues) == sorted(
            named(each, app) for each in of_type("AWS::SQS::Queue").values()
        )
        assert sorted(names.topics) == sorted(
            named(each, app) for each in of_type("AWS::SNS::Topic").values()
        )
        assert sorted([*names.data_buckets, names.console_bucket]) == sorted(
            named(each, app) for each in of_type("AWS::S3::Bucket").values()
        )
        at_the_edge = {
            named(config, app)
            for each in RESOURCES.values()
            for config in [{"Properties": next(iter(each["Properties"].values()))}]
            if each["Type"].startswith("AWS::CloudFront::") and "Name" in config["Properties"]
        }
        assert set(names.at_the_edge) == at_the_edge


def named(one: dict[str, Any], app: str) -> str:
    """The name that a resource gets under an AppName."""
    keys = (
        *("AlarmName", "FunctionName", "LogGroupName", "TableName", "QueueName", "TopicName", "BucketName"),
        "Name",
    )
    (value,) = (one["Properties"][key] for key in keys if key in one["Properties"])
    if "Fn::If" in value:
        condition, first, other = value["Fn::If"]
        assert condition == "FirstNames"
        value = first if app == "media-processing" else other
    text = value if isinstance(value, str) else value["Fn::Sub"]
    known = {"${AppName}": app, "${AWS::AccountId}": "1", "${AWS::Region}": "r"}
    for name, meaning in known.items():
        text = text.replace(name, meaning)
    assert "${" not in text
    return str(text)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_alarms(function: str) -> None:
    """Errors and throttles of each function are noticed."""
    names = {named(each, "a") for each in of_type("AWS::CloudWatch::Alarm").values()}
    assert {f"a-{function}-errors", f"a-{function}-throttles"} <= names


def test_every_alarm_tells_the_topic() -> None:
    """An alarm that tells nobody is none; silence of the sweeper is one."""
    for name, one in of_type("AWS::CloudWatch::Alarm").items():
        assert one["Properties"]["AlarmActions"] == [{"Ref": "AlarmsTopic"}], name
        silent = "breaching" if name == "JobsOpenTooLongAlarm" else "notBreaching"
        assert one["Properties"]["TreatMissingData"] == silent
