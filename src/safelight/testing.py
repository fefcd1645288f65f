"""The ports in memory, for tests: Safelight's own and those of programs that build on it.

They keep the same contracts as the real backends and pass the same contract suite. Nothing is written to the disk and
nothing outlives the process; any number of threads may use them.

    clock = Clock()
    ports = in_memory(clock)
    ports.queue.send(Wake(job_id="1", key="uploads/1/a.jpg", group="me"))
    clock.advance(60)
"""

import base64
import hashlib
import io
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from safelight.cursors import pack, unpack
from safelight.errors import (
    BlobExists,
    BlobNotFound,
    EmptyFile,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    JobNotFound,
    PartsGone,
    RecordConflict,
    RendererUnavailable,
)
from safelight.model import MINUTE, Job, JobState, Notice, Source, Wake, notice_of, public_path
from safelight.ports import (
    LEAST_PART,
    LINKS_SIGNED_EVERY,
    MINUTES_KEPT,
    TROUBLES_KEPT,
    Backlog,
    BlobInfo,
    DeadLetter,
    Delivery,
    Fate,
    Minute,
    Page,
    Part,
    PartGrant,
    Ports,
    Record,
    Rendered,
    Rendering,
    Trouble,
    UploadGrant,
    UploadLink,
)

T = TypeVar("T")

MAX_RECEIVES: Final = 5
"""How often a message is handed out; instead of once more it moves to the dead letters."""


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def in_memory(clock: Callable[[], float] = time.time) -> Ports:
    """Every port, in memory."""
    blobs = Blobs(clock)
    jobs = Jobs()
    queue = Queue(clock)
    return Ports(
        clock=clock,
        blobs=blobs,
        links=Links(clock),
        multiparts=Multiparts(blobs, clock),
        jobs=jobs,
        notices=jobs.notices,
        queue=queue,
        inbox=queue,
        dead_letters=queue,
        watch=Watch(jobs, queue, clock),
        records=Records(clock),
        renderer=Renderer(),
    )


# --- files ------------------------------------------------------------------------------------------------


class Blobs:
    """The `Blobs` port in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, list[tuple[BlobInfo, bytes]]] = {}
        self.unfinished: dict[tuple[str, str], dict[int, tuple[Part, bytes]]] = {}
        """Uploads in parts, by key and name."""

    def head(self, key: str, version: str | None = None) -> BlobInfo | None:
        """The newest version, or the one asked for."""
        found = self._find(key, version)
        return found[0] if found else None

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """A readable, seekable file with a descriptor of its own."""
        found = self._find(key, version)
        if found is None:
            raise BlobNotFound
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(found[1])
        file.flush()
        file.seek(0)
        return file

    def put(self, key: str, file: IO[bytes], *, content_type: str) -> BlobInfo:  # noqa: ARG002 - the port has it
        """Store `file` from its beginning to its end."""
        parts = key.split("/")
        if parts[0] not in ("uploads", "processed") or len(parts) < 2 or {"", ".", ".."} & set(parts):
            raise InvalidRequest("A key begins with uploads/ or processed/ and has no empty or dotted part.")
        file.seek(0)
        content = file.read()
        with self._lock:
            versions = self._objects.setdefault(key, [])
            if versions and key.startswith("processed/"):
                raise BlobExists
            number = int(versions[-1][0].version) + 1 if versions else 1
            info = BlobInfo(key=key, version=f"{number:06}", bytes=len(content), modified_at=self._clock())
            versions.append((info, content))
        return info

    def delete(self, *prefixes: str) -> int:
        """Erase every version of every object below each prefix, or of the one object that is called so."""

        def meant(key: str) -> bool:
            return any(_below(key, prefix) for prefix in prefixes)

        with self._lock:
            gone = [key for key in self._objects if meant(key)]
            for key in gone:
                del self._objects[key]
            for begun in [each for each in self.unfinished if meant(each[0])]:
                del self.unfinished[begun]
        return len(gone)

    def list(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[BlobInfo]:
        """The newest versions of the objects below `prefix`, ordered by key."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._lock:
            found = [versions[-1][0] for versions in self._objects.values()]
        items = sorted((i for i in found if _below(i.key, prefix) and i.key > after), key=lambda i: i.key)
        return _page(items, limit, lambda item: (item.key,))

    def folders(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """The names directly below `prefix` that have something below them."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._lock:
            below = [key[len(prefix) :] for key in self._objects if key.startswith(prefix)]
        folders = sorted({f"{name.partition('/')[0]}/" for name in below if "/" in name})
        return _page([name[:-1] for name in folders if name > f"{after}/"], limit, lambda name: (name,))

    def _find(self, key: str, version: str | None) -> tuple[BlobInfo, bytes] | None:
        with self._lock:
            versions = self._objects.get(key, [])
            return next((v for v in reversed(versions) if version in (None, v[0].version)), None)


def _below(key: str, prefix: str) -> bool:
    return key.startswith(prefix) if prefix.endswith("/") else key == prefix


class Links:
    """The `Links` port with URLs that lead nowhere but say what they allow; `uploads` keeps each grant by URL."""

    def __init__(
        self, clock: Callable[[], float] = time.time, base_url: str = "https://storage.invalid"
    ) -> None:
        self._clock = clock
        self._base_url = base_url
        self.publishes = True
        self.uploads: dict[str, UploadGrant] = {}

    def upload(self, grant: UploadGrant) -> UploadLink:
        """A URL that takes one upload of this kind."""
        headers = {} if grant.content_type is None else {"Content-Type": grant.content_type}
        if grant.sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(grant.sha256)).decode()
        if grant.crc32 is not None:
            headers["x-amz-checksum-crc32"] = base64.b64encode(bytes.fromhex(grant.crc32)).decode()
        if not grant.overwrite:
            headers["If-None-Match"] = "*"
        if grant.size is not None and grant.method == "PUT":
            headers["Content-Length"] = str(grant.size)
        expires = self._clock() + grant.expires_in
        url = self._url(grant.key, method=grant.method, expires=f"{expires:.0f}", nonce=secrets.token_hex(8))
        self.uploads[url] = grant
        if grant.method == "POST":
            return UploadLink(method="POST", url=url, fields={"key": grant.key, **headers})
        return UploadLink(method=grant.method, url=url, headers=headers)

    def download(self, key: str, *, filename: str, content_type: str, inline: bool = False) -> str:
        """A URL that gives the object as `content_type`, to be saved as `filename`."""
        begin = int(self._clock()) // LINKS_SIGNED_EVERY * LINKS_SIGNED_EVERY
        expires = str(begin + LINKS_SIGNED_EVERY + 3600)
        disposition = "inline" if inline else "attachment"
        return self._url(
            key, method="GET", expires=expires, type=content_type, disposition=disposition, filename=filename
        )

    def public(self, key: str) -> str | None:
        """The address at which everybody gets the object."""
        path = public_path(key) if self.publishes else None
        return path and f"{self._base_url}/public/{path}"

    def _url(self, key: str, **parameters: str) -> str:
        return f"{self._base_url}/{quote(key)}?{urlencode(parameters, quote_via=quote)}"


class Multiparts:
    """The `Multiparts` port in memory. `put` is what a client would do with the URL that `link` gave."""

    def __init__(self, blobs: Blobs, clock: Callable[[], float] = time.time) -> None:
        self._blobs = blobs
        self._clock = clock
        self._lock = threading.Lock()
        self._uploads = blobs.unfinished
        self._grants: dict[str, PartGrant] = {}

    def begin(self, key: str, *, content_type: str | None = None) -> str:  # noqa: ARG002 - the port has it
        """Begin an object."""
        upload = secrets.token_hex(8)
        with self._lock:
            self._uploads[key, upload] = {}
        return upload

    def link(self, grant: PartGrant) -> UploadLink:
        """A URL that takes one part."""
        url = f"https://storage.invalid/{quote(grant.key)}?uploadId={grant.upload}&partNumber={grant.number}"
        self._grants[url] = grant
        return UploadLink(method="PUT", url=url, headers={"Content-Length": str(grant.bytes)})

    def put(self, url: str, content: bytes) -> Part:
        """Send a part to its URL. Raise PartsGone."""
        grant = self._grants[url]
        assert len(content) == grant.bytes, "the length is signed"
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        part = Part(number=grant.number, etag=etag, bytes=len(content))
        with self._lock:
            self._of(grant.key, grant.upload)[grant.number] = (part, content)
        return part

    def parts(self, key: str, upload: str, *, after: int = 0, limit: int = 1000) -> tuple[Part, ...]:
        """The parts that are there, in order."""
        with self._lock:
            found = sorted(self._of(key, upload).items())
        return tuple(part for number, (part, _) in found if number > after)[:limit]

    def complete(self, key: str, upload: str, parts: Sequence[Part], *, overwrite: bool = True) -> BlobInfo:
        """Make one object of these parts."""
        numbers = [part.number for part in parts]
        if numbers != sorted(set(numbers)):
            raise InvalidPartOrder
        with self._lock:
            found = self._of(key, upload)
            if not parts or any(
                n not in found or found[n][0].etag != p.etag for n, p in zip(numbers, parts, strict=True)
            ):
                raise InvalidPart
            if any(found[number][0].bytes < LEAST_PART for number in numbers[:-1]):
                raise EntityTooSmall
            if not overwrite and self._blobs.head(key):
                raise BlobExists
            content = b"".join(found[number][1] for number in numbers)
            info = self._blobs.put(key, io.BytesIO(content), content_type="")
            del self._uploads[key, upload]
        return info

    def abort(self, key: str, upload: str) -> None:
        """Forget the upload and its parts."""
        with self._lock:
            self._uploads.pop((key, upload), None)

    def _of(self, key: str, upload: str) -> dict[int, tuple[Part, bytes]]:
        if (key, upload) not in self._uploads:
            raise PartsGone
        return self._uploads[key, upload]


# --- jobs -------------------------------------------------------------------------------------------------


class Jobs:
    """The `Jobs` port in memory; `notices` is its outbox."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self.notices = Notices()
        self.ended: list[Job] = []
        """Every job as it was at each of its ends."""

    def create(self, job: Job) -> None:
        """Store a new job."""
        with self._lock:
            self._jobs.setdefault(job.id, job)

    def create_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs."""
        for job in jobs:
            self.create(job)

    def read(self, job_ids: Sequence[str]) -> tuple[Job, ...]:
        """Those of these jobs that there are."""
        with self._lock:
            return tuple(self._jobs[job_id] for job_id in job_ids if job_id in self._jobs)

    def get(self, job_id: str) -> Job:
        """The job as last written."""
        with self._lock:
            if job_id not in self._jobs:
                raise JobNotFound
            return self._jobs[job_id]

    def update(self, job_id: str, change: Callable[[Job], Job], *, known: Job | None = None) -> Job:
        """Apply a transition."""
        before = known or self.get(job_id)
        while True:
            # Not under the lock: as on the real backends, somebody else may write while the change is worked out.
            after = change(before)
            with self._lock:
                newest = self.get(job_id)
                if newest.revision == before.revision:
                    if after is not before:
                        self._jobs[job_id] = after
                        self.notices.store(notice_of(before, after))
                        if after.state is not before.state and after.state.terminal:
                            self.ended.append(after)
                        return after
                    return newest
            before = newest

    def delete(self, job_id: str) -> None:
        """Erase the record."""
        with self._lock:
            self._jobs.pop(job_id, None)

    def due(self, now: float, *, limit: int = 100) -> list[Job]:
        """Jobs whose `due_at` has passed, the longest overdue first."""
        with self._lock:
            found = [(job.due_at, job) for job in self._jobs.values() if job.due_at is not None]
        overdue = sorted((each for each in found if each[0] <= now), key=lambda each: each[0])
        return [job for _, job in overdue[:limit]]

    def all(self) -> list[Job]:
        """Every job there is."""
        with self._lock:
            return [*self._jobs.values()]

    def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Which of these jobs there are."""
        with self._lock:
            return frozenset(job_id for job_id in job_ids if job_id in self._jobs)

    def list(
        self, owner: str, *, state: JobState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Job]:
        """The owner's jobs, newest first."""
        before = tuple(unpack(cursor, float, str)) if cursor is not None else None
        with self._lock:
            found = [job for job in self._jobs.values() if job.owner == owner and state in (None, job.state)]
        found = [job for job in found if before is None or (job.created_at, job.id) < before]
        found.sort(key=lambda job: (job.created_at, job.id), reverse=True)
        return _page(found, limit, lambda job: (job.created_at, job.id))


class Notices:
    """The `Notices` port in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notices: dict[str, tuple[float, Notice]] = {}

    def store(self, notice: Notice | None) -> None:
        """Keep what a write of a job needs to tell."""
        if notice is not None:
            with self._lock:
                self._notices.setdefault(notice.id, (notice.at, notice))

    def pending(self, now: float, *, limit: int = 100) -> list[Notice]:
        """Notices to deliver now, the longest due first."""
        with self._lock:
            due = sorted((at, name) for name, (at, _) in self._notices.items() if at <= now)
            return [self._notices[name][1] for _, name in due[:limit]]

    def settle(self, notice_id: str) -> None:
        """The notice is delivered, or nobody wants it."""
        with self._lock:
            self._notices.pop(notice_id, None)

    def postpone(self, notice_id: str, until: float) -> None:
        """Delivery failed; hand the notice out again from then."""
        with self._lock:
            if notice_id in self._notices:
                self._notices[notice_id] = (until, self._notices[notice_id][1])


# --- the queue --------------------------------------------------------------------------------------------


class _Message(msgspec.Struct):
    wake: Wake
    turn: int
    number: int
    visible_at: float
    received: int = 0
    receipt: str | None = None
    again_at: float | None = None
    hidden: bool = False


class Queue:
    """The `Queue`, `Inbox` and `DeadLetters` ports in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._messages: dict[str, _Message] = {}
        self._dead: dict[str, DeadLetter] = {}
        self._turn = 0
        self._sent = 0
        self._stopped = False

    def send(self, wake: Wake, *, delay: float = 0.0) -> None:
        """Wake a worker for this job."""
        at = self._clock() + max(delay, 0.0)
        with self._changed:
            message = self._messages.get(wake.job_id)
            if message is None:
                turn = max(self._turn, self._last_turn(wake.group)) + 1
                self._sent += 1
                new = _Message(wake=wake, turn=turn, number=self._sent, visible_at=at, hidden=delay > 0)
                self._messages[wake.job_id] = new
            elif message.receipt is not None:
                message.again_at = at if message.again_at is None else min(at, message.again_at)
            else:
                message.visible_at = min(at, message.visible_at)
            self._changed.notify_all()

    def depth(self) -> int:
        """How many messages wait or are in flight."""
        with self._changed:
            return len(self._messages)

    def receive(self, *, wait: float, visibility: float) -> Delivery | None:
        """The next message; None after `wait` seconds without one."""
        deadline = time.monotonic() + wait
        with self._changed:
            while not self._stopped:
                if delivery := self._take(visibility):
                    return delivery
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                soonest = min((m.visible_at for m in self._messages.values()), default=float("inf"))
                self._changed.wait(min(left, max(soonest - self._clock(), 0.001)))
        return None

    def ack(self, delivery: Delivery) -> None:
        """The message is done with."""
        with self._changed:
            if message := self._held(delivery):
                if message.again_at is None:
                    del self._messages[message.wake.job_id]
                else:
                    self._hide(message, message.again_at, received=0)

    def extend(self, delivery: Delivery, visibility: float) -> None:
        """Keep the message hidden for that long from now."""
        with self._changed:
            if message := self._held(delivery):
                message.visible_at, message.hidden = self._clock() + visibility, True

    def retry(self, delivery: Delivery, delay: float) -> None:
        """Hand the message out again after `delay` seconds."""
        at = self._clock() + max(delay, 0.0)
        with self._changed:
            if message := self._held(delivery):
                again = at if message.again_at is None else min(at, message.again_at)
                self._hide(message, again, received=message.received)
                if delay > 0:
                    message.turn = max(self._turn, self._last_turn(message.wake.group)) + 1

    def stop(self) -> None:
        """Let every `receive` return, now and later."""
        self._stopped = True
        # A signal handler can interrupt the very thread that holds the lock: another thread does the waking.
        threading.Thread(target=self._wake_all, daemon=True).start()

    def dead(self, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """The dead letters, ordered by job."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._changed:
            letters = [self._dead[job_id] for job_id in sorted(self._dead) if job_id > after]
        return _page(letters, limit, lambda letter: (letter.wake.job_id,))

    def redrive(self, job_id: str) -> bool:
        """Put the dead letter of this job back into the queue. False if there is none."""
        with self._changed:
            letter = self._dead.pop(job_id, None)
            if letter is not None:
                self.send(letter.wake)
        return letter is not None

    def waiting_since(self) -> float | None:
        """When the longest waiting message could have been taken first; None if none waits."""
        with self._changed:
            waiting = (message.visible_at for message in self._messages.values())
            return min((at for at in waiting if at <= self._clock()), default=None)

    def settle(self, fate_of: Callable[[DeadLetter], Fate]) -> int:
        """Do with each dead letter what `fate_of` says; how many are gone."""
        gone = 0
        for letter in self.dead(limit=len(self._dead)).items:
            fate = fate_of(letter)
            with self._changed:
                if fate is Fate.KEEP or self._dead.get(letter.wake.job_id) is not letter:
                    continue
                del self._dead[letter.wake.job_id]
                gone += 1
                if fate is Fate.SEND:
                    self.send(letter.wake)
        return gone

    def _wake_all(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _take(self, visibility: float) -> Delivery | None:
        now = self._clock()
        for message in self._messages.values():
            if message.hidden and message.visible_at <= now:
                message.hidden, message.turn = False, max(message.turn, self._turn + 1)
        waiting = sorted(
            (m for m in self._messages.values() if not m.hidden), key=lambda m: (m.turn, m.number)
        )
        for message in waiting:
            if message.received >= MAX_RECEIVES:
                self._bury(message)
                continue
            self._turn = max(self._turn, message.turn)
            message.receipt = secrets.token_hex(8)
            message.received += 1
            message.visible_at, message.hidden, message.again_at = now + visibility, True, None
            return Delivery(wake=message.wake, receipt=message.receipt, received=message.received)
        return None

    def _last_turn(self, group: str) -> int:
        return max((m.turn for m in self._messages.values() if m.wake.group == group), default=0)

    def _hide(self, message: _Message, until: float, *, received: int) -> None:
        message.visible_at, message.hidden, message.received = until, True, received
        message.receipt = message.again_at = None
        self._changed.notify_all()

    def _held(self, delivery: Delivery) -> _Message | None:
        message = self._messages.get(delivery.wake.job_id)
        return message if message and message.receipt == delivery.receipt else None

    def _bury(self, message: _Message) -> None:
        reason = f"Received {MAX_RECEIVES} times without being acknowledged."
        del self._messages[message.wake.job_id]
        self._dead[message.wake.job_id] = DeadLetter(
            wake=message.wake, received=message.received, died_at=self._clock(), reason=reason
        )


# --- records ----------------------------------------------------------------------------------------------


class Watch:
    """The `Watch` port in memory: it looks at the jobs and messages themselves."""

    def __init__(self, jobs: Jobs, queue: Queue, clock: Callable[[], float] = time.time) -> None:
        self._jobs = jobs
        self._queue = queue
        self._clock = clock

    def backlog(self) -> Backlog:
        """What waits in the queue, and what it gave up."""
        since = self._queue.waiting_since()
        return Backlog(
            depth=self._queue.depth(),
            oldest_age=0.0 if since is None else self._clock() - since,
            dead=len(self._queue.dead(limit=1_000_000).items),
        )

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        return dict(Counter(job.state for job in self._jobs.all()))

    def working(self, *, limit: int = 100) -> list[Job]:
        """Jobs that a worker has claimed."""
        return [job for job in self._jobs.all() if job.claim is not None][:limit]

    def failures(self, *, limit: int = 20) -> list[Trouble]:
        """The newest failures."""
        return [
            Trouble(job_id=job.id, at=job.updated_at, code=job.failure.code, message=job.failure.message)
            for job in self._jobs.ended[::-1]
            if job.failure is not None
        ][: min(limit, TROUBLES_KEPT)]

    def minutes(self, since: float) -> list[Minute]:
        """The minutes in which jobs ended."""
        ends = Counter((job.updated_at // MINUTE * MINUTE, job.state) for job in self._jobs.ended)
        return [
            Minute(at=at, completed=ends[at, JobState.COMPLETED], failed=ends[at, JobState.FAILED])
            for at in sorted({at for at, _ in ends if at >= since // MINUTE * MINUTE})
            if ends[at, JobState.COMPLETED] or ends[at, JobState.FAILED]
        ][-MINUTES_KEPT:]


class Records:
    """The `Records` port in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._records: dict[tuple[str, str], Record] = {}

    def get(self, partition: str, key: str) -> Record | None:
        """The record as last written."""
        with self._lock:
            record = self._records.get((partition, key))
        return record if record and self._alive(record) else None

    def put(
        self,
        partition: str,
        key: str,
        value: bytes,
        *,
        expected: int | None = None,
        expires_at: float | None = None,
    ) -> Record:
        """Write if the record's version is `expected`."""
        with self._lock:
            before = self.get(partition, key)
            version = before.version if before else 0
            if expected is not None and expected != version:
                raise RecordConflict
            record = Record(
                partition=partition, key=key, value=value, version=version + 1, expires_at=expires_at
            )
            self._records[partition, key] = record
            return record

    def delete(self, partition: str, key: str) -> None:
        """Remove the record."""
        with self._lock:
            self._records.pop((partition, key), None)

    def list(
        self, partition: str, *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Record]:
        """The partition's records whose key begins with `prefix`, ordered by key."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._lock:
            records = [self._records[name] for name in sorted(self._records) if name[0] == partition]
        found = [r for r in records if r.key.startswith(prefix) and r.key > after and self._alive(r)]
        return _page(found, limit, lambda record: (record.key,))

    def _alive(self, record: Record) -> bool:
        return record.expires_at is None or record.expires_at > self._clock()


# --- pictures ---------------------------------------------------------------------------------------------


class Renderer:
    """The `Renderer` port without pictures: every output of a recipe is a copy of the original, 1 × 1 pixel by its
    own account. Errors put into `failures` are raised by the next renderings, one each."""

    def __init__(self, failures: Iterable[Exception] = ()) -> None:
        self.failures = list(failures)
        self.rendered: list[Source] = []
        self._closed = False

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        """Copy `file` once for each output."""
        if self._closed:
            raise RendererUnavailable
        if self.failures:
            raise self.failures.pop(0)
        file.seek(0)
        content = file.read()
        if not content:
            raise EmptyFile
        digest = hashlib.sha256(content).hexdigest()
        names: dict[str, Any] = msgspec.json.decode(recipe).get("outputs") or {"main": {}}
        primary = next((name for name, output in names.items() if output.get("primary")), next(iter(names)))
        outputs = tuple(
            Rendered(
                name=name,
                extension="jpg",
                content_type="image/jpeg",
                file=io.BytesIO(content),
                bytes=len(content),
                sha256=digest,
                width=1,
                height=1,
                primary=name == primary,
            )
            for name in names
        )
        self.rendered.append(source)
        known = msgspec.structs.replace(source, format="jpeg", width=1, height=1, frames=1, sha256=digest)
        return Rendering(source=known, outputs=outputs)

    def close(self) -> None:
        """Rendering is over."""
        self._closed = True


# --- pages ------------------------------------------------------------------------------------------------


def _page(items: list[T], limit: int, position: Callable[[T], tuple[Any, ...]]) -> Page[T]:
    cursor = pack(*position(items[limit - 1])) if len(items) > limit else None
    return Page(items=tuple(items[:limit]), cursor=cursor)
