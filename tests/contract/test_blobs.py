"""The contract of `Blobs`."""

import io
import os
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest
from tests.contract.backends import LOCAL
from tests.contract.conftest import Backend, needs

from safelight.backends.embedded import Embedded
from safelight.errors import BlobExists, BlobNotFound, InvalidRequest
from safelight.ports import BlobInfo
from safelight.testing import Clock

PORTS = {"blobs"}

KEYS = [
    "uploads/j1/photo.jpg",
    "uploads/j1/two words + plus.jpg",
    "uploads/j1/Ünï ﷺ 写真 \U0001f4f7.jpg",
    "uploads/j1/-dash",
    "uploads/j1/0123456789abcdef01234567-like a version",
    "processed/uploads/j1/t/main.webp",
    "processed/ä b+c.avif",
]


def put(backend: Backend, key: str, content: bytes = b"content") -> BlobInfo:
    """Store some bytes."""
    return backend.blobs.put(key, io.BytesIO(content), content_type="image/jpeg")


def same(backend: Backend, found: BlobInfo | None, put: BlobInfo) -> bool:
    """Whether this is what was put. A server dates it by its own clock, to the second."""
    if backend.name in LOCAL or found is None:
        return found == put
    dated = msgspec.structs.replace(found, modified_at=put.modified_at)
    return dated == put and abs(found.modified_at - put.modified_at) < 5


def read(backend: Backend, key: str, version: str | None = None) -> bytes:
    """The bytes of an object."""
    with backend.blobs.open(key, version) as file:
        return file.read()


@pytest.mark.parametrize("key", KEYS)
def test_an_object_is_read_as_it_was_put(backend: Backend, key: str, clock: Clock) -> None:
    """Whatever letters its key has."""
    info = put(backend, key)
    assert (info.key, info.bytes) == (key, 7)
    assert abs(info.modified_at - clock()) <= (0 if backend.name in LOCAL else 5)
    assert same(backend, backend.blobs.head(key), info)
    assert same(backend, backend.blobs.head(key, info.version), info)
    assert read(backend, key) == b"content"
    assert read(backend, key, info.version) == b"content"


def test_what_is_not_there_is_not_found(backend: Backend) -> None:
    """No object, no such version, a folder, an impossible key."""
    info = put(backend, "uploads/j1/a.jpg")
    for key, version in (
        ("uploads/j1/b.jpg", None),
        ("uploads/j2/a.jpg", None),
        ("uploads/j1", None),
        ("uploads/j1/", None),
        ("uploads/j1/a.jpg/b", None),
        ("uploads/j1/a.jpg", "other"),
        ("uploads/j1/a.jpg", info.version[:-1] + ("1" if info.version[-1] != "1" else "2")),
        ("uploads/j1/a.jpg", "../../x"),
        ("processed/x", None),
        ("uploads/../uploads/j1/a.jpg", None),
    ):
        assert backend.blobs.head(key, version) is None
        with pytest.raises(BlobNotFound):
            backend.blobs.open(key, version)


def test_an_empty_object_is_an_object(backend: Backend) -> None:
    """Of 0 bytes."""
    assert put(backend, "uploads/j1/empty", b"").bytes == 0
    assert read(backend, "uploads/j1/empty") == b""


@pytest.mark.parametrize("kind", ["memory", "file", "unbuffered", "memfd"])
def test_any_kind_of_file_is_stored_whole(backend: Backend, kind: str, tmp_path: Path) -> None:
    """From its beginning, wherever it stands, and larger than any buffer."""
    content = os.urandom(3_000_000)
    file: IO[bytes]
    if kind == "memory":
        file = io.BytesIO(content)
    elif kind == "memfd":
        if not hasattr(os, "memfd_create"):
            pytest.skip("only Linux has files in memory")
        file = os.fdopen(os.memfd_create("test"), "w+b")
        file.write(content)
    else:
        buffering = 0 if kind == "unbuffered" else -1
        file = tempfile.TemporaryFile(dir=tmp_path, buffering=buffering)  # noqa: SIM115 - closed below
        file.write(content)
    file.seek(5)
    with file:
        assert backend.blobs.put("processed/a", file, content_type="image/png").bytes == len(content)
    assert read(backend, "processed/a") == content


def test_every_upload_makes_a_version(backend: Backend) -> None:
    """The newest counts; older ones stay readable by their version, even within one instant."""
    infos = [put(backend, "uploads/j1/a.jpg", b"%d" % number) for number in range(5)]
    assert len({info.version for info in infos}) == 5
    assert same(backend, backend.blobs.head("uploads/j1/a.jpg"), infos[-1])
    assert read(backend, "uploads/j1/a.jpg") == b"4"
    assert [read(backend, "uploads/j1/a.jpg", info.version) for info in infos] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]


def test_one_version_of_an_upload_can_be_dropped(backend: Backend) -> None:
    """The others stay, and the newest of them counts; dropping twice, or what is not there, is no error."""
    first, second, third = (put(backend, "uploads/j1/a.jpg", b"%d" % number) for number in range(3))
    backend.blobs.drop("uploads/j1/a.jpg", third.version)
    backend.blobs.drop("uploads/j1/a.jpg", first.version)
    backend.blobs.drop("uploads/j1/a.jpg", first.version)
    backend.blobs.drop("uploads/j2/a.jpg", first.version)
    assert backend.blobs.head("uploads/j1/a.jpg", first.version) is None
    assert same(backend, backend.blobs.head("uploads/j1/a.jpg"), second)
    backend.blobs.drop("uploads/j1/a.jpg", second.version)
    assert backend.blobs.head("uploads/j1/a.jpg") is None
    output = put(backend, "processed/a", b"output")
    backend.blobs.drop("processed/a", output.version)
    assert read(backend, "processed/a") == b"output"


def test_the_newest_version_counts_even_if_the_clock_went_back(backend: Backend, clock: Clock) -> None:
    """Order is the order of puts, not of clocks."""
    needs(backend, "a clock that we move")
    put(backend, "uploads/j1/a.jpg", b"first")
    clock.advance(-1000)
    put(backend, "uploads/j1/a.jpg", b"second")
    assert read(backend, "uploads/j1/a.jpg") == b"second"


def test_an_output_is_never_replaced(backend: Backend) -> None:
    """The second put is BlobExists and the first content stays."""
    put(backend, "processed/a", b"first")
    with pytest.raises(BlobExists):
        put(backend, "processed/a", b"second")
    assert read(backend, "processed/a") == b"first"


def test_one_of_many_writers_of_an_output_wins(backend: Backend) -> None:
    """And what is there is whole, from that one."""
    together = threading.Barrier(6)
    winners: list[int] = []

    def write(number: int) -> None:
        together.wait()
        try:
            put(backend, "processed/x/y/a", bytes([number]) * 100_000)
        except BlobExists:
            return
        winners.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert read(backend, "processed/x/y/a") == bytes(winners) * 100_000


def test_an_open_file_outlives_its_object(backend: Backend) -> None:
    """Who has opened an object reads it to the end, though it was erased meanwhile; it has a descriptor."""
    put(backend, "uploads/j1/a.jpg", b"0123456789")
    with backend.blobs.open("uploads/j1/a.jpg") as file:
        backend.blobs.delete("uploads/j1/")
        assert os.fstat(file.fileno()).st_size == 10
        file.seek(5)
        assert file.read() == b"56789"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "other/a",
        "uploads",
        "uploads/",
        "uploads//a",
        "uploads/a/",
        "uploads/../a",
        "uploads/./a",
        "/uploads/a",
        "../uploads/a",
        "processed/a/../../../b",
    ],
)
def test_an_impossible_key_is_refused(backend: Backend, key: str) -> None:
    """A key never leads out of its place."""
    with pytest.raises(InvalidRequest):
        put(backend, key)


def test_deleting_a_prefix_erases_all_below_it(backend: Backend) -> None:
    """Every version of every object, and nothing beside it; how many objects is returned."""
    for key in (
        "uploads/j1/a",
        "uploads/j1/a",
        "uploads/j1/b",
        "uploads/j1/sub/c",
        "uploads/j10/a",
        "processed/j1/a",
    ):
        put(backend, key)
    assert backend.blobs.delete("uploads/j1/") == 3
    assert backend.blobs.delete("uploads/j1/") == 0
    assert [info.key for info in backend.blobs.list("uploads/").items] == ["uploads/j10/a"]
    assert backend.blobs.head("processed/j1/a") is not None


def test_several_prefixes_are_erased_at_once(backend: Backend) -> None:
    """Of both kinds, and those below which there is nothing; how many objects in all is returned."""
    for key in ("uploads/j1/a", "uploads/j2/a", "uploads/j3/a", "processed/j1/a", "processed/j3/a"):
        put(backend, key)
    gone = backend.blobs.delete("uploads/j1/", "processed/j1/", "uploads/j2/a", "processed/j2/")
    assert gone == 3
    assert [info.key for info in backend.blobs.list("uploads/").items] == ["uploads/j3/a"]
    assert [info.key for info in backend.blobs.list("processed/").items] == ["processed/j3/a"]
    assert backend.blobs.delete() == 0


def test_deleting_a_whole_key_erases_that_object(backend: Backend) -> None:
    """All its versions, and not an object whose key only begins so."""
    for key in ("uploads/j1/a", "uploads/j1/a", "uploads/j1/a.jpg", "processed/x/a", "processed/x/ab"):
        put(backend, key) if backend.blobs.head(key) is None or key.startswith("uploads") else None
    assert backend.blobs.delete("uploads/j1/a") == 1
    assert backend.blobs.delete("processed/x/a") == 1
    assert backend.blobs.head("uploads/j1/a") is None
    assert [info.key for info in backend.blobs.list("uploads/").items] == ["uploads/j1/a.jpg"]
    assert [info.key for info in backend.blobs.list("processed/").items] == ["processed/x/ab"]


def test_an_erased_output_can_be_written_again(backend: Backend) -> None:
    """Its folder too, if that went with it."""
    put(backend, "processed/x/a", b"1")
    backend.blobs.delete("processed/x/")
    put(backend, "processed/x/a", b"2")
    assert read(backend, "processed/x/a") == b"2"


def test_listing_gives_the_newest_versions_by_key(backend: Backend) -> None:
    """In the order of the keys as text, folders among files."""
    keys = [
        "processed/a b",
        "processed/a-b/c",
        "processed/a.x",
        "processed/a/b/c",
        "processed/a/é",
        "processed/b",
    ]
    for key in reversed(keys):
        put(backend, key)
    assert [info.key for info in backend.blobs.list("processed/").items] == keys
    put(backend, "uploads/j1/a", b"old")
    newest = put(backend, "uploads/j1/a", b"newer")
    [listed] = backend.blobs.list("uploads/").items
    assert same(backend, listed, newest)
    assert backend.blobs.list("uploads/j2/").items == ()


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_pages_show_every_object_once(backend: Backend, limit: int) -> None:
    """Across folders, and while objects that were shown are erased."""
    keys = [f"uploads/j{number // 2}/f{number % 2}" for number in range(6)]
    for key in keys:
        put(backend, key)
    seen: list[str] = []
    cursor = None
    while True:
        page = backend.blobs.list("uploads/", cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        seen += [info.key for info in page.items]
        if page.cursor is None:
            break
        cursor = page.cursor
        backend.blobs.delete(page.items[0].key)
    assert seen == keys
    with pytest.raises(InvalidRequest):
        backend.blobs.list("uploads/", cursor="nonsense")


def test_writers_and_erasers_do_not_get_in_each_others_way(backend: Backend) -> None:
    """While one thread erases a folder again and again, every put into it is either whole or gone."""
    stop = threading.Event()

    def erase() -> None:
        while not stop.is_set():
            backend.blobs.delete("processed/j1/")

    eraser = threading.Thread(target=erase)
    eraser.start()
    try:
        for number in range(60):
            key = f"processed/j1/t{number % 3}/{number}"
            try:
                put(backend, key, b"x" * 1000)
            except Exception as error:
                assert type(error).__name__ == "Erased"  # noqa: PT017 - the embedded backend's own word for it
            info = backend.blobs.head(key)
            assert info is None or info.bytes == 1000
    finally:
        stop.set()
        eraser.join()
    backend.blobs.delete("processed/j1/")
    assert backend.blobs.list("processed/").items == ()


# --- the embedded backend alone ---------------------------------------------------------------------------


def _everything(embedded: Embedded) -> list[str]:
    return sorted(
        str(path.relative_to(embedded.data))
        for folder in ("files", "tmp")
        for path in (embedded.data / folder).rglob("*")
        if path.is_file()
    )


def test_a_writer_that_does_not_commit_leaves_nothing(embedded: Embedded) -> None:
    """Not while it writes, for readers; not after it, on the disk."""
    with embedded.blobs.writer("uploads/j1/a.jpg") as writer:
        writer.write(b"half of")
        assert embedded.blobs.head("uploads/j1/a.jpg") is None
        assert embedded.blobs.list("uploads/").items == ()
    assert _everything(embedded) == []


def test_a_writer_gives_what_was_written(embedded: Embedded) -> None:
    """All the pieces, in order."""
    with embedded.blobs.writer("uploads/j1/a.jpg") as writer:
        for piece in (b"one ", bytearray(b"two "), memoryview(b"three")):
            writer.write(piece)
        info = writer.commit()
    assert info.bytes == 13
    with embedded.blobs.open("uploads/j1/a.jpg", info.version) as file:
        assert file.read() == b"one two three"


def test_a_writer_may_refuse_to_be_second(embedded: Embedded) -> None:
    """With `overwrite=False`, one of many commits succeeds and the others find BlobExists."""
    writers = [embedded.blobs.writer("uploads/j1/a.jpg", overwrite=False) for _ in range(5)]
    together = threading.Barrier(5)
    outcomes: list[str] = []

    def commit(number: int) -> None:
        with writers[number] as writer:
            writer.write(b"x")
            together.wait()
            try:
                outcomes.append(writer.commit().version)
            except BlobExists:
                outcomes.append("exists")

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("exists") == 4
    assert len(_everything(embedded)) == 1


def test_erasing_reaches_what_is_still_being_written(embedded: Embedded) -> None:
    """An upload that is under way when its job is erased does not land afterwards."""
    with (
        embedded.blobs.writer("uploads/j1/a.jpg") as erased,
        embedded.blobs.writer("uploads/j10/a.jpg") as other,
    ):
        erased.write(b"x")
        embedded.blobs.delete("uploads/j1/")
        with pytest.raises(Exception, match="erased"):
            erased.commit()
        other.commit()
    assert [info.key for info in embedded.blobs.list("uploads/").items] == ["uploads/j10/a.jpg"]
    assert len(_everything(embedded)) == 1


def test_leftovers_of_a_crash_are_removed(embedded: Embedded) -> None:
    """At the next start all of them; while others may be writing only those older than a day."""
    embedded.blobs.writer("uploads/j1/old.jpg").write(b"x")
    [old] = (embedded.data / "tmp").iterdir()
    os.utime(old, (1000, 1000))
    embedded.blobs.writer("uploads/j1/new.jpg").write(b"x")
    assert embedded.blobs.clean(1000 + 86_400) == 0
    assert embedded.blobs.clean(1001 + 86_400) == 1
    assert len(_everything(embedded)) == 1
    embedded.recover()
    assert _everything(embedded) == []


def test_nothing_is_left_after_deleting(embedded: Embedded) -> None:
    """No empty folder either."""
    embedded.blobs.put("processed/uploads/j1/t/a", io.BytesIO(b"x"), content_type="")
    embedded.blobs.put("uploads/j1/a", io.BytesIO(b"x"), content_type="")
    embedded.blobs.delete("processed/uploads/j1/")
    embedded.blobs.delete("uploads/j1/")
    left = [path.name for path in (embedded.data / "files").rglob("*")]
    assert sorted(left) == ["processed", "uploads"]


@pytest.mark.parametrize(
    "key",
    [
        "uploads/j1/a\x00b",
        "uploads/j1/a\nb",
        "uploads/j1/" + "x" * 201,
        "uploads/" + "/".join(["x" * 100] * 11),
        "uploads/j1/e\u0301",  # decomposed
        "uploads/j1/\udc80",
    ],
)
def test_a_key_that_a_file_system_could_misread_is_refused(embedded: Embedded, key: str) -> None:
    """Control characters, over-long names, decomposed or broken Unicode."""
    with pytest.raises(InvalidRequest):
        embedded.blobs.writer(key)
    assert embedded.blobs.head(key) is None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell descriptors apart")
@pytest.mark.parametrize("key", ["uploads/j1/a.jpg", "processed/uploads/j1/t/a.webp"])
def test_what_was_put_is_on_the_disk_before_it_is_told(
    embedded: Embedded, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the bytes, then the name, then the folder and every folder above that is new."""
    steps: list[str] = []
    root = embedded.data / "files"

    def where(descriptor: int) -> str:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        return str(path.relative_to(root)) if path.is_relative_to(root) else path.parent.name

    def watched(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            steps.append(f"fsync {where(arguments[0])}" if name == "fsync" else "publish")
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "link", "rename"):
        watched(name)
    embedded.blobs.put(key, io.BytesIO(b"x"), content_type="")
    folder = key.rpartition("/")[0]
    parents = [str(parent) for parent in Path(folder).parents]
    assert steps == ["fsync tmp", "publish", f"fsync {folder}", *(f"fsync {parent}" for parent in parents)]
    steps.clear()
    embedded.blobs.put(f"{folder}/b.jpg", io.BytesIO(b"x"), content_type="")
    assert steps == ["fsync tmp", "publish", f"fsync {folder}"]


def test_only_the_owner_can_read_the_files(embedded: Embedded) -> None:
    """Photos and the secret are readable by the user who runs Safelight and nobody else."""
    embedded.blobs.put("uploads/j1/a", io.BytesIO(b"x"), content_type="")
    for path in embedded.data.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path
    assert embedded.data.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_folders_come_in_pages(backend: Backend, limit: int) -> None:
    """Each once and in order, however many objects and versions lie below it; objects beside them are no folders."""
    for key in ("j1/a.jpg", "j1/a.jpg", "j1/b.jpg", "j10/a.jpg", "j2/x/y.jpg"):
        put(backend, f"uploads/{key}")
    put(backend, "processed/uploads/j3/t/main.jpg")
    found: list[str] = []
    cursor = None
    while True:
        page = backend.blobs.folders("uploads/", cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert found == ["j1", "j10", "j2"]
    assert backend.blobs.folders("processed/uploads/").items == ("j3",)
    assert backend.blobs.folders("uploads/j1/").items == ()
    assert backend.blobs.folders("uploads/nobody/").items == ()


def test_an_erased_folder_is_no_folder(backend: Backend) -> None:
    """It is not named any more, or, where folders are things of their own, there is nothing in it."""
    put(backend, "uploads/j1/a.jpg")
    put(backend, "uploads/j2/a.jpg")
    backend.blobs.delete("uploads/j1/")
    folders = backend.blobs.folders("uploads/").items
    assert [name for name in folders if backend.blobs.list(f"uploads/{name}/").items] == ["j2"]
