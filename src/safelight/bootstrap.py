"""Puts Safelight together: the only place that picks a backend.

`build(settings)` gives a process its `System`: the use cases on a backend's ports, and what the entry points need
beside them. Two kinds know more: `build_on_one_machine` for the server, and `build_on_aws` for the functions.
`open_site(settings)` is for the one supervisor of an embedded installation: it owns the data folder.

A backend is imported when it is built.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from safelight.batches import Batches
from safelight.config import PREFIX, Settings
from safelight.dead_letters import Morgue
from safelight.errors import ConfigurationError
from safelight.imaging import SandboxedRenderer, check_formats
from safelight.keys import Keys
from safelight.model import Notice, Wake
from safelight.orphans import Orphans
from safelight.ports import DeadLetters, Ports
from safelight.previews import Previews
from safelight.recipes import Book
from safelight.service import Service
from safelight.sweeper import Sweeper, announce_to_log
from safelight.threads import cores
from safelight.webhooks import Webhooks

if TYPE_CHECKING:
    from safelight.backends.aws import Aws
    from safelight.backends.aws.sns import Letter
    from safelight.backends.embedded import Embedded
    from safelight.webhooks.courier import Courier, Payload, Sender

__all__ = [
    "Bell",
    "ChangeSource",
    "OnAws",
    "OnOneMachine",
    "Site",
    "System",
    "build",
    "build_on_aws",
    "build_on_one_machine",
    "check",
    "cores",
    "open_keys",
    "open_site",
    "open_store",
]

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class ChangeSource(Protocol):
    """Tells which jobs have changed: readable when there is something to read."""

    def fileno(self) -> int:
        """The descriptor to watch."""

    def read(self) -> list[str]:
        """Ids of jobs that have changed since the last call; never waits."""


class Bell(Protocol):
    """Wakes who sleeps on it. Drain, look for work, then sleep."""

    def drain(self) -> None:
        """Forget past rings."""

    def sleep(self, seconds: float) -> None:
        """Sleep until a ring, `stop`, or the end of the time."""

    def ring(self) -> None:
        """Wake the sleepers."""

    def stop(self) -> None:
        """Wake this process's sleepers for good. Safe in a signal handler."""


class System:
    """Safelight as one process sees it, on whatever backend."""

    def __init__(
        self, settings: Settings, ports: Ports, dead_letters: DeadLetters, renderer: SandboxedRenderer
    ) -> None:
        self.settings = settings
        self.service = Service(settings, ports, Book(settings))
        self.orphans = Orphans(ports)
        self.webhooks = Webhooks(settings, ports)
        self.sweeper = Sweeper(self.service, self._announce)
        self.dead_letters = dead_letters
        self.previews = Previews(settings, SandboxedRenderer)
        self._renderer = renderer

    def health(self) -> dict[str, bool]:
        """Which parts answer."""
        return self.service.health()

    def start_renderer(self) -> tuple[str, ...]:
        """Make the renderer ready for its first job; name the locks that hold its children on this machine."""
        return self._renderer.start()

    def stop_receiving(self) -> None:
        """Let this process's waiting worker go. Safe in a signal handler."""
        self.service.ports.inbox.stop()

    def courier(self, payload: "Payload", *, freed: Callable[[], None] = lambda: None) -> "Courier":
        """Who delivers webhooks; the caller closes it. `payload` makes the body of a delivery."""
        from safelight.webhooks.courier import Courier

        def sender() -> "Sender":
            from safelight.outgoing import Outgoing

            return Outgoing(loopback=self.settings.webhooks_to_loopback)

        return Courier(self.webhooks, payload, sender, freed=freed)

    def _announce(self, notice: Notice) -> None:
        self.webhooks.spread(notice)
        announce_to_log(notice)

    def morgue(self) -> Morgue:
        """The dead letters and what can be done about them. Raise ConfigurationError."""
        return Morgue(self.service, self.dead_letters)

    def backup(self, target: Path) -> tuple[int, int]:  # noqa: ARG002 - one machine uses it
        """Copy the whole store to a new folder; how many objects and bytes it has. Raise ConfigurationError."""
        raise ConfigurationError(
            "On AWS, tables can be restored to any second of 35 days, and buckets keep versions; "
            "AWS Backup copies both elsewhere."
        )

    def tend(self) -> None:
        """What the store needs from time to time: one process calls this every second or so."""

    def clean(self) -> None:
        """What the store needs with every sweep."""

    def close(self) -> None:
        """Stop drawing previews."""
        self.previews.close()


class OnOneMachine(System):
    """On the embedded backend: one process tree that serves the files too."""

    def __init__(
        self, settings: Settings, ports: Ports, embedded: "Embedded", renderer: SandboxedRenderer
    ) -> None:
        super().__init__(settings, ports, embedded.dead_letters, renderer)
        self.sweeper = Sweeper(self.service, self._announce, orphans=self.orphans)
        self._embedded = embedded

    @property
    def storage_paths(self) -> tuple[str, str]:
        """What the paths of signed URLs, and those of public outputs, begin with."""
        from safelight.backends.embedded import PUBLIC_PATH, STORAGE_PATH

        return STORAGE_PATH, PUBLIC_PATH

    def storage_app(self) -> ASGIApp:
        """What answers below `storage_paths`."""
        return self._embedded.storage(self._created, cors_origins=self.settings.cors_origins)

    @property
    def courier_bell(self) -> Bell:
        """Rings when there is something to be told or delivered."""
        return self._embedded.courier_bell

    def changes(self) -> ChangeSource:
        """Tells this process which jobs change, whoever changes them. One process at a time: the front."""
        return self._embedded.changes()

    def health(self) -> dict[str, bool]:
        return super().health() | {name: word == "ok" for name, word in self._embedded.health().items()}

    def backup(self, target: Path) -> tuple[int, int]:
        return self._embedded.backup(target)

    def tend(self) -> None:
        self._embedded.checkpoint()

    def clean(self) -> None:
        self._embedded.clean(self.service.ports.clock())

    def _created(self, key: str, version: str, size: int) -> None:
        self.service.dispatch(key, version, size)


class OnAws(System):
    """On AWS, where functions are handed what happens."""

    def __init__(self, settings: Settings, ports: Ports, aws: "Aws", renderer: SandboxedRenderer) -> None:
        super().__init__(settings, ports, aws.dead_letters, renderer)
        self._aws = aws
        self.batches = Batches(ports.records, ports.clock)
        """Counts the ends of jobs in batches, for whoever delivers notices."""

    def morgue(self) -> Morgue:
        _require(self.settings, "dead_letter_url")
        return super().morgue()

    def read_message(self, body: str) -> Wake | None:
        """What the body of a queue's message says, or None if it is not one of ours."""
        return self._aws.read_message(body)

    def notice_in(self, record: dict[str, Any]) -> Notice | None:
        """The notice that a record of the jobs table's stream carries, or None."""
        return self._aws.notice_in(record)

    def note_ends(self, records: Sequence[dict[str, Any]]) -> None:
        """Count the jobs that ended with these records of the stream, each of which carries a notice."""
        self._aws.watch.note([self._aws.job_in(record) for record in records])

    def announce(self, letters: "Sequence[Letter]") -> int:
        """Tell the topic of ends, each in its own words; return how many of the first were told. Raise
        StorageUnavailable, or ConfigurationError without a topic."""
        _require(self.settings, "topic_arn")
        return self._aws.announce(letters)


def build(settings: Settings, *, url: str = "") -> AbstractContextManager[System]:
    """Safelight on the backend that the settings name, for one process; closed when the block ends.

    `url` is where clients reach this process, if it answers them. Raise ConfigurationError.
    """
    return build_on_aws(settings) if settings.backend == "aws" else build_on_one_machine(settings, url=url)


@contextmanager
def open_store(settings: Settings) -> Iterator[System]:
    """Safelight for a command of the operator, beside whatever else works on the same store. Nothing is made that is
    not there. Raise ConfigurationError."""
    _insist(settings)
    with build(settings) as system:
        yield system


def is_there(settings: Settings) -> bool:
    """Whether the data folder holds a Safelight. On AWS that is not asked."""
    if settings.backend == "aws":
        return True
    from safelight.backends.embedded import Embedded

    return Embedded.lives_in(settings.data)


def _insist(settings: Settings) -> None:
    """Raise ConfigurationError if the data folder holds no Safelight."""
    if not is_there(settings):
        raise ConfigurationError(
            f"There is no Safelight in the folder {settings.data}; name its folder with --data or {PREFIX}DATA."
        )


@contextmanager
def build_on_one_machine(settings: Settings, *, url: str = "") -> Iterator[OnOneMachine]:
    """Safelight on the embedded backend. Raise ConfigurationError, also if the settings name another."""
    from safelight.backends.embedded import Embedded

    _only_embedded(settings)
    clock = time.time
    embedded = Embedded(
        settings.data,
        base_url=settings.public_url or url,
        clock=clock,
        download_seconds=settings.download_seconds,
        publishes=settings.public_outputs == "on",
    )
    renderer = SandboxedRenderer(settings)
    try:
        ports = Ports(
            clock=clock,
            blobs=embedded.blobs,
            links=embedded.links,
            multiparts=embedded.multiparts,
            jobs=embedded.jobs,
            notices=embedded.notices,
            queue=embedded.queue,
            inbox=embedded.inbox,
            dead_letters=embedded.dead_letters,
            watch=embedded.watch,
            records=embedded.records,
            renderer=renderer,
            together=embedded.together,
            wake_courier=embedded.wake_courier,
        )
        with closing(OnOneMachine(settings, ports, embedded, renderer)) as system:
            yield system
    finally:
        renderer.close()
        embedded.close()


@contextmanager
def build_on_aws(settings: Settings) -> Iterator[OnAws]:
    """Safelight on AWS. Nothing is asked of AWS before it is needed. Raise ConfigurationError."""
    from safelight.backends.aws import Aws

    _require(settings, *_NEEDED_ON_AWS)
    clock = time.time
    aws = Aws(
        region=settings.region,
        uploads_bucket=settings.uploads_bucket,
        processed_bucket=settings.processed_bucket,
        jobs_table=settings.jobs_table,
        records_table=settings.records_table,
        queue_url=settings.queue_url,
        dead_letter_url=settings.dead_letter_url,
        topic_arn=settings.topic_arn,
        retention=settings.retention_seconds,
        download_seconds=settings.download_seconds,
        outputs_url=settings.outputs_url if settings.public_outputs == "on" else "",
        clock=clock,
    )
    renderer = SandboxedRenderer(settings)
    try:
        ports = Ports(
            clock=clock,
            blobs=aws.blobs,
            links=aws.links,
            multiparts=aws.multiparts,
            jobs=aws.jobs,
            notices=aws.notices,
            queue=aws.queue,
            inbox=aws.inbox,
            dead_letters=aws.dead_letters,
            watch=aws.watch,
            records=aws.records,
            renderer=renderer,
        )
        with closing(OnAws(settings, ports, aws, renderer)) as system:
            yield system
    finally:
        renderer.close()
        aws.close()


_NEEDED_ON_AWS: Final = ("uploads_bucket", "processed_bucket", "jobs_table", "records_table", "queue_url")


def _require(settings: Settings, *names: str) -> None:
    missing = [PREFIX + name.upper() for name in names if not getattr(settings, name)]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)}: not set, and the aws backend needs it; the stack's outputs have the value."
        )


def _only_embedded(settings: Settings) -> None:
    if settings.backend != "embedded":
        raise ConfigurationError(
            f"{PREFIX}BACKEND is {settings.backend!r}, and the server of one machine is for 'embedded'; "
            "on AWS the stack serves, and only workers run as processes."
        )


WORKERS_A_CORE: Final = 16
"""At most: each worker has two processes beside it that render, and more than one a core only fill gaps."""


def check(settings: Settings) -> None:
    """Raise the ConfigurationError that every `build_on_one_machine` would raise, apart from the data folder's."""
    _only_embedded(settings)
    if settings.workers > (most := WORKERS_A_CORE * cores()):
        raise ConfigurationError(
            f"{PREFIX}WORKERS: {settings.workers} workers are more than this machine can use; it has {cores()} "
            f"core{'s' * (cores() > 1)}. Give {most} at most, or 0 for one a core."
        )
    Book(settings)
    _check_auth(settings)
    check_formats(settings)


_SIGNED_WITH_A_KEY_PAIR: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)


def _check_auth(settings: Settings) -> None:
    if settings.auth != "jwt":
        return
    missing = [
        PREFIX + n.upper() for n in ("jwt_issuer", "jwt_audience", "jwt_keys") if not getattr(settings, n)
    ]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)}: not set, and {PREFIX}AUTH=jwt needs it; your identity provider has the value."
        )
    if not settings.jwt_keys.startswith("https://") and not Path(settings.jwt_keys).is_file():
        raise ConfigurationError(
            f"{PREFIX}JWT_KEYS: expected an https address or a file of keys, received {settings.jwt_keys!r}."
        )
    if wrong := [name for name in settings.jwt_algorithms if name not in _SIGNED_WITH_A_KEY_PAIR]:
        known = ", ".join(sorted(_SIGNED_WITH_A_KEY_PAIR))
        raise ConfigurationError(f"{PREFIX}JWT_ALGORITHMS: expected some of {known}, received {wrong[0]!r}.")
    if find_spec("jwt") is None:
        raise ConfigurationError(f"{PREFIX}AUTH=jwt needs one more package: pip install 'safelight[jwt]'.")


@contextmanager
def open_keys(settings: Settings, *, new: bool = False) -> Iterator[Keys]:
    """The API keys of this backend. A data folder that holds no Safelight is begun if `new`. Raise ConfigurationError
    otherwise."""
    if not new:
        _insist(settings)
    clock = time.time
    if settings.backend == "aws":
        from safelight.backends.aws import Aws

        _require(settings, "records_table")
        aws = Aws(
            region=settings.region,
            uploads_bucket=settings.uploads_bucket,
            processed_bucket=settings.processed_bucket,
            jobs_table=settings.jobs_table,
            records_table=settings.records_table,
            queue_url=settings.queue_url,
            clock=clock,
        )
        try:
            yield Keys(aws.records, clock)
        finally:
            aws.close()
        return
    from safelight.backends.embedded import Embedded

    embedded = Embedded(settings.data)
    try:
        yield Keys(embedded.records, clock)
    finally:
        embedded.close()


class Site:
    """The data folder of an embedded installation, in the hands of its one supervisor."""

    def __init__(self, embedded: "Embedded") -> None:
        self._embedded = embedded

    def free_claims_of(self, worker: str) -> None:
        """A worker has died: what it had goes on at once, instead of when its claim runs out."""
        self._embedded.recover_worker(worker)


@contextmanager
def open_site(settings: Settings) -> Iterator[Site]:
    """Own the data folder; what was under way when its last owner died goes on at once.

    Raise ConfigurationError if the folder is in use or can not be written.
    """
    from safelight.backends.embedded import Embedded

    _only_embedded(settings)
    embedded = Embedded(settings.data)
    try:
        embedded.lock()
        embedded.recover()
        yield Site(embedded)
    finally:
        embedded.close()
