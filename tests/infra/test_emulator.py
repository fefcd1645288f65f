"""The emulator leaves nothing behind: no process, no folder."""

import io
import json
import tempfile
import zipfile
from pathlib import Path

import pytest
from tests.journeys.serving import until
from tests.support import servers
from tests.support.stack import Emulated, runtime

FUNCTION = """
import os, signal, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)

def handler(event, context):
    with open(event["tell"], "w") as file:
        file.write(str(os.getpid()))
    while True:
        with open(os.path.join(event["write"], str(time.time_ns())), "w") as file:
            file.write("x")
"""
BY_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def test_a_function_that_still_runs_goes_with_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a function is doing, and wherever it writes, its process and the scratch folder are gone at the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told = tmp_path / "pid"
    try:
        with servers.emulator() as endpoint:
            (scratch,) = tmp_path.glob("emulator-*")
            account = Emulated(endpoint)
            role = account.client("iam").create_role(
                RoleName="busy", AssumeRolePolicyDocument=json.dumps(BY_LAMBDA)
            )
            functions = account.client("lambda")
            functions.create_function(
                FunctionName="busy",
                Runtime=runtime(),
                Role=role["Role"]["Arn"],
                Handler="busy.handler",
                Code={"ZipFile": _zipped("busy.py", FUNCTION)},
                Timeout=60,
            )
            event = {"tell": str(told), "write": str(scratch)}
            functions.invoke(FunctionName="busy", InvocationType="Event", Payload=json.dumps(event).encode())
            pid = until(lambda: told.read_text() if told.exists() else None)
    except servers.Absent as absent:
        pytest.skip(str(absent))
    assert not scratch.exists()
    until(lambda: not _alive(pid), within=5)


def _alive(pid: str) -> bool:
    """Whether the process runs. One that has ended and that nobody has waited for yet does not."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _zipped(name: str, text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, text)
    return file.getvalue()
