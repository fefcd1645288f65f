"""The border to AWS: one client of each service, and vendor errors translated in one place.

Clients are botocore's, the core of boto3: what boto3 puts on top is not used here, so no function has to load it.
Credentials are found as every AWS tool finds them. `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` lead to
compatible services.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from safelight.errors import InvalidRequest, SafelightError, StorageUnavailable

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = {"dynamodb": 5, "s3": 30, "sqs": 10, "sns": 5}
"""How long one try may wait for an answer. The queue's long polls stay below (`sqs.POLL_SECONDS`)."""

_NO_ACCESS: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class Clients:
    """This process's clients, each made when it is first used: a function pays only for the services it calls.

    Adaptive retries (five tries, slower when AWS asks for it), short timeouts, kept-alive connections. Clients may be
    used by any number of threads.
    """

    def __init__(self, region: str = "") -> None:
        self._region = region or None
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def get(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._clients:
            with self._lock:
                if service not in self._clients:
                    self._clients[service] = self._make(service)
        return self._clients[service]

    def credentials(self) -> Any:
        """The credentials that the clients sign with, as they are now."""
        with border("credentials"):
            found = self._open_session().get_credentials()
        if found is None:
            raise StorageUnavailable("There are no AWS credentials.")
        return found.get_frozen_credentials()

    def made(self) -> frozenset[str]:
        """The services that were used so far."""
        return frozenset(self._clients)

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()

    def _open_session(self) -> Any:
        if self._session is None:
            self._session = botocore.session.get_session()
        return self._session

    def _make(self, service: str) -> Any:
        options: dict[str, Any] = {}
        if service == "s3":
            # What makes presigned URLs right everywhere: the defaults sign with Version 2 in us-east-1 and with the
            # global host elsewhere, which answers with a redirect that no browser follows for a PUT. And no checksum
            # that a bare client would not send.
            options = {
                "signature_version": "s3v4",
                "s3": {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            }
        session = self._open_session()
        config = Config(
            # Its own, said once: left to itself botocore puts a longer one together twice for every request.
            user_agent=session.user_agent(),
            # The other services are sent all parameters in the body and check them themselves. S3's make the address:
            # without its upload id, the abort of an upload is the DELETE of its object.
            parameter_validation=service == "s3",
            retries={"mode": "adaptive", "total_max_attempts": 5},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS[service],
            tcp_keepalive=True,
            max_pool_connections=32,
            **options,
        )
        with border(service):
            return session.create_client(service, region_name=self._region, config=config)


@contextmanager
def border(what: str, expected: Mapping[str, type[SafelightError]] | None = None) -> Iterator[None]:
    """Translate what AWS says: a code in `expected` becomes that error, everything else StorageUnavailable.

    The message names the call and the code for the operator's log; clients of the API see neither.
    """
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if expected and code in expected:
            raise expected[code] from error
        if code in _NO_ACCESS:
            log.error("%s is not allowed (%s): the credentials or their policy need mending", what, code)
        raise StorageUnavailable(f"Storage did not answer as expected ({what}: {code}).") from error
    except BotoCoreError as error:
        raise StorageUnavailable(f"Storage did not answer ({what}: {type(error).__name__}).") from error
    except UnicodeError:
        raise InvalidRequest("The text holds characters that are not valid Unicode.") from None


def code_of(error: ClientError) -> str:
    """The error code of an answer, without the name of the service that SQS puts before some."""
    return str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
