"""What clients send: its form, how it is read, and how it is refused.

A body is taken as JSON whatever its Content-Type says (`curl -d` names another). A field of `null` counts as not
sent. Refusals name the field, what was expected and what came.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from safelight.addresses import MAX_URL
from safelight.decoding import converted
from safelight.errors import BatchNotFound, InvalidRequest, JobNotFound, MissingJobId, SafelightError
from safelight.model import JobState
from safelight.ports import MOST_PARTS, Part
from safelight.repeated import repeated_name
from safelight.uploads import UploadRequest
from safelight.webhooks import EVENTS

MAX_BODY: Final = 1_000_000
"""The largest request body in bytes. Files do not pass through the API."""

MAX_DEPTH: Final = 32
"""How deep the JSON of a body may be nested: whatever comes after can then handle it with plain recursion."""

MOST_FILES: Final = 1000
"""How many files a batch may have."""

MOST_METADATA: Final = 32

UNKNOWN_LOOKED_AT: Final = 20
"""How many unknown fields of one request are compared with those that there are."""

MediaType = Annotated[
    str,
    Meta(max_length=127, pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$", examples=["image/jpeg"]),
]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{64}$")]
Crc32 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}$")]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Meta(max_length=512)]
RecipeName = Annotated[str, Meta(max_length=100, examples=["default"])]
InlineRecipe = Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/Recipe"})]
RecipeField = Annotated[
    RecipeName | InlineRecipe | None,
    Meta(
        description="The name of a recipe (GET /recipes), or a recipe itself (GET /recipes/schema.json). "
        "Without one, the default recipe is used.",
        extra={"expected": "a recipe's name or a recipe"},
    ),
]


UploadFilename = Annotated[
    Annotated[str, Meta(max_length=1024, examples=["beach.jpg"])] | None,
    Meta(
        description="The file's name: outputs are named after it when they are saved.",
        extra={"expected": "a string of at most 1024 characters"},
    ),
]
UploadContentType = Annotated[
    MediaType | None,
    Meta(description="The file's media type.", extra={"expected": "a media type such as image/jpeg"}),
]
UploadSize = Annotated[
    Annotated[int, Meta(ge=0, lt=2**53)] | None,
    Meta(description="The file's size in bytes.", extra={"expected": "a whole number of bytes, 0 or more"}),
]
UploadSha256 = Annotated[
    Sha256 | None,
    Meta(
        description="The file's SHA-256 in hexadecimal.",
        extra={"expected": "64 hexadecimal digits"},
    ),
]
UploadCrc32 = Annotated[
    Crc32 | None,
    Meta(
        description="The file's CRC-32 in hexadecimal, instead of `sha256`.",
        extra={"expected": "8 hexadecimal digits"},
    ),
]
UploadMetadata = Annotated[
    Annotated[dict[MetadataKey, MetadataValue], Meta(max_length=MOST_METADATA)] | None,
    Meta(
        description="What the client wants to find again on the job; Safelight does not look at it.",
        extra={
            "expected": "at most 32 pairs of strings, keys of 1 to 64 and values of at most 512 characters"
        },
    ),
]
UploadMethod = Annotated[
    Literal["PUT", "POST"] | None,
    Meta(
        description="How the file will be sent: PUT (the default), or POST as a form.",
        extra={"expected": "PUT or POST"},
    ),
]
UploadOverwrite = Annotated[
    bool | None,
    Meta(
        description="Whether the URL may be used again after an upload (the default); only the first counts.",
        extra={"expected": "true or false"},
    ),
]
UploadMultipart = Annotated[
    bool | None,
    Meta(
        description="Whether the file will come in parts: for files of more than 16 MB whose `size` is declared.",
        extra={"expected": "true or false"},
    ),
]


UploadDedupe = Annotated[
    bool | None,
    Meta(
        description="Whether a job that has made the same of the same bytes may stand for this one. With `sha256`, the "
        "answer is that job, if there is one, and nothing needs to be sent.",
        extra={"expected": "true or false"},
    ),
]


class UploadBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What may be said about an upload. Everything is optional, and so is the body itself.

    What is declared is also demanded: `contentType`, `size` and `sha256` are signed into the upload URL. Fields that
    do not exist are ignored, unless they look like one that does.
    """

    filename: UploadFilename = None
    content_type: UploadContentType = None
    size: UploadSize = None
    sha256: UploadSha256 = None
    crc32: UploadCrc32 = None
    recipe: RecipeField = None
    metadata: UploadMetadata = None
    method: UploadMethod = None
    overwrite: UploadOverwrite = None
    multipart: UploadMultipart = None
    dedupe: UploadDedupe = None

    def request(self) -> UploadRequest:
        """The same for the service: what was not sent is left to its defaults."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return UploadRequest(**given)


class PartBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One part, as storage has confirmed it."""

    part_number: Annotated[int, Meta(ge=1, le=MOST_PARTS)]
    etag: Annotated[str, Meta(min_length=1, max_length=100, description="The ETag of the answer to its PUT.")]


class CompleteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All parts of a file, in the order of their numbers."""

    parts: Annotated[
        Annotated[list[PartBody], Meta(min_length=1, max_length=MOST_PARTS)],
        Meta(
            description="Every part with the ETag that storage gave it.",
            extra={"expected": "a list of parts, each with its partNumber (1 to 10000) and its etag"},
        ),
    ]

    def named(self) -> tuple[Part, ...]:
        """The same for the service: HTTP quotes ETags."""
        return tuple(Part(number=part.part_number, etag=part.etag.strip('"')) for part in self.parts)


class PartsQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"start": "from"}
):
    """Which parts."""

    start: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_PARTS)],
        Meta(description="The number of the first.", extra={"expected": "a whole number from 1 to 10000"}),
    ] = 1
    limit: Annotated[
        Annotated[int, Meta(ge=1, le=1000)],
        Meta(description="How many at most.", extra={"expected": "a whole number from 1 to 1000"}),
    ] = 100


class BatchFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be said about one file of a batch: the same as about any upload, but for the recipe."""

    filename: UploadFilename = None
    content_type: UploadContentType = None
    size: UploadSize = None
    sha256: UploadSha256 = None
    crc32: UploadCrc32 = None
    metadata: UploadMetadata = None
    method: UploadMethod = None
    overwrite: UploadOverwrite = None
    multipart: UploadMultipart = None


class BatchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many files for one recipe."""

    files: Annotated[
        Annotated[
            list[
                Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/BatchFile"})]
            ],
            Meta(min_length=1, max_length=MOST_FILES),
        ],
        Meta(
            description="The files.", extra={"expected": f"a list of 1 to {MOST_FILES} objects, one a file"}
        ),
    ]
    recipe: RecipeField = None
    metadata: UploadMetadata = None

    def requests(self) -> list[UploadRequest]:
        """The same for the service. A file's own metadata goes before the batch's. Raise InvalidRequest."""
        return [self._request(number, file) for number, file in enumerate(self.files)]

    def _request(self, number: int, file: dict[str, Any]) -> UploadRequest:
        try:
            said = _read(_whole(file), BatchFile, strict=True)
        except InvalidRequest as error:
            raise InvalidRequest(f"files[{number}]: {error.message}") from None
        given = {name: value for name, value in msgspec.structs.asdict(said).items() if value is not None}
        metadata = (self.metadata or {}) | given.pop("metadata", {})
        if len(metadata) > MOST_METADATA:
            raise InvalidRequest(
                f"files[{number}]: at most {MOST_METADATA} pairs of metadata, with those of the batch."
            )
        return UploadRequest(**given, metadata=metadata, recipe=self.recipe)


class RenderBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}
):
    """Which kept original to render again, and how."""

    source: Annotated[
        Annotated[str, Meta(min_length=1)],
        Meta(description="The id of the job whose original is used.", extra={"expected": "the id of a job"}),
    ]
    recipe: RecipeField = None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a listing."""

    limit: Annotated[
        Annotated[int, Meta(ge=1, le=100)],
        Meta(description="How many at most.", extra={"expected": "a whole number from 1 to 100"}),
    ] = 50
    cursor: Annotated[
        Annotated[str, Meta(max_length=1024)] | UnsetType,
        Meta(
            description="Where to go on: the `nextCursor` of the part before.",
            extra={"expected": "the nextCursor of an earlier answer"},
        ),
    ] = UNSET


class RedriveBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which dead letters to redrive: some, or all."""

    job_ids: Annotated[
        Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(max_length=1000)] | None,
        Meta(description="Those of these jobs.", extra={"expected": "at most 1000 ids of jobs"}),
    ] = None
    all: Annotated[bool, Meta(description="All of them.", extra={"expected": "true or false"})] = False


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs to list."""

    status: Annotated[
        JobState | UnsetType,
        Meta(description="Only jobs in this state.", extra={"expected": f"one of {', '.join(JobState)}"}),
    ] = UNSET
    owner: Annotated[
        Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType,
        Meta(
            description="Whose jobs, instead of the caller's own; needs the scope `admin`.",
            extra={"expected": "the name of an owner"},
        ),
    ] = UNSET
    limit: Annotated[
        Annotated[int, Meta(ge=1, le=100)],
        Meta(description="How many jobs at most.", extra={"expected": "a whole number from 1 to 100"}),
    ] = 50
    cursor: Annotated[
        Annotated[str, Meta(max_length=1024)] | UnsetType,
        Meta(
            description="Where to go on: the `nextCursor` of the part before.",
            extra={"expected": "the nextCursor of an earlier answer"},
        ),
    ] = UNSET


WebhookEvent = Literal["job.completed", "job.failed", "job.expired", "job.canceled", "batch.completed"]
Events = Annotated[
    Annotated[list[WebhookEvent], Meta(max_length=len(EVENTS))] | None,
    Meta(
        description="What to be told of; without, or empty: everything.",
        extra={"expected": f"a list of some of {', '.join(EVENTS)}"},
    ),
]
Description = Annotated[
    Annotated[str, Meta(max_length=256)] | None,
    Meta(
        description="What the webhook is for, for people.",
        extra={"expected": "a string of at most 256 characters"},
    ),
]
WebhookUrl = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_URL, pattern="^https?://", examples=["https://example.org/safelight"]),
]


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where to send what."""

    url: Annotated[
        WebhookUrl,
        Meta(
            description="Where to: https, and a host of the public internet.",
            extra={"expected": "a URL that begins with https://"},
        ),
    ]
    events: Events = None
    description: Description = None


class WebhookChangeBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What to change of a webhook. What is not sent stays as it is."""

    url: Annotated[
        WebhookUrl | None,
        Meta(description="Where to, from now on.", extra={"expected": "a URL that begins with https://"}),
    ] = None
    events: Events = None
    description: Description = None
    disabled: Annotated[
        bool | None,
        Meta(
            description="`true` sends nothing any more; `false` begins again, whatever had disabled it.",
            extra={"expected": "true or false"},
        ),
    ] = None


T = TypeVar("T", bound=msgspec.Struct)


def read_body(body: bytes, kind: type[T]) -> T:
    """The JSON in a body as a struct; no body counts as `{}`. Raise InvalidRequest."""
    if not body.strip():
        return _read({}, kind, strict=True)
    return _read(_whole(read_json_object("The body", body)), kind, strict=True)


def _whole(data: dict[str, Any]) -> dict[str, Any]:
    """JSON has one kind of number: 7.0 is as whole as 7, also in a list of objects."""
    return {name: _whole_value(value) for name, value in data.items()}


def _whole_value(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) if isinstance(each, dict) else each for each in value]
    return value


def read_json_object(what: str, text: bytes) -> dict[str, Any]:
    """The JSON object that `what` holds. Raise InvalidRequest."""
    try:
        data, twice = msgspec.json.decode(text), repeated_name(text)
    except (ValueError, RecursionError):  # malformed, not UTF-8, a number out of range; or nested too deeply
        raise InvalidRequest(f"{what} is not valid JSON; send a JSON object.") from None
    if twice is not None:
        raise InvalidRequest(f"{what} has the name {_shown(twice)} twice in one object; say it once.")
    if not isinstance(data, dict):
        raise InvalidRequest(f"{what}: expected a JSON object, received {_shown(data)}.")
    if _deeper(data, MAX_DEPTH):
        raise InvalidRequest(f"{what} is nested too deeply; {MAX_DEPTH} levels are allowed.")
    return data


def read_query(values: Iterable[tuple[str, str]], kind: type[T]) -> T:
    """The parameters of an address as a struct. Raise InvalidRequest."""
    data: dict[str, str] = {}
    for name, value in values:
        if name in data:
            raise InvalidRequest(f"{name}: expected one value, received several.")
        data[name] = value
    return _read(data, kind, strict=False)


def _read(data: Mapping[str, Any], kind: type[T], *, strict: bool) -> T:
    """The values as a struct; not `strict` takes numbers from text. Raise InvalidRequest, naming the field."""
    expected = _expected(kind)
    unknown = [name for name in data if name not in expected]
    for name in unknown[:UNKNOWN_LOOKED_AT]:
        refuse_unknown(name, list(expected), every=kind.__struct_config__.forbid_unknown_fields)
    try:
        return converted(data, kind, strict=strict)
    except msgspec.ValidationError as error:
        named = re.search(r"`\$\.(\w+)", str(error)) or re.search(r"required field `(\w+)`", str(error))
        if named is None:
            raise InvalidRequest from None
        name = named[1]
        received = _culprit(data[name], _type_of(kind, name)) if name in data else "nothing"
        raise InvalidRequest(f"{name}: expected {expected[name]}, received {received}.") from None


def _culprit(value: Any, kind: Any) -> str:
    """What is wrong with a value, as a complaint shows it: of pairs the first that is no good by itself."""
    if not isinstance(value, dict) or not _fits({}, kind):
        return _shown(value)
    for name, one in value.items():
        if not _fits({name: one}, kind):
            return _shown({name: one})
    return f"{len(value)} pairs"


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _type_of(kind: type[msgspec.Struct], name: str) -> Any:
    return next(field.type for field in msgspec.structs.fields(kind) if field.encode_name == name)


@cache
def _expected(kind: type[msgspec.Struct]) -> dict[str, str]:
    """What each field of a struct takes, in words."""
    fields = msgspec.structs.fields(kind)
    return {field.encode_name: field.type.__metadata__[-1].extra["expected"] for field in fields}


def _deeper(value: object, levels: int) -> bool:
    """Whether the value has more than so many levels of objects and arrays."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(one, levels - 1) for one in inner)


def refuse_unknown(name: str, known: list[str], *, every: bool) -> None:
    """Refuse a field that does not exist.

    Where clients have always been free to send some of their own, not `every` one is refused, but one that looks
    like a slip of the pen is: `recepie` must not quietly give the default recipe.
    """
    from difflib import get_close_matches

    if close := get_close_matches(name, known, n=1, cutoff=0.75):
        raise InvalidRequest(f"{_shown(name)} is not a field of this request; {close[0]} is.")
    if every:
        raise InvalidRequest(f"{_shown(name)} is not a field of this request; these are: {', '.join(known)}.")


def _shown(value: object) -> str:
    """A value as it was sent, if it is short."""
    text = msgspec.json.encode(value).decode()
    if len(text) <= 60:
        return text
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    return f"{text[:60]}…"


def read_batch_id(text: str) -> str:
    """A batch's id from an address. Raise BatchNotFound for what can not be one: no store is asked for it."""
    if not _JOB_ID.fullmatch(text):
        raise BatchNotFound
    return text


_JOB_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


def read_job_id(text: str) -> str:
    """A job's id from an address. Raise JobNotFound for what can not be one: no store is asked for it."""
    if not text:
        raise MissingJobId
    if not _JOB_ID.fullmatch(text):
        raise JobNotFound
    return text


def read_id(text: str, missing: type[SafelightError]) -> str:
    """An id from an address. Raise `missing` for what can not be one: no store is asked for it."""
    if not _JOB_ID.fullmatch(text):
        raise missing
    return text


_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def read_idempotency_key(text: str) -> str:
    """The value of an Idempotency-Key header. Raise InvalidRequest."""
    if not _IDEMPOTENCY_KEY.fullmatch(text):
        raise InvalidRequest("Idempotency-Key: expected 1 to 255 visible ASCII characters without spaces.")
    return text
