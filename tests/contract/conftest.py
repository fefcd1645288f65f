"""Every contract runs against every backend that has its ports. `backends.py` says which there are.

A module of contracts says which ports it is about in PORTS. Servers are started when a test first needs one, one of
each kind for the whole session; a server that is not installed skips its tests and says why.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

import pytest
from tests.contract.backends import (
    BACKENDS,
    LOCAL,
    TIME_OF_ITS_OWN,
    Backend,
    InMemory,
    OnDisk,
    RealClock,
    needs,
)
from tests.support import servers
from tests.support.on_aws import OnAws

from safelight.backends.aws.border import Clients
from safelight.backends.embedded import Embedded
from safelight.model import Job, JobState, RecipeRef, Source, Stage, Upload, Wake, upload_key
from safelight.testing import Clock

__all__ = ["Backend", "a_job", "a_source", "a_wake", "needs"]

SERVERS: Final[dict[str, Callable[[], AbstractContextManager[str]]]] = {
    "aws": servers.emulator,
    "seaweedfs": servers.seaweedfs,
    "dynamodb-local": servers.dynamodb_local,
    "elasticmq": servers.elasticmq,
}


class Running:
    """The servers of this session, each started when it is first needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._servers: dict[str, tuple[str, Clients] | servers.Absent] = {}

    def get(self, name: str) -> tuple[str, Clients]:
        """The address of a server and the clients to use it with. Skip the test if it is not installed."""
        if name not in self._servers:
            try:
                url = self._stack.enter_context(SERVERS[name]())
                self._servers[name] = (url, Clients(servers.REGION))
            except servers.Absent as absent:
                self._servers[name] = absent
        found = self._servers[name]
        if isinstance(found, servers.Absent):
            pytest.skip(str(found))
        return found


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """The servers that the tests need."""
    with ExitStack() as stack:
        yield Running(stack)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each backend that has the ports of the module, in turn."""
    if "backend_name" in metafunc.fixturenames:
        ports = metafunc.module.PORTS
        without: set[str] = getattr(metafunc.module, "WITHOUT", set())
        names = [name for name, has in BACKENDS.items() if ports <= has and name not in without]
        metafunc.parametrize("backend_name", names)


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """A clock that the test moves; where a server lives by its own, moving it means to wait."""
    name = request.getfixturevalue("backend_name") if "backend_name" in request.fixturenames else "embedded"
    own = bool(request.module.PORTS & TIME_OF_ITS_OWN) and name not in LOCAL
    return RealClock() if own else Clock()


@pytest.fixture
def backend(
    backend_name: str,
    clock: Clock,
    tmp_path: Path,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Backend]:
    """The backend of that name, with nothing in it."""
    if backend_name == "memory":
        yield InMemory(clock)
    elif backend_name == "embedded":
        embedded = Embedded(tmp_path / "data", base_url="http://127.0.0.1:8080", clock=clock)
        yield OnDisk(embedded, clock)
        embedded.close()
    else:
        url, clients = running.get(backend_name)
        for variable, value in {"AWS_ENDPOINT_URL": url, **servers.CREDENTIALS}.items():
            monkeypatch.setenv(variable, value)
        on_aws = OnAws(backend_name, clients, clock)
        yield on_aws
        on_aws.close()


@pytest.fixture
def embedded(clock: Clock, tmp_path: Path) -> Iterator[Embedded]:
    """The embedded backend, for what only it promises."""
    backend = Embedded(tmp_path / "data", base_url="http://127.0.0.1:8080", clock=clock)
    yield backend
    backend.close()


def a_job(job_id: str = "j1", owner: str = "ann", *, at: float = 1000.0, due_at: float | None = None) -> Job:
    """A job that waits for its upload."""
    return Job(
        id=job_id,
        owner=owner,
        state=JobState.PENDING,
        stage=Stage.AWAITING_UPLOAD,
        created_at=at,
        updated_at=at,
        due_at=due_at,
        upload=Upload(filename="Ünïcode name.jpg", key=upload_key(job_id, "Ünïcode name.jpg")),
        recipe=RecipeRef(name="default", digest="d"),
    )


def a_source(job_id: str = "j1") -> Source:
    """What was uploaded for it."""
    return Source(key=upload_key(job_id, "a.jpg"), version="v1", bytes=3)


def a_wake(job_id: str, group: str = "ann") -> Wake:
    """A message for it."""
    return Wake(job_id=job_id, key=upload_key(job_id, "a.jpg"), group=group)
