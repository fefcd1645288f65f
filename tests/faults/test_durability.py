"""What survives when the power fails: read off the system calls, by a model of a disk that forgets whatever was not
made durable."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import systrace
from tests.faults.lab import ROOT
from tests.faults.systrace import Call

PASSING = (
    "/tmp/",
    "/doorbell",
    "/courier",
    "/changes",
    "/lock",
    "-shm",
    "-journal",
    ".probe",
    "/.signing.key",
)
"""What may be forgotten: unfinished files, hints, locks, and what SQLite makes anew."""


class Disk:
    """What a power failure would undo at this moment."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = str(data / "safelight.db-wal")
        self._contents: set[str] = set()
        self._names: defaultdict[str, set[str]] = defaultdict(set)

    def see(self, call: Call) -> None:
        """The program has made this call."""
        folder = call.path.rpartition("/")[0]
        match call.call:
            case "write":
                self._contents.add(call.path)
            case "make":
                self._names[folder].add(call.path)
            case "name":
                self._names[folder].add(call.path)
                if call.old in self._contents:
                    self._contents.add(call.path)
            case "sync":
                self._contents.discard(call.path)
                self._names[call.path].clear()

    def forgotten(self) -> set[str]:
        """Contents and names that would be lost."""
        lost = self._contents.union(*self._names.values())
        below = str(self.data)
        return {path for path in lost if path.startswith(f"{below}/") and not self._passing(path)}

    def _passing(self, path: str) -> bool:
        return any(part in path.removeprefix(str(self.data)) for part in PASSING)

    def of_files(self) -> set[str]:
        """Those of uploads and outputs."""
        return {path for path in self.forgotten() if path.startswith(f"{self.data}/files/")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the traced program."""
    return tmp_path_factory.mktemp("traced") / "data"


@pytest.fixture(scope="module")
def calls(data: Path) -> list[Call]:
    """The system calls of a life of jobs, in order."""
    if reason := systrace.possible():
        pytest.skip(reason)
    command = [sys.executable, "-m", "tests.faults.lab", "journey", str(data)]
    tracer = [sys.executable, "-m", "tests.faults.systrace", str(data.parent)]
    done = subprocess.run([*tracer, *command], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return systrace.read(done.stdout)


def _replayed(data: Path, calls: list[Call]) -> Iterator[tuple[Call, Disk]]:
    """Each call, with the disk as it was before."""
    disk = Disk(data)
    for call in calls:
        yield call, disk
        disk.see(call)


def test_a_file_is_durable_before_it_has_its_name(data: Path, calls: list[Call]) -> None:
    """Nobody can find a file whose content a power failure would take away."""
    named = [
        (call, call.old in disk._contents) for call, disk in _replayed(data, calls) if call.call == "name"
    ]
    files = [(call, dirty) for call, dirty in named if call.path.startswith(f"{data}/files/")]
    assert len([call for call, _ in files if "/uploads/" in call.path]) >= 7
    assert len([call for call, _ in files if "/processed/" in call.path]) >= 5
    assert [call for call, dirty in files if dirty] == []


def test_every_file_is_written_under_another_name(data: Path, calls: list[Call]) -> None:
    """Nothing is ever written to a file that can be seen."""
    written = {call.path for call, _ in _replayed(data, calls) if call.call == "write"}
    assert [path for path in written if path.startswith(f"{data}/files/")] == []


def test_the_store_names_only_what_is_durable(data: Path, calls: list[Call]) -> None:
    """When a commit reaches the disk, the uploads and outputs it may speak of are there: contents, names, folders."""
    commits = [disk.of_files() for call, disk in _replayed(data, calls) if call == Call("sync", disk.log)]
    assert len(commits) >= 20
    assert [lost for lost in commits if lost] == []


@pytest.mark.parametrize("answer", ["requested", "uploaded", "canceled", "deleted"])
def test_nothing_that_was_answered_can_be_forgotten(answer: str, data: Path, calls: list[Call]) -> None:
    """When a client is answered, everything that was done for it is on the disk."""
    answers = [
        disk.forgotten() for call, disk in _replayed(data, calls) if f'"event": "{answer}"' in call.text
    ]
    assert answers
    assert [lost for lost in answers if lost] == []


def test_an_end_is_durable_before_the_message_goes(data: Path, calls: list[Call]) -> None:
    """Between the last output's name and the next thing that is told, the log was brought to the disk: the job is
    COMPLETED for good before its message is acknowledged."""
    since: list[Call] = []
    seen = 0
    for call in calls:
        since.append(call)
        if call.call == "name" and "/processed/" in call.path:
            since = []
        if '"event": "notice"' in call.text and "COMPLETED" in call.text:
            seen += 1
            assert Call("sync", f"{data}/safelight.db-wal") in since
    assert seen >= 3
