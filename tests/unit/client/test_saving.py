"""Files are saved whole or not at all, and never over another."""

import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from safelight.client.saving import settle, unfinished


def save(folder: Path, name: str, body: bytes) -> Path:
    """Save a file."""
    with unfinished(folder) as file:
        file.write(body)
        return settle(file, folder / name, sha256(body).hexdigest())


def test_other_files_keep_their_names(tmp_path: Path) -> None:
    """What is there stays; the new file gets the next free name."""
    names = [save(tmp_path, "a.jpg", body).name for body in (b"one", b"two", b"three")]
    assert names == ["a.jpg", "a (2).jpg", "a (3).jpg"]
    assert (tmp_path / "a.jpg").read_bytes() == b"one"


def test_the_same_file_is_not_saved_twice(tmp_path: Path) -> None:
    """A file with the very same content is taken for this one, also under a later name."""
    for body in (b"one", b"two", b"two", b"one"):
        save(tmp_path, "a.jpg", body)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a (2).jpg", "a.jpg"]


def test_nothing_is_left_of_what_was_not_finished(tmp_path: Path) -> None:
    """A file that could not be finished vanishes."""
    with pytest.raises(ZeroDivisionError), unfinished(tmp_path / "new") as file:
        file.write(b"half" * (1 // 0))
    assert list((tmp_path / "new").iterdir()) == []


def test_many_at_once(tmp_path: Path) -> None:
    """Of many files that want the same name at the same time, none is lost."""
    bodies = [str(number).encode() for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda body: save(tmp_path, "a.jpg", body), bodies))
    assert sorted(path.read_bytes() for path in paths) == sorted(bodies)
    assert len(set(paths)) == 40


def test_a_result_is_readable_by_whom_the_umask_says(tmp_path: Path) -> None:
    """A web server may show it: what is private is the unfinished file, not the result."""
    before = os.umask(0o027)
    try:
        with unfinished(tmp_path) as file:
            file.write(b"picture")
            saved = settle(file, tmp_path / "a.jpg", sha256(b"picture").hexdigest())
    finally:
        os.umask(before)
    assert saved.stat().st_mode & 0o777 == 0o640
