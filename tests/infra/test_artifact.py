"""The functions' code: whole, small, and the same every time."""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import botocore
import pytest
from tests.support.cold_start import ENVIRONMENT, HERE

from safelight.entrypoints.deploy import artifact, material
from safelight.entrypoints.deploy.artifact import Artifact, Target

pytestmark = pytest.mark.timeout(300)

STARTED = [
    *((part, "api") for part in ("api", "preview")),
    ("worker", "worker"),
    *(("events", module) for module in ("dispatcher", "sweeper", "notifier")),
]
"""The zips, and the modules that start from them."""


@pytest.fixture(scope="module")
def built() -> Artifact:
    """The functions for the Python that runs the tests."""
    return artifact.build(HERE)


def test_the_artifact_is_small(built: Artifact) -> None:
    """At most 60 MB zipped, and far below what Lambda unpacks."""
    assert built.path.stat().st_size <= 60_000_000
    assert built.unpacked <= 120_000_000


def test_the_artifact_is_the_same_byte_for_byte(built: Artifact, tmp_path: Path) -> None:
    """A second build, in another cache, with other times and another order of files, gives the same bytes."""
    wheels = artifact.cache_folder() / "wheels"
    (tmp_path / "wheels").symlink_to(wheels)
    for path in wheels.rglob("*.whl"):
        os.utime(path)
    again = artifact.build(HERE, cache=tmp_path)
    assert again.digest == built.digest
    assert _hash(again.path) == _hash(built.path)


@pytest.mark.long
def test_what_is_laid_out_in_another_way_has_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the cache nor a stack takes it for the old one."""
    (tmp_path / "wheels").symlink_to(artifact.cache_folder() / "wheels")
    (tmp_path / "artifact.py").write_text(Path(artifact.__file__).read_text() + "# other")
    monkeypatch.setattr(artifact, "__file__", str(tmp_path / "artifact.py"))
    events = artifact.build(HERE, "events", cache=tmp_path)
    monkeypatch.undo()
    assert events.digest != artifact.build(HERE, "events").digest


@pytest.mark.long
def test_the_artifact_is_the_same_from_nothing(built: Artifact, tmp_path: Path) -> None:
    """Wheels that are fetched and built anew give the same bytes."""
    again = artifact.build(HERE, cache=tmp_path)
    assert _hash(again.path) == _hash(built.path)


def test_the_artifact_brings_the_accelerator(built: Artifact) -> None:
    """Where it is installed for the functions' processor; the library loads on their glibc."""
    installed = importlib.util.find_spec("safelight_splice") is not None
    with zipfile.ZipFile(built.path) as archive:
        libraries = [name for name in archive.namelist() if name.startswith("safelight_splice/library.")]
        assert len(libraries) == installed
        versions = {version for name in libraries for version in artifact.glibc(archive.read(name))}
    assert max(versions, default=artifact.GLIBC) <= artifact.GLIBC


def test_an_accelerator_for_another_processor_is_left_out() -> None:
    """With a word about it."""
    other = "x86_64" if HERE.architecture == "arm64" else "arm64"
    said: list[str] = []
    assert artifact.accelerator(Target(HERE.runtime, other), said.append) == {}
    assert "safelight-splice" in said[0]


def test_the_artifact_holds_nothing_that_functions_do_without(built: Artifact) -> None:
    """No command line, no embedded backend, no test tools, no stubs, no other services."""
    for archive in both(built):
        assert archive.namelist() == sorted(archive.namelist())
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    names = held(built)
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {"faker", "polyfactory", "rich", "cyclopts", "httpx", "apsw", "uvicorn", "boto3", "pip"}
    assert not [name for name in names if name.endswith(".pyi")]
    assert not [
        name
        for name in names
        if name.startswith(
            (
                "safelight/__main__",
                "safelight/backends/embedded",
                "safelight/entrypoints/cli",
                "safelight/client",
                "safelight/testing",
            )
        )
    ]
    assert not [name for name in names if name.startswith("botocore/data/ec2/")]


def test_the_artifact_is_compiled_for_the_python_that_builds_it(built: Artifact, tmp_path: Path) -> None:
    """A cold start compiles nothing, and a traceback still shows our lines."""
    outside, inside = both(built)
    pyc = inside.read("safelight/service.pyc")
    assert pyc.startswith(importlib.util.MAGIC_NUMBER)
    assert int.from_bytes(pyc[4:8], "little") == 0b01  # by hash, and unchecked
    assert b"/var/task/packages.zip/safelight/service.py" in pyc
    assert str(tmp_path.parent).encode() not in pyc
    assert b"/var/task/botocore/session.py" in outside.read("botocore/session.pyc")
    names = held(built)
    lacking = {name for name in names if name.endswith(".py") and f"{name}c" not in names}
    assert lacking == {artifact.START}
    shown = {name.partition("/")[0] for name in names if name.endswith(".py")}
    assert shown == {artifact.START, "safelight"}


def test_a_start_opens_few_files() -> None:
    """Outside the archive is only what cannot be in it, and what draws nothing or answers no HTTP goes without."""
    zips = artifact.build_all(HERE)
    names = {part: {name.partition("/")[0] for name in held(zipped)} for part, zipped in zips.items()}
    assert all(names["preview"] >= tops for tops in names.values())
    for part, codecs, web in (("worker", True, False), ("api", False, True), ("events", False, False)):
        assert ("pyvips" in names[part], "PIL" in names[part]) == (codecs, codecs)
        assert ("litestar" in names[part], "mangum" in names[part]) == (web, web)
    assert zips["events"].path.stat().st_size < zips["preview"].path.stat().st_size / 4
    outside, _ = both(zips["events"])
    assert len(outside.namelist()) < len(held(zips["events"])) / 3


def test_the_models_of_the_services_have_lost_their_documentation_alone(built: Artifact) -> None:
    """Every operation and every shape is there, one that is called like it included."""
    outside, _ = both(built)
    for service in ("dynamodb", "s3", "sns", "sqs"):
        (path,) = (name for name in outside.namelist() if re.match(rf"botocore/data/{service}/.*/service-2\.json", name))
        packed = Path(botocore.__file__).parents[1] / f"{path}.gz"
        told = json.loads(gzip.decompress(packed.read_bytes()))
        assert len(outside.read(path)) < len(json.dumps(told)) / 2
        assert without_text(json.loads(outside.read(path))) == without_text(told)


def without_text(model: Any) -> Any:
    """A model whose documentation is empty."""
    if isinstance(model, dict):
        return {
            key: "" if (key, type(value)) == ("documentation", str) else without_text(value)
            for key, value in model.items()
        }
    return [without_text(each) for each in model] if isinstance(model, list) else model


@pytest.mark.parametrize(("part", "module"), STARTED)
def test_every_function_starts_from_its_zip_alone(part: str, module: str, tmp_path: Path) -> None:
    """Nothing is found that is not in the zip: no installed package stands in for one that is missing."""
    with zipfile.ZipFile(artifact.build(HERE, part).path) as archive:
        archive.extractall(tmp_path)
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import start
from safelight.entrypoints.lambdas import {module} as function, observing, wiring
made = wiring.system()
for service in ("s3", "dynamodb", "sqs", "sns"):
    made._aws.clients.get(service)
observing._logger(), observing._metrics()
assert getattr(start, {module!r}) is function.handler
if {module!r} == "api":
    function._application()
if {part!r} in ("worker", "preview"):
    made.start_renderer()
files = [getattr(one, "__file__", None) or "" for one in list(sys.modules.values())]
outside = [file for file in files if "site-packages" in file]
assert not outside, outside
"""
    # -S: without the packages that are installed here.
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_wheels_are_for_lambda_and_not_for_this_machine() -> None:
    """arm64 and x86_64 get wheels of their own, of a glibc that Amazon Linux 2023 has."""
    assert Target("python3.13", "arm64").platforms[0] == "manylinux_2_28_aarch64"
    assert Target("python3.13", "x86_64").python == "3.13"


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
@pytest.mark.parametrize("runtime", ["python3.12", "python3.13", "python3.14"])
def test_every_target_can_be_built(runtime: str, architecture: str) -> None:
    """Every package has a wheel for every runtime and processor that the template offers; none is compiled here."""
    built = artifact.build(Target(runtime, architecture))
    assert built.unpacked <= artifact.LIMIT
    assert built.path.stat().st_size <= 60_000_000
    compiled = [name for name in held(built) if name.endswith(".pyc")]
    assert bool(compiled) == (runtime == HERE.runtime)


def test_every_requirement_is_pinned_with_hashes() -> None:
    """What goes into the functions is what was tested, and nothing else can be put in its place."""
    needed = artifact.pinned(material.requirements("aws").read_text())
    assert set(needed) >= artifact.NOT_NEEDED
    assert all("--hash=sha256:" in entry for entry in needed.values())


def both(built: Artifact) -> tuple[zipfile.ZipFile, zipfile.ZipFile]:
    """The zip, and the archive in it."""
    outside = zipfile.ZipFile(built.path)
    return outside, zipfile.ZipFile(io.BytesIO(outside.read(artifact.ARCHIVE)))


def held(built: Artifact) -> set[str]:
    """Everything that can be imported or read, wherever it lies."""
    outside, inside = both(built)
    return {*outside.namelist(), *inside.namelist()} - {artifact.ARCHIVE}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
