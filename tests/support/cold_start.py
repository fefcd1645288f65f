"""What the start of a function costs, beside boto3 with the clients that the function uses, in turns.

In seconds of CPU of a new process, the least of several: what else the machine does matters little then.
"""

import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from tests.support.stack import ARCHITECTURE

from safelight.entrypoints.deploy import artifact
from safelight.entrypoints.deploy.artifact import Target

HERE: Final = Target(f"python{sys.version_info.major}.{sys.version_info.minor}", ARCHITECTURE)
"""The Python that runs the tests."""

CLIENTS: Final = {
    "api": ("s3", "dynamodb", "sqs"),
    "dispatcher": ("dynamodb", "sqs"),
    "worker": ("s3", "dynamodb"),
    "sweeper": ("s3", "dynamodb", "sqs"),
    "notifier": ("sns",),
}
"""The services that each function calls."""

PART: Final = {"api": "api", "worker": "worker"}
"""The zip of each function, where it is not `events`."""

GOALS: Final = {"api": 1.7, "dispatcher": 1.15, "sweeper": 1.15}
"""How many times boto3 with these clients a start may cost at most."""

_NAMES: Final = (
    *("UPLOADS_BUCKET", "PROCESSED_BUCKET", "JOBS_TABLE", "RECORDS_TABLE"),
    *("QUEUE_URL", "DEAD_LETTER_URL", "TOPIC_ARN"),
)
ENVIRONMENT: Final = {f"SAFELIGHT_{name}": "x" for name in _NAMES} | {
    "SAFELIGHT_BACKEND": "aws",
    "SAFELIGHT_REGION": "ap-south-1",
    "POWERTOOLS_METRICS_NAMESPACE": "x",
    "PATH": os.environ["PATH"],
}
"""What the template gives a function, as far as it has to be there."""


class Cost(NamedTuple):
    """Seconds of CPU."""

    own: float
    clients: float

    @property
    def ratio(self) -> float:
        """How many times the clients alone."""
        return self.own / self.clients


@contextmanager
def unpacked() -> Iterator[Path]:
    """The functions' zips, unpacked as Lambda does, each in a folder of its name."""
    with TemporaryDirectory(prefix="functions-") as folder:
        for part, built in artifact.build_all(HERE).items():
            with zipfile.ZipFile(built.path) as archive:
                archive.extractall(Path(folder, part))
        yield Path(folder)


def cost(function: str, folder: Path, *, rounds: int = 7) -> Cost:
    """What the function costs until it could take its first call."""
    import boto3

    packages = str(Path(boto3.__file__).parents[1])
    clients = f"import sys; sys.path.append({packages!r}); import boto3\n" + "\n".join(
        f"boto3.client({service!r}, region_name='ap-south-1')" for service in CLIENTS[function]
    )
    own = f"""
import sys; sys.path.insert(0, {str(folder / PART.get(function, "events"))!r})
import start
from safelight.entrypoints.lambdas import {function}, observing, wiring
for service in {CLIENTS[function]!r}:
    wiring.system()._aws.clients.get(service)
observing._logger(), observing._metrics()
"""
    seconds = [(_seconds(own), _seconds(clients)) for _ in range(rounds)]
    return Cost(min(each for each, _ in seconds), min(each for _, each in seconds))


def _seconds(script: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # -S: what is installed here is no part of either.
    subprocess.run([sys.executable, "-S", "-c", script], env=ENVIRONMENT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
