"""Settings: the environment, read once and checked. Nothing else in Safelight looks at `os.environ`."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
import msgspec.inspect

from safelight.errors import ConfigurationError

PREFIX: Final = "SAFELIGHT_"

Bytes = Annotated[
    int,
    msgspec.Meta(
        ge=1, extra_json_schema={"unit": "bytes", "title": "a number of bytes from 1 on, such as 100MB"}
    ),
]
LargestUpload = Annotated[
    int,
    msgspec.Meta(
        ge=1,
        le=5_000_000_000,
        extra_json_schema={"unit": "bytes", "title": "a number of bytes from 1 to 5GB, such as 100MB"},
    ),
]
Seconds = Annotated[float, msgspec.Meta(gt=0, extra_json_schema={"unit": "seconds"})]
Days = Annotated[float, msgspec.Meta(gt=0, extra_json_schema={"unit": "days"})]
Count = Annotated[int, msgspec.Meta(ge=1)]
Address = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A(https?://[^\s/?#:][^\s?#]*)?\Z",
        extra_json_schema={"title": "an address such as https://pictures.example.org"},
    ),
]

Origin = Annotated[str, msgspec.Meta(pattern=r"\A(\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+/?)\Z")]
"""As browsers say it: a scheme and a host, with a port if it is not the usual one. Apps have schemes of their own."""

Origins = Annotated[
    tuple[Origin, ...],
    msgspec.Meta(
        extra_json_schema={"title": "origins such as https://pictures.example.org, without a path, or *"}
    ),
]

Format = Literal["jpeg", "png", "webp", "gif", "avif", "tiff", "heic"]

FORMATS: Final[tuple[Format, ...]] = ("jpeg", "png", "webp", "gif", "avif")
"""What may be uploaded, unless it is set. TIFF is left out, because it holds too much that few people need; HEIC,
because its decoder is a package of its own, under a licence and patents that not everybody can accept."""

_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}


Formats = Annotated[
    tuple[Format, ...],
    msgspec.Meta(
        min_length=1, extra_json_schema={"title": "some of jpeg, png, webp, gif, avif, tiff and heic"}
    ),
]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. The environment variable is the name in capitals after `SAFELIGHT_`.

    Sizes and counts take units: `100MB`, `1.5GB`, `64M`, `16MiB`. Lists are separated by commas.
    """

    backend: Literal["embedded", "aws"] = "embedded"
    """Where jobs and files live: `embedded` keeps both in one folder of this machine, `aws` in S3 and DynamoDB."""

    data: str = "safelight-data"
    """The embedded backend's folder: the database, the files and the signing key."""

    region: str = ""
    """The aws backend's region; empty: the one that AWS's own variables and files name."""

    uploads_bucket: str = ""
    """The aws backend's bucket for originals; it has to be versioned."""

    processed_bucket: str = ""
    """The aws backend's bucket for outputs."""

    jobs_table: str = ""
    """The aws backend's DynamoDB table of jobs."""

    records_table: str = ""
    """The aws backend's DynamoDB table of everything small."""

    queue_url: str = ""
    """The aws backend's SQS queue."""

    dead_letter_url: str = ""
    """The SQS queue for messages that were given up; only the dead-letter commands need it."""

    topic_arn: str = ""
    """The SNS topic that is told of every job that ends; only the notifier needs it."""

    public_url: Address = ""
    """The address that clients use, for signed URLs behind a proxy; empty: the address that the server listens on."""

    public_outputs: Literal["on", "off"] = "on"
    """Whether recipes may make outputs public (`delivery: public`). The aws backend needs SAFELIGHT_OUTPUTS_URL for it,
    too."""

    outputs_url: Address = ""
    """The aws backend's address of public outputs: that of the stack's distribution."""

    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many worker processes render, 16 a core at most; 0: one a core."""

    cors_origins: Origins = ("*",)
    """Origins whose pages may call the API and upload; `*` allows every origin."""

    auth: Literal["none", "apikey", "jwt"] = "none"
    """Who may call the API: everybody who reaches it (`none`), who has a key of `safelight keys` (`apikey`), or who has
    a token of an identity provider (`jwt`)."""

    jwt_issuer: str = ""
    """With `jwt`: who issues the tokens, as their `iss` says it."""

    jwt_audience: str = ""
    """With `jwt`: whom the tokens are for, as their `aud` (or, without one, their `client_id`) says it."""

    jwt_keys: str = ""
    """With `jwt`: the issuer's public keys, a JWKS: its https address, or a file."""

    jwt_algorithms: tuple[str, ...] = ("RS256", "ES256")
    """With `jwt`: how tokens may be signed. Only algorithms with a public key are possible."""

    jwt_scope_claim: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "scope"
    """With `jwt`: the claim that holds the scopes, as a list or separated by spaces."""

    jwt_scope_prefix: str = ""
    """With `jwt`: what stands before `upload`, `read` and `admin` in that claim, such as `safelight/`."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many requests a caller may make in a minute; 0: any number."""

    max_open_jobs: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    """How many jobs of a caller may be open, that is not ended, at a time; 0: any number."""

    max_bytes_per_day: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many bytes a caller may upload in a day (UTC), 0: any number. An upload that declares no size counts as
    SAFELIGHT_MAX_BYTES."""

    max_header_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 32_768
    """The longest head of a request, its line and headers, on the embedded backend."""

    header_seconds: Seconds = 10.0
    """How long the head of a request may take to arrive, on the embedded backend."""

    stall_seconds: Seconds = 30.0
    """Over such a stretch of time a body or an answer has to move by 500 bytes a second, or the connection is cut, on
    the embedded backend."""

    webhooks: Literal["on", "off"] = "on"
    """Whether callers may have webhooks; `off` also where nothing could be sent, in a network without a way out."""

    webhooks_to_loopback: bool = False
    """For development and tests only: webhooks may lead to this machine, and there by plain http."""

    watermark_text: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "© Amodhbh Media"
    """The text of the built-in `default` recipe's watermark."""

    recipes: str = ""
    """A folder of recipe files (`*.yaml`, `*.yml`, `*.json`), named after the recipe. Empty: built-ins only."""

    assets: str = ""
    """A folder of images (`*.png`) and fonts (`*.ttf`, `*.otf`) that watermarks may name. A recipe takes them in when
    it is read: a job looks the same whatever becomes of the folder."""

    inline_recipes: bool = True
    """Whether a request may carry a recipe of its own instead of a name."""

    default_recipe: str = "default"
    """The recipe of uploads that name none."""

    max_bytes: LargestUpload = 100_000_000
    """The largest upload, whichever way it comes: at most 5 GB."""

    formats: Formats = FORMATS
    """What an upload may be, as its bytes show: any of `jpeg`, `png`, `webp`, `gif`, `avif`, `tiff` and `heic`. Of a
    TIFF the first page is drawn, of a HEIC the primary picture; HEIC needs the extra `heic`, as in
    `pip install 'path/to/clone[heic]'`."""

    max_pixels: Count = 64_000_000
    """The most pixels of an image: width × height × frames."""

    max_side: Count = 16_384
    """The longest side of an image, in pixels."""

    max_frames: Count = 100
    """The most frames of an animation, and pages of a TIFF."""

    max_interlaced_pixels: Count = 16_000_000
    """The most pixels of an interlaced PNG, which has to be held in memory whole."""

    max_scans: Count = 100
    """The most scans of a progressive JPEG."""

    max_metadata: Bytes = 4_000_000
    """The most metadata of a file: EXIF, XMP, colour profiles, comments, and whatever else is no picture."""

    render_seconds: Seconds = 30.0
    """The wall-clock limit of rendering one job."""

    render_cpu_seconds: Seconds = 20.0
    """The CPU limit of rendering one job."""

    render_threads: Annotated[int, msgspec.Meta(ge=1, le=2)] = 2
    """How many threads may draw one large photo. With 2, a worker that had a rest before a job uses a second core for
    it; behind a backlog each job keeps to one. 1 is for where one core is to be had, whatever the system counts."""

    render_memory: Bytes = 1_500_000_000
    """The address space that rendering one job may take."""

    render_output: Bytes = 500_000_000
    """The largest output of one job."""

    previews: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """How many previews are drawn at a time, each by a renderer beside those of the workers."""

    preview_bytes: Bytes = 1_000_000
    """The largest file of a preview. On AWS a request has room for 4 MB."""

    preview_pixels: Count = 16_000_000
    """The most pixels of a preview's original: width × height × frames."""

    preview_seconds: Seconds = 5.0
    """The limit of drawing one preview, by the clock and of CPU."""

    splice: Literal["auto", "off"] = "auto"
    """Whether a JPEG that is only marked may keep its coded pixels beside the marks, where `safelight-splice` is
    installed; `off` has every picture decoded and encoded anew."""

    upload_seconds: Annotated[int, msgspec.Meta(ge=1, le=604_800)] = 300
    """How long a signed upload URL is good for."""

    upload_grace_seconds: Seconds = 3600.0
    """How long after the upload URL's end a job still waits before it is EXPIRED."""

    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    """How often a job is tried before it is FAILED. Two attempts in a row whose rendering crashed or timed out are
    enough, too."""

    max_queue: Count = 100_000
    """With more messages than this in the queue, POST /uploads answers 503 and asks to come back."""

    download_seconds: Annotated[int, msgspec.Meta(ge=3600, le=604_800 - 1800)] = 3600
    """How long a signed download URL is good for, at the least."""

    retention_days: Days = 30.0
    """How long a job, its original and its outputs are kept after the job has ended."""

    sweep_seconds: Seconds = 60.0
    """How often the sweeper runs."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages that are logged."""

    @property
    def retention_seconds(self) -> float:
        """The retention in seconds."""
        return self.retention_days * 86400.0

    @property
    def lease_seconds(self) -> float:
        """How long a claim holds without a sign of life: the time limit of a job and 10 s."""
        return self.render_seconds + 10.0


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings from the environment; `overrides` that are not None win (the command line).

    Raise ConfigurationError, naming the variable, for a value that is not usable or a variable that does not exist.
    """
    environ = os.environ if environ is None else environ
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable[len(PREFIX) :].lower()
        if name in NOT_SETTINGS:
            continue
        if name not in fields:
            raise ConfigurationError(
                f"{variable} is not a setting of Safelight; `safelight settings` lists them all."
            )
        values[name] = _parse(text, fields[name])
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = match[1] if (match := re.search(r"\$\.(\w+)", str(error))) else ""
        expected = _words(msgspec.inspect.type_info(fields[name].type))
        value = values.get(name)
        received = ",".join(value) if isinstance(value, tuple) else value
        raise ConfigurationError(
            f"{PREFIX}{name.upper()}: expected {expected}, received {received!r}."
        ) from None


def to_environ(settings: Settings) -> dict[str, str]:
    """The variables from which `load` makes these very settings again, in another process."""
    values = {field: getattr(settings, field) for field in Settings.__struct_fields__}
    return {
        PREFIX + name.upper(): ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }


NOT_SETTINGS: Final = frozenset({"api", "key", "process_ready_fd"})
"""Variables with another meaning: SAFELIGHT_API and SAFELIGHT_KEY are for the client commands."""


def _parse(text: str, field: msgspec.structs.FieldInfo) -> Any:
    """A value as msgspec can convert it: units of numbers are multiplied out, lists are split."""
    if isinstance(field.default, tuple):
        return tuple(item.strip() for item in text.split(",") if item.strip())
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]I?)?B?\s*", text, re.IGNORECASE)
    if match and match[2] and not isinstance(field.default, str):
        return int(float(match[1]) * _UNITS[match[2].upper()])
    return text


def _words(kind: msgspec.inspect.Type) -> str:
    """What a setting may be, as one says it."""
    match kind:
        case msgspec.inspect.Metadata(extra_json_schema={"title": str(title)}):
            return title
        case msgspec.inspect.Metadata(type=inner, extra_json_schema={"unit": str(unit)}):
            return f"{_words(inner)} ({unit})"
        case msgspec.inspect.Metadata(type=inner):
            return _words(inner)
        case msgspec.inspect.LiteralType(values=values):
            *most, last = [str(value) for value in values]
            return f"{', '.join(most)} or {last}" if most else last
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"a whole number{_range(low, high)}"
        case msgspec.inspect.FloatType():
            return "a number above 0"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.StrType(min_length=low, max_length=high):
            return f"text of {low} to {high} characters"
    return "text"


def _range(low: int | None, high: int | None) -> str:
    if low is None:
        return ""
    return f" from {low} on" if high is None else f" from {low} to {high}"
