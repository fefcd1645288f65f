"""Whose account and region this is, and every name that a stack has in it."""

import re
from functools import cached_property
from typing import Any, Final, NamedTuple

from safelight.entrypoints.deploy.border import spoken
from safelight.errors import ConfigurationError

FIRST_APP: Final = "media-processing"
"""The AppName whose functions have no prefix."""

FUNCTIONS: Final = (
    "request-upload",
    "get-job-status",
    "preview",
    "dispatcher",
    "worker",
    "sweeper",
    "notifier",
)

STACK_TAG: Final = "safelight:stack"
"""On everything that a deployment makes: the name of its stack."""


class Account:
    """An account in a region, as whoever is signed in may use it."""

    def __init__(self, region: str | None = None) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise ConfigurationError("AWS needs more packages: pip install 'safelight[aws]'") from None
        with spoken():
            self._session = boto3.Session(region_name=region)
        if not self._session.region_name:
            raise ConfigurationError("Which region? Give --region, or set AWS_REGION.")
        self.region: str = self._session.region_name
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", self.region):
            raise ConfigurationError(f"{self.region!r} is no region; write it as in eu-central-1.")
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            connect_timeout=5,
            read_timeout=60,
            s3={"us_east_1_regional_endpoint": "regional"},
        )
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._clients:
            with spoken():
                self._clients[service] = self._session.client(service, config=self._config)
        return self._clients[service]

    @property
    def is_aws(self) -> bool:
        """Whether this is AWS itself, and not something that stands in for it."""
        return ".amazonaws.com" in self.client("lambda").meta.endpoint_url

    @cached_property
    def id(self) -> str:
        """The account's twelve digits. The first thing that is asked: it shows whether the credentials are good."""
        with spoken():
            return str(self.client("sts").get_caller_identity()["Account"])


class Names(NamedTuple):
    """What the template calls things; `infra/template.yaml` has them in the same order."""

    app: str
    account: str
    region: str

    def bucket(self, what: str) -> str:
        """uploads, processed, console or artifacts."""
        return f"{self.app}-{what}-{self.account}-{self.region}"

    @property
    def data_buckets(self) -> list[str]:
        """Originals and results."""
        return [self.bucket("uploads"), self.bucket("processed")]

    @property
    def console_bucket(self) -> str:
        """The console's pages, which are no data: `deploy` can put them there anew."""
        return self.bucket("console")

    @property
    def at_the_edge(self) -> list[str]:
        """What CloudFront knows by a name: access to the buckets, headers and caching."""
        return [f"{self.app}{part}-{self.region}" for part in ("", "-console", "-outputs")]

    @property
    def tables(self) -> list[str]:
        """Jobs and records."""
        return [f"{self.app}-jobs", f"{self.app}-records"]

    @property
    def queues(self) -> list[str]:
        """The queue, and what it gave up."""
        return [f"{self.app}-queue", f"{self.app}-dlq"]

    @property
    def functions(self) -> list[str]:
        """All seven."""
        prefix = "" if self.app == FIRST_APP else f"{self.app}-"
        return [f"{prefix}{name}-lambda" for name in FUNCTIONS]

    @property
    def log_groups(self) -> list[str]:
        """Of the functions and of the API."""
        return [*(f"/aws/lambda/{name}" for name in self.functions), f"/aws/apigateway/{self.app}-api"]

    @property
    def topics(self) -> list[str]:
        """Notices and alarms."""
        return [f"{self.app}-notices", f"{self.app}-alarms"]

    @property
    def api(self) -> str:
        """The HTTP API."""
        return f"{self.app}-api"

    @property
    def dashboard(self) -> str:
        """Dashboards have no region."""
        return f"{self.app}-{self.region}"

    @property
    def alarms(self) -> list[str]:
        """All of them."""
        each = [f"{name}-{what}" for name in FUNCTIONS for what in ("errors", "throttles")]
        return [
            f"{self.app}-{kind}"
            for kind in (*each, "api-5xx", "dead-letters", "jobs-open-too-long", "queue-age")
        ]
