"""What a cold start costs, against boto3 with the clients that a function uses, measured in the same run.

In seconds of CPU of a new process, the least of several: what else the machine does matters little then.
"""

import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.infra.test_artifact import HERE

from safelight.entrypoints.deploy import artifact
from safelight.entrypoints.deploy.artifact import Artifact

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

ROUNDS = 7
NAMES = ("UPLOADS_BUCKET", "PROCESSED_BUCKET", "JOBS_TABLE", "RECORDS_TABLE", "QUEUE_URL", "TOPIC_ARN")
ENVIRONMENT = {f"SAFELIGHT_{name}": "x" for name in NAMES} | {
    "SAFELIGHT_BACKEND": "aws",
    "SAFELIGHT_REGION": "ap-south-1",
    "POWERTOOLS_METRICS_NAMESPACE": "x",
    "PATH": os.environ["PATH"],
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, unpacked and compiled."""
    folder = tmp_path_factory.mktemp("functions")
    built: Artifact = artifact.build(HERE)
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(folder)
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
    return folder


@pytest.mark.parametrize(
    ("module", "services", "limit"),
    [
        ("api", ("s3", "dynamodb", "sqs"), 1.7),
        ("dispatcher", ("dynamodb", "sqs"), 1.15),
        ("sweeper", ("s3", "dynamodb", "sqs"), 1.15),
    ],
)
def test_a_cold_start_costs_little_more_than_its_clients(
    unpacked: Path, module: str, services: tuple[str, ...], limit: float
) -> None:
    """The function with its clients, log and metrics, against boto3 with the same clients."""
    import boto3

    packages = str(Path(boto3.__file__).parents[1])
    peer = f"import sys; sys.path.append({packages!r}); import boto3\n" + "\n".join(
        f"boto3.client({service!r}, region_name='ap-south-1')" for service in services
    )
    function = f"""
import sys; sys.path.insert(0, {str(unpacked)!r})
from safelight.entrypoints.lambdas import {module}, observing, wiring
for service in {services!r}:
    wiring.system()._aws.clients.get(service)
observing._logger(), observing._metrics()
"""
    rounds = [(_seconds(peer), _seconds(function)) for _ in range(ROUNDS)]
    ratio = min(own for _, own in rounds) / min(other for other, _ in rounds)
    assert ratio <= limit, f"{module} takes {ratio:.2f} times its clients"


def _seconds(script: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # -S: what is installed here is no part of either.
    subprocess.run([sys.executable, "-S", "-c", script], env=ENVIRONMENT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
