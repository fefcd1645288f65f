"""Saving outputs: whole or not at all, and never over a file that is there already."""

import hashlib
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def unfinished(folder: Path) -> Iterator[IO[bytes]]:
    """A file in `folder` to write to; it vanishes at the end, unless `settle` gave it its name."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".safelight-", suffix=".part", delete=False) as file:
        # At the latest when the process ends: threads that Ctrl-C cuts off run no `finally`.
        remove = weakref.finalize(file, Path(file.name).unlink, missing_ok=True)
        try:
            yield file
        finally:
            remove()


def settle(file: IO[bytes], wanted: Path, sha256: str) -> Path:
    """Give a finished file its name and return it: `wanted`, or `wanted (2)` and so on if that is taken.

    A file of that name with the very same content is taken for this one, so that a repeated run adds nothing.
    """
    file.flush()
    number = 1
    while True:
        path = wanted if number == 1 else wanted.with_stem(f"{wanted.stem} ({number})")
        try:
            path.open("xb").close()  # several threads may want the same name; one gets it
        except FileExistsError:
            if path.is_file() and digest(path) == sha256:
                return path
            number += 1
            continue
        # Temporary files are for their owner only; a result is readable by whom the user's umask says.
        Path(file.name).chmod(path.stat().st_mode & 0o777)
        return Path(file.name).replace(path)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
