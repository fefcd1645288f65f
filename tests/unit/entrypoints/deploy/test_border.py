"""What goes wrong between the operator and AWS is one sentence that says what to do next."""

import pytest
from botocore import exceptions as aws

from safelight.entrypoints.deploy.border import advice, spoken
from safelight.entrypoints.deploy.stack import Progress, StackFailed, _failure
from safelight.errors import ConfigurationError


def refused(code: str, message: str = "Because.") -> aws.ClientError:
    """An answer of AWS."""
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, "CreateBucket")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (aws.NoCredentialsError(), "There are no AWS credentials; sign in"),
        (aws.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), "There are no AWS cred"),
        (aws.UnauthorizedSSOTokenError(), "Your AWS session has ended; sign in again"),
        (aws.TokenRetrievalError(provider="sso", error_msg="x"), "Your AWS session has ended; sign in again"),
        (refused("ExpiredToken"), "Your AWS session has expired; sign in again"),
        (refused("ExpiredTokenException"), "Your AWS session has expired; sign in again"),
        (refused("InvalidClientTokenId"), "the account may not have it enabled"),
        (refused("AccessDenied"), "These credentials may not call CreateBucket; ask for that permission"),
        (refused("TooManyBuckets", "You have 100."), "A quota of your account is used up (CreateBucket: You have 100)"),
        (refused("LimitExceededException"), "ask AWS to raise it"),
        (refused("BucketAlreadyExists"), "The name of a bucket is taken; choose another with --parameter"),
        (refused("Strange", "It is Monday."), "AWS refused CreateBucket: It is Monday."),
        (aws.ProfileNotFound(profile="nobody"), "(nobody) could not be found; `aws configure list-profiles`"),
        (aws.NoRegionError(), "Which region? Give --region"),
        (aws.EndpointConnectionError(endpoint_url="https://sts.eu-nowhere-1"), "at https://sts.eu-nowhere-1; look"),
        (aws.ReadTimeoutError(endpoint_url="https://sts"), "AWS does not answer at https://sts"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_whatever_happens_is_one_sentence(error: Exception, sentence: str) -> None:
    """No name of an exception, no second line, and the next step."""
    with pytest.raises(ConfigurationError) as caught, spoken():
        raise error
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message
    assert type(error).__name__ not in caught.value.message


@pytest.mark.parametrize(
    ("reason", "help_"),
    [
        ("worker-lambda already exists in stack arn:aws:cloudformation:eu-central-1:1:stack/other/x", "AppName"),
        ("Resource of type 'AWS::Logs::LogGroup' with identifier 'x' already exists.", "AppName"),
        ("The requested bucket name is not available.", "AppName"),
        ("Reserved… decreases account's UnreservedConcurrentExecution below its minimum value of [10].", "quota"),
        ("The maximum number of VPCs has been reached. (VpcLimitExceeded)", "quota"),
    ],
)  # fmt: skip
def test_a_resource_that_can_not_be_made_because_of_the_account(reason: str, help_: str) -> None:
    """A name that is taken and a quota that is reached are the operator's to mend, and are told so."""
    told = _failure([failed("WorkerFunction", reason), failed("Queue", "Resource creation cancelled")])
    assert isinstance(told, ConfigurationError)
    assert told.message.startswith("WorkerFunction could not be made or changed: ")
    assert help_ in told.message
    assert told.message.endswith("Everything is as it was before.")


def test_a_resource_that_can_not_be_made_for_another_reason() -> None:
    """The first reason is told; what came after it was only called off."""
    told = _failure([failed("Api", "Internal\nfailure."), failed("Queue", "Resource creation cancelled")])
    assert isinstance(told, StackFailed)
    assert told.message == (
        "Api could not be made or changed: Internal failure. Everything is as it was before."
    )
    assert advice("Internal failure.") is None


def failed(resource: str, reason: str) -> Progress:
    """What CloudFormation says of it."""
    return Progress(resource, "AWS::Any::Thing", "CREATE_FAILED", reason)
