"""The operator's commands, as a script would run them: on a real store, beside a server and without one."""

import io
import json
import os
import time
from pathlib import Path

import msgspec
import pytest
from tests.journeys.serving import Server, client, image, safelight, submit, wait

from safelight.backends.embedded import Embedded
from safelight.config import Settings
from safelight.model import Job, Wake, new_id
from safelight.recipes import Book
from safelight.service import Service
from safelight.testing import in_memory
from safelight.uploads import UploadRequest

pytestmark = pytest.mark.embedded


class Store:
    """A data folder that nobody serves, with whatever state a crash may have left in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.embedded = Embedded(folder)
        settings = Settings(data=str(folder))
        ports = msgspec.structs.replace(
            in_memory(),
            blobs=self.embedded.blobs,
            jobs=self.embedded.jobs,
            queue=self.embedded.queue,
            inbox=self.embedded.inbox,
            records=self.embedded.records,
        )
        self.service = Service(settings, ports, Book(settings))

    def queued(self, picture: bytes = b"") -> Job:
        """A job whose upload has come."""
        job = self.service.request_upload("local", UploadRequest(filename="beach.jpg"))
        blob = self.embedded.blobs.put(
            job.upload.key, io.BytesIO(picture or image()), content_type="image/jpeg"
        )
        self.service.dispatch(blob.key, blob.version, blob.bytes)
        return self.embedded.jobs.get(job.id)

    def give_up(self) -> None:
        """Whatever waits becomes a dead letter."""
        while delivery := self.embedded.inbox.receive(wait=0, visibility=60):
            self.embedded.inbox.retry(delivery, 0)

    def run(self, *words: str) -> tuple[int, str, str]:
        """A command on this folder: its exit code and what it says."""
        done = safelight(*words, "--data", self.folder)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder with nothing in it."""
    return Store(tmp_path / "data")


def test_dead_letters_are_listed_shown_and_sent_again(store: Store) -> None:
    """And a server that starts then works them off."""
    assert store.run("dlq", "ls") == (0, "No dead letters.\n", "")
    job = store.queued()
    store.give_up()
    code, out, err = store.run("dlq", "ls")
    assert (code, err) == (0, "")
    assert job.id in out.splitlines()[1]
    assert "PENDING" in out
    assert "Received 5 times" in out
    code, out, _ = store.run("dlq", "show", job.id, "--json")
    assert (code, json.loads(out)["status"], json.loads(out)["received"]) == (0, "PENDING", 5)
    code, out, _ = store.run("dlq", "show", job.id)
    assert (code, f"job         {job.id}" in out) == (0, True)
    code, out, _ = store.run("dlq", "redrive", job.id, "--json")
    assert (code, json.loads(out)) == (0, [{"jobId": job.id, "outcome": "sent"}])
    code, out, _ = store.run("dlq", "redrive", job.id)  # once more
    assert (code, out) == (0, f"{job.id}  nothing  not a dead letter (any more)\n")
    with Server(store.folder, "--workers", "1") as server, client(server.url) as http:
        assert wait(http, job.id)["status"] == "COMPLETED"


def test_dead_letters_beside_a_server(tmp_path: Path) -> None:
    """The commands work while it runs; a job that FAILED starts again when its letter is redriven."""
    data = tmp_path / "data"
    with Server(data, "--workers", "1") as server, client(server.url) as http:
        job_id = submit(http, b"not a picture")
        assert wait(http, job_id)["status"] == "FAILED"
        embedded = Embedded(data)
        row = (
            job_id,
            b'{"job_id":"%s","key":"k","group":"local"}' % job_id.encode(),
            5,
            time.time(),
            "Too often.",
        )
        with embedded._database.writing() as write:
            write.run("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?)", row)
        embedded.close()
        listed = safelight("dlq", "ls", "--json", "--data", data)
        [letter] = json.loads(listed.stdout)
        assert (letter["status"], letter["code"]) == ("FAILED", "type_not_allowed")
        assert letter["queueReason"] == "Too often."
        done = safelight("dlq", "redrive", "--all", "--json", "--data", data)
        assert json.loads(done.stdout) == [{"jobId": job_id, "outcome": "retried"}]
        job = wait(http, job_id)
        assert [moment["status"] for moment in job["timeline"]].count("FAILED") == 2
        assert safelight("dlq", "ls", "--data", data).stdout == "No dead letters.\n"


def test_purging_asks(store: Store) -> None:
    """Without anybody to ask nothing goes; --yes says yes, and twice is the same."""
    store.queued()
    store.give_up()
    code, out, err = store.run("dlq", "purge")
    assert (code, out) == (2, "")
    assert "--yes" in err
    assert store.run("dlq", "purge", "--yes") == (0, "1 dead letter is gone.\n", "")
    code, out, _ = store.run("dlq", "purge", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"purged": 0})


def test_a_sweep_by_hand(store: Store) -> None:
    """It does what is due and says what that was; then there is nothing more to do."""
    job = store.queued()
    store.embedded.jobs.update(job.id, lambda job: job.looked_at(due_at=1.0))
    store.embedded.jobs.create(_long_gone(store))
    code, out, err = store.run("sweep", "--json")
    assert (code, json.loads(out), err) == (0, {"woken": 1, "expired": 1, "told": 1}, "")
    assert store.run("sweep") == (0, "Nothing was due.\n", "")


def test_a_sweep_of_orphans(store: Store) -> None:
    """Old files without a job go, when they are asked for; those of a job stay."""
    job = store.queued()
    key = f"uploads/{new_id()}/lost.jpg"
    store.embedded.blobs.put(key, io.BytesIO(b"lost"), content_type="image/jpeg")
    for path in (store.folder / "files").rglob("*"):
        os.utime(path, (1.0, 1.0))
    assert store.run("sweep", "--orphans") == (0, "1  orphans  jobs' folders without a job, removed\n", "")
    assert store.embedded.blobs.head(key) is None
    assert store.embedded.blobs.head(job.upload.key) is not None


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["dlq", "show", "nobody"], 1),
        (["dlq", "redrive", "nobody"], 1),
        (["dlq", "redrive"], 2),
        (["dlq", "redrive", "a", "--all"], 2),
        (["dlq", "ls", "--limit", "0"], 2),
        (["dlq", "ls", "--stack", "x"], 2),
        (["sweep", "--seconds", "0"], 2),
        (["sweep", "--nonsense"], 2),
    ],
)
def test_exit_codes(store: Store, words: list[str], code: int) -> None:
    """1 if it could not be done, 2 if it was not understood, each with one line."""
    found, _, err = store.run(*words)
    assert found == code
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", [["dlq", "ls"], ["sweep"]])
def test_a_folder_without_a_store_is_left_alone(tmp_path: Path, command: list[str]) -> None:
    """The wrong folder is a mistake of the configuration, and nothing is made in it."""
    done = safelight(*command, "--data", tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (3, "")
    assert "SAFELIGHT_DATA" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_dead_letters_that_wake_nobody_stay(store: Store) -> None:
    """The letter of a message without a key is shown and kept."""
    store.embedded.queue.send(Wake(job_id="x", key="", group=""))
    store.give_up()
    code, out, _ = store.run("dlq", "redrive", "--all")
    assert (code, out) == (0, "x  kept  not a job's message: look at it with `dlq show`\n")


def _long_gone(store: Store) -> Job:
    job = store.service.request_upload("local", UploadRequest())
    store.embedded.jobs.delete(job.id)
    past = time.time() - 9_000
    return msgspec.structs.replace(job, created_at=past, updated_at=past, due_at=past)
