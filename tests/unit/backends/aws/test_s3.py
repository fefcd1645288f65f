"""Files on S3, when answers are lost and requests collide. The contract suite has the rest."""

import io
import os
import stat
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ResponseStreamingError
from tests.unit.backends.aws.fake import Answer, FakeAws, error

from safelight.backends.aws import s3
from safelight.backends.aws.keys import Buckets
from safelight.backends.aws.s3 import S3Blobs
from safelight.errors import BlobExists, InvalidRequest, StorageUnavailable
from safelight.ports import BlobInfo

KEY = "processed/uploads/j1/t/main.webp"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between tries."""
    monkeypatch.setattr(f"{s3.__name__}.time.sleep", lambda seconds: None)


def blobs(aws: FakeAws) -> S3Blobs:
    """The files in two buckets."""
    return S3Blobs(aws, Buckets("our-uploads", "our-processed"))


def put(aws: FakeAws, key: str = KEY) -> BlobInfo:
    """Store three bytes."""
    return blobs(aws).put(key, io.BytesIO(b"abc"), content_type="image/webp")


def head_of(name: str) -> dict[str, Any]:
    """What is there, from this put."""
    return {"ContentLength": 3, "LastModified": NOW, "Metadata": {"put": name}}


def after(aws: FakeAws, refusal: str) -> tuple[Answer, Answer]:
    """A put that arrived and whose answer was lost: it is refused, and what is there is its own."""

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        return head_of(aws.requests[0][1]["Metadata"]["put"])

    return error(refusal, 412), answer


@pytest.mark.parametrize("refusal", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_an_output_whose_answer_was_lost_is_known_again(refusal: str) -> None:
    """It says itself which put it came from, so the attempt goes on."""
    aws = FakeAws()
    aws._answers += after(aws, refusal)
    assert put(aws).bytes == 3
    assert aws.names == ["put_object", "head_object"]
    assert aws.requests[0][1]["IfNoneMatch"] == "*"


def test_an_output_of_somebody_else_is_not_replaced() -> None:
    """The second put is BlobExists."""
    with pytest.raises(BlobExists):
        put(FakeAws(error("PreconditionFailed", 412), head_of("other")))


def test_a_collision_is_tried_again() -> None:
    """S3 says so when two requests for one key meet; after a few times it is given up."""
    collision = error("ConditionalRequestConflict", 409)
    nothing = error("404", 404)
    aws = FakeAws(collision, nothing, {})
    assert put(aws).bytes == 3
    assert aws.names == ["put_object", "head_object", "put_object"]
    with pytest.raises(StorageUnavailable):
        put(FakeAws(*[collision, nothing] * 5))


def test_an_upload_makes_a_version_each_time() -> None:
    """Only outputs are written once."""
    aws = FakeAws({"VersionId": "v7"})
    assert put(aws, "uploads/j1/a.jpg").version == "v7"
    assert "IfNoneMatch" not in aws.requests[0][1]


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has files in memory")
def test_an_original_never_touches_the_disk() -> None:
    """It is fetched into a file in memory, whose descriptor the renderer's child gets."""
    with blobs(FakeAws({"Body": io.BytesIO(b"abc")})).open("uploads/j1/a.jpg", "v1") as file:
        status = os.fstat(file.fileno())
        assert (status.st_size, status.st_nlink, stat.S_ISREG(status.st_mode)) == (3, 0, True)
        assert os.readlink(f"/proc/self/fd/{file.fileno()}").startswith("/memfd:")  # noqa: PTH115 - no real path
        assert file.read() == b"abc"


def test_a_broken_download_is_storage_unavailable() -> None:
    """And leaves no file open."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ResponseStreamingError(error="connection reset")

    with pytest.raises(StorageUnavailable, match="ResponseStreamingError"):
        blobs(FakeAws({"Body": Broken()})).open("uploads/j1/a.jpg")


def test_erasing_takes_everything() -> None:
    """Unfinished uploads first, then versions and delete markers; only real objects are counted."""
    page = {
        "Versions": [{"Key": "uploads/j1/a", "VersionId": "2"}, {"Key": "uploads/j1/a", "VersionId": "1"}],
        "DeleteMarkers": [{"Key": "uploads/j1/b", "VersionId": "3"}],
        "IsTruncated": False,
    }
    aws = FakeAws(page, {})
    files = blobs(aws)
    aborted: list[str] = []
    files._abort_unfinished = lambda bucket, prefix: aborted.append(prefix)  # type: ignore[method-assign]
    assert files.delete("uploads/j1/") == 1
    assert aborted == ["uploads/j1/"]
    assert [each["VersionId"] for each in aws.requests[1][1]["Delete"]["Objects"]] == ["2", "1", "3"]


def test_what_could_not_be_erased_is_said() -> None:
    """S3 answers 200 and lists what failed inside."""
    page = {"Versions": [{"Key": KEY, "VersionId": "null"}], "IsTruncated": False}
    with pytest.raises(StorageUnavailable, match="AccessDenied"):
        blobs(FakeAws(page, {"Errors": [{"Key": KEY, "Code": "AccessDenied"}]})).delete(KEY)


def test_erasing_goes_on_over_pages() -> None:
    """By the markers that S3 gives."""
    first = {
        "Versions": [{"Key": "processed/a/1", "VersionId": "null"}],
        "IsTruncated": True,
        "NextKeyMarker": "processed/a/1",
        "NextVersionIdMarker": "null",
    }
    second = {"Versions": [{"Key": "processed/a/2", "VersionId": "null"}], "IsTruncated": False}
    aws = FakeAws(first, {}, second, {})
    assert blobs(aws).delete("processed/a/") == 2
    assert aws.requests[2][1]["KeyMarker"] == "processed/a/1"


@pytest.mark.parametrize("prefix", ["", "other/", "/"])
def test_a_prefix_outside_is_refused(prefix: str) -> None:
    """Nothing is asked of S3."""
    with pytest.raises(InvalidRequest):
        blobs(FakeAws()).delete(prefix)
