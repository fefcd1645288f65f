"""The checker itself: it finds nothing in a healthy folder, and exactly what is wrong in one where something is."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from tests.faults.checker import Folder, check, files, sightings
from tests.faults.lab import Lab
from tests.faults.promises import Promises


@pytest.fixture(scope="module")
def healthy(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has done everything and has nothing left to do."""
    data = tmp_path_factory.mktemp("healthy") / "data"
    lab.act("journey", data)
    lab.act("recovery", data)
    return data


class Patient:
    """A copy of the healthy folder, in which something is going to be wrong."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.told = Promises(data.with_name("data.told"))
        self.jobs = Folder(data).jobs
        self.completed = next(job for job in self.jobs.values() if job["state"] == "COMPLETED")
        self.output = data / "files" / self.completed["outputs"][0]["key"]

    def sql(self, statement: str, *arguments: object) -> None:
        """Change the store behind everybody's back."""
        with sqlite3.connect(self.data / "safelight.db") as store:
            store.execute(statement, arguments)
        store.close()

    def change(self, **fields: Any) -> None:
        """Change the completed job."""
        job = self.completed | fields
        statement = "UPDATE jobs SET document = ?, state = ? WHERE id = ?"
        self.sql(statement, json.dumps(job).encode(), job["state"], job["id"])

    def upload(self) -> Path:
        """The file that the completed job was made from."""
        path = Folder(self.data).upload_of(self.completed)
        assert path is not None
        return path

    def complete_again(self) -> None:
        """As if a second attempt had completed it, too."""
        moment = {"at": self.completed["updated_at"], "state": "COMPLETED", "attempt": 1}
        pending = moment | {"state": "PENDING"}
        self.change(timeline=[*self.completed["timeline"], pending, moment])
        self.told.notices.append((f"{self.completed['id']}.99", self.completed["id"], "COMPLETED"))

    def other_digest(self) -> None:
        """As if the same file had given another picture another time."""
        twin = {**self.completed, "id": "twin"}
        rest = self.output.with_name("other.jpg")
        rest.write_bytes(self.output.read_bytes() + b"\0")
        import hashlib

        content = rest.read_bytes()
        key = str(rest.relative_to(self.data / "files"))
        known = {"key": key, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        twin["outputs"] = [self.completed["outputs"][0] | known]
        row = (twin["id"], "local", "COMPLETED", 1.0, 1.0, twin["revision"], json.dumps(twin).encode())
        self.sql("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
        self.told.notices.append(("twin.1", "twin", "COMPLETED"))


@pytest.fixture
def patient(healthy: Path, tmp_path: Path) -> Patient:
    """A copy to be harmed."""
    # The pipes stay behind: a copy of one would wait for a writer.
    for name in ("files", "tmp"):
        shutil.copytree(healthy / name, tmp_path / "data" / name)
    for path in healthy.glob("safelight.db*"):
        shutil.copy(path, tmp_path / "data")
    shutil.copy(healthy.with_name("data.told"), tmp_path)
    return Patient(tmp_path / "data")


def test_a_healthy_folder_has_no_violation(patient: Patient) -> None:
    """And it has every kind of job in it, so that there was something to look at."""
    assert check(patient.data, patient.told, seen=sightings(patient.data), within=7200.0) == []
    assert {job["state"] for job in patient.jobs.values()} == {"COMPLETED", "FAILED", "CANCELED", "EXPIRED"}
    assert len(list(files(patient.data, "processed"))) >= 4


PLANTED: Final[dict[str, tuple[int, Callable[[Patient], object]]]] = {
    "a job that never ends": (1, lambda it: it.change(state="PROCESSING", outputs=[], timeline=[])),
    "a job that ended too late": (1, lambda it: it.change(updated_at=it.completed["updated_at"] + 9000)),
    "columns that say something else": (1, lambda it: it.sql("UPDATE jobs SET revision = revision + 1")),
    "an output that is gone": (2, lambda it: it.output.unlink()),
    "an output that is half there": (2, lambda it: os.truncate(it.output, 200)),
    "a digest that is another": (2, lambda it: it.output.write_bytes(it.output.read_bytes() + b"\0")),
    "COMPLETED without outputs": (2, lambda it: it.change(outputs=[])),
    "half a file that no job names": (
        3,
        lambda it: (it.output.parent / "x.jpg").write_bytes(b"\xff\xd8half"),
    ),
    "an upload that is half there": (3, lambda it: os.truncate(it.upload(), 100)),
    "a notice that was never stored": (4, lambda it: it.told.notices.pop()),
    "a second notice for one end": (
        4,
        lambda it: it.told.notices.append((f"{it.completed['id']}.0", it.completed["id"], "COMPLETED")),
    ),
    "a batch that nobody was told of": (4, lambda it: it.told.batches.update({"b1": set()})),
    "a batch that ended twice": (4, lambda it: it.told.batches.update({"b1": {"b1.1", "b1.2"}})),
    "an end that did not stay": (
        4,
        lambda it: it.change(
            timeline=[{"at": 1, "state": "FAILED"}, *it.completed["timeline"][-1:]],
        ),
    ),
    "an answer that was taken back": (
        4,
        lambda it: it.told.answered.update({it.completed["id"]: {"FAILED"}}),
    ),
    "an acknowledged job that is gone": (
        5,
        lambda it: it.sql("DELETE FROM jobs WHERE id = ?", it.completed["id"]),
    ),
    "an acknowledged upload that is gone": (5, lambda it: it.upload().unlink()),
    "a job completed twice": (6, lambda it: it.complete_again()),
    "a queue that miscounts": (6, lambda it: it.sql("UPDATE queue SET depth = depth + 1")),
    "another digest from the same file": (8, lambda it: it.other_digest()),
    "an unfinished file": (9, lambda it: (it.data / "tmp" / "rest").touch()),
    "a loser's output": (9, lambda it: shutil.copy(it.output, it.output.with_name("x.jpg"))),
    "a message for an ended job": (
        9,
        lambda it: it.sql(
            'INSERT INTO messages (job_id, "group", wake, turn, ready, visible_at, received)'
            " VALUES (?, 'g', '', 1, 1, 0, 0)",
            it.completed["id"],
        ),
    ),
    "a notice that is not delivered": (
        9,
        lambda it: it.sql(
            "INSERT INTO notices VALUES (?, 0, ?)",
            it.told.notices[-1][0],
            json.dumps(
                dict(zip(("id", "job_id", "state"), it.told.notices[-1], strict=True)),
            ).encode(),
        ),
    ),
    "a claim that outlived its job": (9, lambda it: it.change(claim={"token": "t"})),
}
"""What is wrong, the invariant that does not hold, and how it is made wrong."""


@pytest.mark.parametrize("wrong", PLANTED)
def test_a_planted_violation_is_found(wrong: str, patient: Patient) -> None:
    """Each kind of harm is found as what it is."""
    invariant, harm = PLANTED[wrong]
    harm(patient)
    assert invariant in {found.invariant for found in check(patient.data, patient.told, within=7200.0)}


def test_a_replaced_output_is_found(patient: Patient) -> None:
    """Even if the new one has the same bytes."""
    seen = sightings(patient.data)
    content = patient.output.read_bytes()
    patient.output.rename(patient.output.with_name("kept.jpg"))
    patient.output.write_bytes(content)
    assert [v for v in check(patient.data, patient.told, seen=seen, within=7200.0) if v.invariant == 3]


def test_a_delayed_job_is_found(patient: Patient) -> None:
    """A job that had to wait longer than others may make it wait; the one to blame does not count."""
    late = {v.where for v in check(patient.data, patient.told, patience=-1.0) if v.invariant == 7}
    assert patient.completed["id"] in late
    to_blame = check(patient.data, patient.told, patience=-1.0, poison=late)
    assert not [v for v in to_blame if v.invariant == 7]
