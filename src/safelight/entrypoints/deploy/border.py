"""What AWS says, in one sentence that the operator can act on. Everything here ends as ConfigurationError."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore import exceptions as aws

from safelight.errors import ConfigurationError

EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
UNKNOWN: Final = frozenset(
    {
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "IncompleteSignature",
        "AuthFailure",
    }
)
FORBIDDEN: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedOperation",
        "Forbidden",
    }
)
QUOTA: Final = frozenset(
    {
        "LimitExceeded",
        "LimitExceededException",
        "ServiceQuotaExceededException",
        "TooManyBuckets",
        "QuotaExceeded",
    }
)
ABSENT: Final = frozenset({"404", "NoSuchBucket", "NotFound", "ResourceNotFoundException", "NoSuchTagSet"})

_QUOTA_SAID: Final = re.compile(r"quota|limit|too many|below its minimum value", re.IGNORECASE)
_TAKEN_SAID: Final = re.compile(r"already exists|AlreadyExists|is not available|already own", re.IGNORECASE)


@contextmanager
def spoken() -> Iterator[None]:
    """Say in words what AWS refuses in the block. Raise ConfigurationError."""
    try:
        yield
    except aws.ClientError as error:
        raise ConfigurationError(_refusal(error)) from error
    except (aws.TokenRetrievalError, aws.SSOError, aws.CredentialRetrievalError) as error:
        raise ConfigurationError("Your AWS session has ended; sign in again (aws sso login).") from error
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        raise ConfigurationError(
            "There are no AWS credentials; sign in (aws sso login), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY."
        ) from error
    except aws.ProfileNotFound as error:
        raise ConfigurationError(f"{error}; `aws configure list-profiles` lists those there are.") from error
    except (aws.NoRegionError, aws.InvalidRegionError) as error:
        raise ConfigurationError("Which region? Give --region, or set AWS_REGION.") from error
    except (
        aws.EndpointConnectionError,
        aws.ConnectTimeoutError,
        aws.ReadTimeoutError,
        aws.HTTPClientError,
    ) as error:
        where = error.kwargs.get("endpoint_url", "its address")
        raise ConfigurationError(
            f"AWS does not answer at {where}; look at the spelling of the region and at the network."
        ) from error
    except aws.BotoCoreError as error:
        raise ConfigurationError(f"AWS can not be called: {error}") from error


def code_of(error: aws.ClientError) -> str:
    """The error code of an answer."""
    return str(error.response.get("Error", {}).get("Code", ""))


def absent(error: aws.ClientError) -> bool:
    """Whether the answer is that there is no such thing."""
    code = code_of(error)
    return code in ABSENT or "NonExistent" in code or "does not exist" in _message(error)


def advice(reason: str) -> str | None:
    """What helps if CloudFormation can not make something for this reason, or None."""
    if _TAKEN_SAID.search(reason):
        return "choose another --parameter AppName=…"
    if _QUOTA_SAID.search(reason):
        return "ask AWS to raise that quota, or ask for less"
    return None


def _message(error: aws.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", "")).strip().rstrip(".")


def _refusal(error: aws.ClientError) -> str:
    code, message, call = code_of(error), _message(error), error.operation_name
    if code in EXPIRED:
        return "Your AWS session has expired; sign in again (aws sso login) and repeat the command."
    if code in UNKNOWN:
        return (
            "AWS does not know these credentials; look at AWS_PROFILE, at the region (the account may not have it "
            "enabled), or sign in again."
        )
    if code in FORBIDDEN:
        return f"These credentials may not call {call}; ask for that permission, or use others (AWS_PROFILE)."
    if code in QUOTA:
        return f"A quota of your account is used up ({call}: {message}); ask AWS to raise it, or make room."
    if code in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
        return "The name of a bucket is taken; choose another with --parameter AppName=…"
    return f"AWS refused {call}: {message or code}."
