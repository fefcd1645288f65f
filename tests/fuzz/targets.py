"""What strangers' bytes reach in our own code: one function for each parser, which raises only if there is a bug.

`make fuzz` feeds them what a coverage-guided fuzzer finds; `test_targets.py` what hypothesis thinks of.
"""

import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from safelight.backends.aws import keys as s3_keys
from safelight.backends.embedded import keys as file_keys
from safelight.backends.embedded.links import FIELD_SIGNATURE, Links
from safelight.backends.embedded.policy import check_policy
from safelight.backends.embedded.s3 import S3Error
from safelight.config import Settings
from safelight.entrypoints.lambdas.dispatcher import created_in
from safelight.errors import FileError, InvalidRequest, RecipeInvalid
from safelight.imaging import headers
from safelight.model import job_id_of
from safelight.recipes import build, canonical, parse

NOW: Final = 1_700_000_000.0
LINKS: Final = Links(b"s" * 32, base_url="http://127.0.0.1:8000", clock=lambda: NOW)
SETTINGS: Final = Settings()
FORMATS: Final = ("jpeg", "png", "webp", "gif", "avif", "tiff", "heic")


def header(data: bytes) -> None:
    """Sniffing, and the walk through each format's structure: a header within its words, or a FileError."""
    try:
        found = headers.read(data, FORMATS)
    except FileError:
        return
    assert found.width >= 1
    assert found.height >= 1
    assert found.frames >= 1
    assert found.pages >= 1
    assert found.metadata >= 0
    if found.format in ("avif", "heic"):  # all extents of all items may be the same bytes
        assert found.metadata <= (1 + headers.MAX_PARTS) * len(data)
    elif found.format != "tiff":  # whose entries may be as long as they say
        assert found.metadata <= 2 * len(data) + 65_535
    with suppress(FileError):
        headers.check(found, SETTINGS)


def recipe(data: bytes) -> None:
    """A recipe that is accepted means the same when it is read again; all others are RecipeInvalid."""
    try:
        plan = parse(data)
    except RecipeInvalid:
        return
    again = canonical(plan)
    assert canonical(parse(again)) == again
    for output in plan.outputs:
        plan.chain(output)


def built_recipe(data: bytes) -> None:
    """The same for what a request's JSON may hold."""
    with suppress(RecipeInvalid):
        try:
            content = msgspec.json.decode(data)
        except (ValueError, RecursionError):  # as `entrypoints.api.requests` answers it
            return
        build(content)


def signed_url(data: bytes) -> None:
    """Nobody but the owner of the secret makes a URL that is accepted."""
    method, key, query, name, value = [*data.decode("latin-1").split("\n", 4), "", "", "", ""][:5]
    with suppress(S3Error):
        LINKS.verify(method, key, query, {name.lower(): value})
        raise AssertionError("a signature was guessed")


def tampered_url(data: bytes) -> None:
    """A good URL with anything added to its query, or other headers, is refused or allows no more than before."""
    url = LINKS.sign("PUT", "uploads/a/b.jpg", int(NOW) + 60, query={"X-Safelight-MaxBytes": "10"})
    query = url.partition("?")[2]
    added, _, name = data.decode("latin-1").partition("\n")
    with suppress(S3Error):
        permit = LINKS.verify("PUT", "uploads/a/b.jpg", f"{query}&{added}", {name.lower(): "x"})
        assert permit.max_bytes == 10


def policy(data: bytes) -> None:
    """A policy, whatever it says, allows a range of sizes or is refused."""
    for encoded in (data.decode("latin-1"), base64.b64encode(data).decode()):
        with suppress(S3Error):
            low, high = check_policy(encoded, {"key": "uploads/a/b.jpg", FIELD_SIGNATURE: "x"}, NOW)
            assert isinstance(low, int)
            assert isinstance(high, int)
        with suppress(S3Error):
            LINKS.verify_policy(encoded, encoded)
            raise AssertionError("a signature was guessed")


def key(data: bytes) -> None:
    """A key that is accepted leads nowhere else."""
    text = data.decode("utf-8", "surrogateescape")
    for module in (file_keys, s3_keys):
        try:
            accepted = module.check(text)
        except InvalidRequest:
            assert not module.is_possible(text)
            continue
        assert accepted == text
        assert accepted.startswith(("uploads/", "processed/"))
        assert not {"", ".", ".."} & set(accepted.split("/"))
    assert "\0" not in text or not file_keys.is_possible(text)
    with suppress(InvalidRequest):
        file_keys.check_prefix(text)
    if file_keys.is_version(text):
        assert len(text) == file_keys.VERSION_LENGTH
    file_keys.split_version(text)
    job_id_of(text)


def event(data: bytes) -> None:
    """What S3 tells, whatever it tells: a creation, or nothing."""
    try:
        record = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        record = {
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": {"key": data.decode("latin-1"), "size": 1}},
        }
    if isinstance(record, dict) and (created := created_in(record)):
        job_id_of(created.key)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (header, recipe, built_recipe, signed_url, tampered_url, policy, key, event)
}
