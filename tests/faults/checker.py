"""Holds a data folder to the nine invariants, from outside: it reads the store, the files and what clients were told,
and uses nothing of Safelight.

    1  one end each, in bounded time
    2  COMPLETED: each output exists, decodes, and its digest is the job's
    3  no output and no upload is ever seen half-written or replaced
    4  ends stay; one notice a transition, delivered at least once
    5  what was acknowledged is there
    6  duplicates and reordering change nothing
    7  a poison job delays no other
    8  a rerun gives the same digest
    9  nothing is left behind after a sweep
"""

import hashlib
import io
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from tests.faults.promises import Promises

ENDS = {"COMPLETED", "FAILED", "EXPIRED", "CANCELED"}


class Violation(NamedTuple):
    """An invariant that does not hold, and where."""

    invariant: int
    where: str
    what: str


class Sighting(NamedTuple):
    """A file as somebody saw it."""

    inode: int
    sha256: str


class Folder:
    """A data folder as it lies there. Nobody may be writing."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with sqlite3.connect(f"file:{data / 'safelight.db'}?mode=ro", uri=True) as store:
            self.damage = [str(row[0]) for row in store.execute("PRAGMA integrity_check")]
            rows = store.execute("SELECT id, state, revision, document FROM jobs").fetchall()
            self.columns = {row[0]: (row[1], row[2]) for row in rows}
            self.jobs: dict[str, dict[str, Any]] = {row[0]: json.loads(row[3]) for row in rows}
            documents = store.execute("SELECT document FROM notices").fetchall()
            self.notices = [json.loads(row[0]) for row in documents]
            queued = "SELECT key FROM records WHERE partition LIKE 'webhook-queue-%'"
            self.queued = [row[0] for row in store.execute(queued)]
            self.messages = [row[0] for row in store.execute("SELECT job_id FROM messages")]
            self.dead_letters = [row[0] for row in store.execute("SELECT job_id FROM dead_letters")]
            [self.depth] = store.execute("SELECT depth FROM queue").fetchone()
        store.close()
        self.outputs = {str(path.relative_to(data / "files")): path for path in files(data, "processed")}
        self.uploads = {str(path.relative_to(data / "files")): path for path in files(data, "uploads")}
        self.temporary = [path.name for path in (data / "tmp").iterdir()]

    def upload_of(self, job: dict[str, Any]) -> Path | None:
        """The file that the job works on."""
        source = job.get("source")
        if source is None:
            return None
        folder, _, name = source["key"].rpartition("/")
        return self.uploads.get(f"{folder}/{source['version']}-{name}")


def files(data: Path, kind: str) -> Iterator[Path]:
    """The files of a data folder that can be seen: `uploads` or `processed`."""
    return (path for path in (data / "files" / kind).rglob("*") if path.is_file())


def sightings(data: Path, known: Collection[str] = ()) -> dict[str, Sighting]:
    """Every output that can be seen now, but for those already known. Files may come and go meanwhile."""
    seen = {}
    for path in files(data, "processed"):
        if str(path.relative_to(data / "files")) in known:
            continue
        try:
            with path.open("rb") as file:
                content = file.read()
            seen[str(path.relative_to(data / "files"))] = Sighting(path.stat().st_ino, _sha256(content))
        except FileNotFoundError:
            continue
    return seen


def check(
    data: Path,
    told: Promises,
    *,
    seen: dict[str, Sighting] | None = None,
    within: float = 1800.0,
    poison: Collection[str] = (),
    patience: float = float("inf"),
    swept: bool = True,
) -> list[Violation]:
    """Everything that does not hold.

    `seen` are outputs as they were seen meanwhile. An upload has to end `within` seconds of its acknowledgement,
    and within `patience` if it is not one of the `poison` jobs. `swept` says that everything is over, and that a
    sweep after that has tidied up.
    """
    folder = Folder(data)
    found = [
        *_one_end(folder, told, within if swept else float("inf"), swept=swept),
        *_outputs(folder, told),
        *_whole(folder, told, seen or {}),
        *_notices(folder, told),
        *_acknowledged(folder, told),
        *_duplicates(folder),
        *_same_digest(folder),
    ]
    if swept:
        found += [
            *_hooked(folder, told),
            *_delayed(folder, told, poison, patience),
            *_left_behind(folder, told),
            *_batches(told),
        ]
    return found


def _one_end(folder: Folder, told: Promises, within: float, *, swept: bool) -> Iterator[Violation]:
    for job_id, job in folder.jobs.items():
        state = job["state"]
        if swept and state not in ENDS:
            yield Violation(1, job_id, f"it is {state} ({job['stage']}) for ever")
        if job_id in told.uploaded and state in ENDS:
            took = job["updated_at"] - told.uploaded[job_id][1]
            if took > within:
                yield Violation(1, job_id, f"it took {took:.0f} s")
        if (state, job.get("revision", 1)) != folder.columns[job_id]:
            yield Violation(1, job_id, "the columns of the store say something else than the job")


def _outputs(folder: Folder, told: Promises) -> Iterator[Violation]:
    for job_id, job in folder.jobs.items():
        if job_id in told.deleting:
            continue  # files go before the record that says where they are
        outputs = job.get("outputs", [])
        if (job["state"] == "COMPLETED") != bool(outputs):
            yield Violation(2, job_id, f"it is {job['state']} with {len(outputs)} outputs")
        for output in outputs:
            path = folder.outputs.get(output["key"])
            if path is None:
                yield Violation(2, job_id, f"{output['key']} is not there")
                continue
            content = path.read_bytes()
            if (len(content), _sha256(content)) != (output["bytes"], output["sha256"]):
                yield Violation(2, job_id, f"{output['key']} is not what the job says")
            elif _size(content) != (output["width"], output["height"]):
                yield Violation(2, job_id, f"{output['key']} does not decode to its size")


def _whole(folder: Folder, told: Promises, seen: dict[str, Sighting]) -> Iterator[Violation]:
    for key, path in folder.outputs.items():
        if _size(path.read_bytes()) is None:
            yield Violation(3, key, "half an output can be seen")
    named = {output["key"] for job in folder.jobs.values() for output in job.get("outputs", [])}
    now = sightings(folder.data)
    for key, sighting in seen.items():
        if key in now and now[key] != sighting:
            yield Violation(3, key, "it was replaced after somebody had seen it")
        if key not in now and key in named and key.split("/")[2] not in told.deleting:
            yield Violation(3, key, "it was seen and is gone, and its job names it")
    for key, path in folder.uploads.items():
        if _sha256(path.read_bytes()) not in told.sent:
            yield Violation(3, key, "an upload can be seen that nobody sent like that")


def _notices(folder: Folder, told: Promises) -> Iterator[Violation]:
    ids: dict[str, set[str]] = defaultdict(set)
    states: dict[str, list[str]] = defaultdict(list)
    waiting = [(notice["id"], notice["job_id"], notice["state"]) for notice in folder.notices]
    for notice, job_id, state in {*told.notices, *waiting}:
        ids[job_id].add(notice)
        states[job_id].append(state)
    for job_id, job in folder.jobs.items():
        moments = [moment["state"] for moment in job.get("timeline", [])]
        for before, after in pairwise(moments):
            if before in ENDS and after != "PENDING":
                yield Violation(4, job_id, f"it was {before} and became {after}")
        for state in told.answered.get(job_id, set()):
            if state not in moments:
                yield Violation(4, job_id, f"a client saw it {state}, and its timeline does not know")
        ended = [state for state in moments if state in ENDS]
        if sorted(states[job_id]) != sorted(ended) or len(ids[job_id]) != len(ended):
            yield Violation(4, job_id, f"it became {ended}, and the notices are {sorted(ids[job_id])}")
    for job_id in set(ids) - set(folder.jobs) - told.deleting:
        yield Violation(4, job_id, "a notice is about a job that there is not")


def _hooked(folder: Folder, told: Promises) -> Iterator[Violation]:
    """Every notice was delivered to the webhook that wants them all, under one id; a job that was being deleted may
    have ended unseen."""
    if not told.registered:
        return
    sent = {(message, job_id) for message, job_id, _ in told.hooked}
    for notice, job_id, _ in told.notices:
        if (notice.replace(".", "_"), job_id) not in sent:
            yield Violation(4, job_id, f"the webhook was not told of {notice}")
    for message, job_id, _ in told.hooked:
        if message.rpartition("_")[0] != job_id:
            yield Violation(4, job_id, f"the webhook was told of it as {message}")
    for entry in folder.queued:
        yield Violation(9, entry, "a delivery that waits for ever")


def _acknowledged(folder: Folder, told: Promises) -> Iterator[Violation]:
    if folder.damage != ["ok"]:
        yield Violation(5, "safelight.db", "; ".join(folder.damage))
    for job_id in told.requested - told.deleting - set(folder.jobs):
        yield Violation(5, job_id, "it was created, and is not there")
    for job_id in told.deleted & set(folder.jobs):
        yield Violation(5, job_id, "it was deleted, and is there")
    for job_id in told.canceled & set(folder.jobs):
        if folder.jobs[job_id]["state"] != "CANCELED":
            yield Violation(5, job_id, "it was canceled, and is not")
    for job_id, (sha256, _) in told.uploaded.items():
        job = folder.jobs.get(job_id)
        if job is None or job_id in told.deleting:
            continue
        path = folder.upload_of(job)
        if path is None:
            # Until the sweeper has looked, the file alone is there.
            if not any(key.startswith(f"uploads/{job_id}/") for key in folder.uploads):
                yield Violation(5, job_id, "its upload was acknowledged, and is not there")
        elif _sha256(path.read_bytes()) != sha256:
            yield Violation(5, job_id, "its upload is not what was acknowledged")
        if job["state"] == "EXPIRED":
            yield Violation(5, job_id, "it was uploaded, and is EXPIRED")


def _duplicates(folder: Folder) -> Iterator[Violation]:
    if folder.depth != len(folder.messages):
        yield Violation(
            6, "queue", f"its depth is {folder.depth} and it holds {len(folder.messages)} messages"
        )
    for job_id, job in folder.jobs.items():
        ended = Counter(moment["state"] for moment in job.get("timeline", []) if moment["state"] in ENDS)
        if ended["COMPLETED"] > 1:
            yield Violation(6, job_id, f"it was completed {ended['COMPLETED']} times")
        attempts = {output["key"].rpartition("/")[0] for output in job.get("outputs", [])}
        if len(attempts) > 1:
            yield Violation(6, job_id, "its outputs come from several attempts")


def _same_digest(folder: Folder) -> Iterator[Violation]:
    digests: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for job in folder.jobs.values():
        for output in job.get("outputs", []):
            digests[job["source"]["sha256"], job["recipe"]["digest"], output["name"]].add(output["sha256"])
    for of, found in digests.items():
        if len(found) > 1:
            yield Violation(
                8, of[0], f"one file and one recipe gave {len(found)} different outputs {of[2]!r}"
            )


def _batches(told: Promises) -> Iterator[Violation]:
    for batch, notices in told.batches.items():
        if len(notices) != 1:
            yield Violation(4, batch, f"it is over, and the notices about it are {sorted(notices)}")


def _delayed(folder: Folder, told: Promises, poison: Collection[str], patience: float) -> Iterator[Violation]:
    for job_id, (_, at) in told.uploaded.items():
        job = folder.jobs.get(job_id)
        if job is not None and job_id not in poison and job["updated_at"] - at > patience:
            yield Violation(7, job_id, f"it waited {job['updated_at'] - at:.0f} s")


def _left_behind(folder: Folder, told: Promises) -> Iterator[Violation]:
    for name in folder.temporary:
        yield Violation(9, name, "an unfinished file")
    named = {output["key"] for job in folder.jobs.values() for output in job.get("outputs", [])}
    for key in folder.outputs.keys() - named:
        yield Violation(9, key, "an output that no job names")
    for key in folder.uploads:
        if key.split("/")[1] not in folder.jobs:
            yield Violation(9, key, "an upload without a job")
    for job_id in folder.messages:
        yield Violation(9, job_id, "a message, and all jobs have ended")
    for notice in folder.notices:
        yield Violation(9, notice["job_id"], f"the notice {notice['id']} was not delivered")
    for job_id, job in folder.jobs.items():
        if job.get("claim") is not None:
            yield Violation(9, job_id, "it has ended and is claimed")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _size(content: bytes) -> tuple[int, int] | None:
    """The size of the picture in these bytes, all of its pixels read; None if there is none."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            return picture.size
    except (OSError, SyntaxError, ValueError):
        return None
