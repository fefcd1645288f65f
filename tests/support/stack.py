"""The real stack on the emulator: deployed by the command that users call, with functions in their own zip.

Journeys can run against it: `with deployed(endpoint) as stack: …` yields `stack.api`, the API's address.
"""

import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from tests.support import servers

from safelight.entrypoints.deploy import artifact, starting
from safelight.entrypoints.deploy.account import FUNCTIONS

COMMAND = [sys.executable, "-m", "safelight"]
ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


class Done(NamedTuple):
    """How a command ended."""

    code: int
    said: str
    told: str

    @property
    def json(self) -> Any:
        """Its result."""
        return json.loads(self.said)


class Emulated:
    """An account of the emulator."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client that may do everything."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=servers.REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._clients[service]

    def run(self, *words: str, **environment: str) -> Done:
        """Run one of our commands against it, as a script would."""
        if words[0] == "deploy":
            fetched()
        done = subprocess.run(
            [*COMMAND, *words],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start one of our commands that does not end by itself."""
        return subprocess.Popen(
            [*COMMAND, *words], env=self.environment | environment, stdin=subprocess.DEVNULL
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command that talks to this account."""
        kept = ("PATH", "HOME", "XDG_CACHE_HOME", "PIP_", "SSL_", "REQUESTS_")
        aws = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": servers.REGION, **servers.CREDENTIALS}
        return {name: value for name, value in os.environ.items() if name.startswith(kept)} | aws

    def deploy(self, stack: str, *options: str, **parameters: str) -> Done:
        """`safelight deploy`, for the Python that runs the emulator."""
        given = {"Runtime": runtime(), "Architecture": ARCHITECTURE, "AuthMode": "none"} | parameters
        words = [word for name, value in given.items() for word in ("--parameter", f"{name}={value}")]
        return self.run("deploy", "--stack", stack, "--yes", "--json", *options, *words)

    def destroy(self, stack: str, *words: str) -> Done:
        """`safelight destroy`."""
        return self.run("destroy", "--stack", stack, "--yes", "--json", *words)

    def allow_http(self, *buckets: str) -> None:
        """Take away what refuses plain HTTP, the only thing that the emulator speaks."""
        s3 = self.client("s3")
        for bucket in buckets:
            try:
                policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
            except s3.exceptions.from_code("NoSuchBucketPolicy"):
                continue
            rest = [each for each in policy["Statement"] if each["Effect"] != "Deny"]
            s3.delete_bucket_policy(Bucket=bucket)
            if rest:
                s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**policy, "Statement": rest}))


class Stack:
    """A stack that runs."""

    def __init__(self, account: Emulated, name: str, outputs: dict[str, str]) -> None:
        self.account = account
        self.name = name
        self.outputs = outputs
        self.api = f"{account.endpoint}/_aws/execute-api/{outputs['ApiId']}"

    @cached_property
    def roles(self) -> dict[str, str]:
        """The name of each role by its resource, with the policies that are attached to several."""
        pages = (
            self.account.client("cloudformation")
            .get_paginator("list_stack_resources")
            .paginate(StackName=self.name)
        )
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if each["ResourceType"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
        }

    @contextmanager
    def settings(self, **settings: str) -> Iterator[None]:
        """Give these settings to every function, until the block ends. The stack has the first contract's names."""
        client = self.account.client("lambda")
        before = {
            name: client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            for name in (f"{function}-lambda" for function in FUNCTIONS)
        }
        given = {f"SAFELIGHT_{name.upper()}": value for name, value in settings.items()}
        for name, variables in before.items():
            client.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables | given}
            )
        try:
            yield
        finally:
            for name, variables in before.items():
                client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@contextmanager
def deployed(account: Emulated, name: str = "safelight", *options: str, **parameters: str) -> Iterator[Stack]:
    """Deploy a stack; destroy it when the block ends, and insist that nothing is left."""
    made = account.deploy(name, *options, **parameters)
    assert made.code == 0, made.told
    assert starting.NOT_STARTED not in made.told
    stack = Stack(account, name, made.json["outputs"])
    account.allow_http(stack.outputs["UploadsBucketName"], stack.outputs["ProcessedBucketName"])
    try:
        yield stack
    finally:
        gone = account.destroy(name)
    assert gone.code == 0, gone.told
    assert gone.json["left"] == []


@cache
def fetched() -> None:
    """The functions' zips, made by one of the processes that test side by side: the others wait for it."""
    folder = artifact.cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        artifact.build_all(artifact.Target(runtime(), ARCHITECTURE))


@cache
def runtime() -> str:
    """The Lambda runtime of the Python that runs the emulator."""
    python = servers.HOME / "bin" / "python"
    if not Path(python).exists():
        raise servers.Absent(f"{python.name} is not there; `make test` installs it")
    said = subprocess.run(
        [python, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()
