"""Servers that stand in for AWS, each started for a test session on a free port of the loopback interface.

    emulator         ministack: S3, DynamoDB, SQS, SNS, Lambda and CloudFormation in one process
    seaweedfs        a real S3 server
    dynamodb_local   AWS's own DynamoDB for developers; needs Java
    elasticmq        a real SQS server; needs Java

`make test` installs the first two from hashed requirements into `.venv-emulator`, which holds none of the project's
packages: a function that misses one fails there as it would on AWS. `make servers` fetches the two that need Java.
A server that is not installed raises `Absent`, with the reason; the tests that need it are skipped with that reason.
A server is a process group of its own: what it has started goes with it, and nothing else does. If the tests are
killed, the kernel ends it.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
HOME: Final = ROOT / ".venv-emulator"
JARS: Final = HOME / "jars"
START_SECONDS: Final = 40.0
REGION: Final = "ap-south-1"
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Absent(Exception):
    """The server is not installed here."""


class Broken(Exception):
    """The server is installed and did not start."""


MINISTACK: Final = """
from ministack.core import iam_actions

action_of = iam_actions.extract_iam_action
iam_actions.extract_iam_action = lambda *request: (
    "sns:Publish" if (action := action_of(*request)) == "sns:PublishBatch" else action
)

import logging, threading, time
from ministack.app import main
from ministack.services import lambda_svc

poll_streams = lambda_svc._poll_dynamodb_streams
lambda_svc._poll_dynamodb_streams = lambda: False

def streams():
    while True:
        time.sleep(0.25)
        try:
            poll_streams()
        except Exception:  # as its own poller goes on
            logging.exception("the poller of streams")

threading.Thread(target=streams, daemon=True).start()

main()
"""
"""Ministack, and where AWS does otherwise in a way that matters to us:

It takes the name of each request for that of an action. On AWS `sns:Publish` allows to publish one and to publish
several, and no other action does:
https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html

One thread polls queues and streams, and calls a stream's function itself: nothing is taken from any queue until it has
answered. Lambda polls each source by itself, a stream four times a second:
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""


@contextmanager
def emulator(*, region: str = REGION, **environ: str) -> Iterator[str]:
    """Ministack. It checks signatures and policies as AWS does; the user `test` may do everything. `environ` is set for
    it and for the functions, which it runs as its children."""
    python = _installed(HOME / "bin" / "python", "make test")
    port = free_port()
    # It unpacks every function again and again, and leaves all of it behind.
    with _scratch("emulator-") as scratch:
        settings = {
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "MINISTACK_REGION": region,
            "SFTP_ENABLED": "0",
            "TMPDIR": str(scratch),
        }
        with _running([str(python), "-c", MINISTACK], port, "/_ministack/health", settings | environ) as url:
            yield url


@contextmanager
def seaweedfs() -> Iterator[str]:
    """SeaweedFS, with the one user `test`."""
    weed = _installed(HOME / "bin" / "weed", "make test")
    identity = {
        "name": "test",
        "credentials": [{"accessKey": "test", "secretKey": "test"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    names = ("s3", "master", "volume", "filer")
    ports = free_ports(2 * len(names) + 1)
    with _scratch("seaweedfs-") as data:
        config = Path(data, "s3.json")
        config.write_text(json.dumps({"identities": [identity]}))
        command = [
            str(weed), "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}",
            # Every bucket takes several volumes, and by default the free disk is divided into few of them.
            "-volume.max=100000",
            "-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-admin.port={ports[-1]}",
            *(f"-{name}.port={port}" for name, port in zip(names, ports[::2], strict=False)),
            *(f"-{name}.port.grpc={port}" for name, port in zip(names, ports[1::2], strict=False)),
        ]  # fmt: skip
        with _running(command, ports[0], "/status", {}) as url:
            yield url


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """DynamoDB Local, in memory."""
    java, jars = _java("dynamodb")
    port = free_port()
    source = str(Path(__file__).with_name("LoopbackDynamoDB.java"))
    options = ["-XX:TieredStopAtLevel=1", f"-Djava.library.path={jars}", "-cp", f"{jars}/*"]
    arguments = ["-inMemory", "-disableTelemetry", "-port", str(port)]
    with _running([java, *options, source, *arguments], port, "/", {}) as url:
        yield url


@contextmanager
def elasticmq(*, region: str = REGION) -> Iterator[str]:
    """ElasticMQ, with AWS's limits."""
    java, jars = _java("elasticmq")
    port = free_port()
    settings = {
        "node-address.host": "127.0.0.1",
        "node-address.port": port,
        "rest-sqs.bind-hostname": "127.0.0.1",
        "rest-sqs.bind-port": port,
        "rest-sqs.sqs-limits": "strict",
        "rest-stats.enabled": "false",
        "aws.region": region,
    }
    options = ["-XX:TieredStopAtLevel=1", *(f"-D{name}={value}" for name, value in settings.items())]
    command = [java, *options, "-cp", f"{jars}/*", "org.elasticmq.server.Main"]
    with _running(command, port, "/", {}) as url:
        yield url


def free_port() -> int:
    """A port of the loopback interface that nobody has right now."""
    return free_ports(1)[0]


def free_ports(count: int) -> Sequence[int]:
    """Several, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _installed(program: Path, remedy: str) -> Path:
    if not program.exists():
        raise Absent(f"{program.relative_to(ROOT)} is not there; `{remedy}` installs it")
    return program


def _java(name: str) -> tuple[str, Path]:
    java = shutil.which("java")
    if java is None:
        raise Absent(f"{name} needs Java, and there is none")
    if not (JARS / name).is_dir():
        raise Absent(f"{name} is not there; `make servers` fetches it")
    return java, JARS / name


@contextmanager
def _running(command: Sequence[str], port: int, ready: str, settings: dict[str, str]) -> Iterator[str]:
    """Run a server until the block ends. Yield its address once it answers at `ready`."""
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env=environ | CREDENTIALS | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=_end_with_tests if sys.platform == "linux" else None,  # noqa: PLW1509 - it takes no lock
        )
        try:
            if not _answers(process, url + ready):
                log.seek(0)
                said = log.read().decode(errors="replace").strip()[-2000:]
                raise Broken(f"{Path(command[0]).name} did not start: {said}")
            yield url
        finally:
            # At once, for it has nothing to lose. Its id can be nobody else's until it has been waited for.
            with suppress(ProcessLookupError, PermissionError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _scratch(prefix: str) -> Iterator[Path]:
    """A folder that is gone when the block has ended, also if what was killed a moment ago is still writing to it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        tries = 100
        while folder.exists():
            tries -= 1
            shutil.rmtree(folder, ignore_errors=tries > 0)
            time.sleep(0.05)


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Whether the server says anything over HTTP before it ends or its time is over."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            if answer.code < 500:
                return True
        except OSError:
            pass
        else:
            return True
        time.sleep(0.05)
    return False


def _end_with_tests() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
