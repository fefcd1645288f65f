"""Somebody who reads a page and types its commands."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.journeys.serving import environment, image
from tests.support.pages import Shell

AWS = "docs/how-to/aws.md"
"""The page whose commands need an account."""

PLACEHOLDERS = {
    "sl_…": r"sl_\w{20,}",
    "KEY_ID": r"sl_(\w{8})",
    "UPLOAD_URL": r'"uploadUrl": ?"([^"]+)"',
    "whsec_…": r"whsec_[\w+/=]+",
    "WEBHOOK_ID": r"webhook +([0-9a-f-]{36})",
    "DELIVERY_ID": r"\d{13}-[0-9a-f]{16}",
    "JOB_ID": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}",
}
"""What a reader fills in from what was printed before: the newest match stands for it."""


def filled_in(text: str, said: str) -> str:
    """The block as a reader types it."""
    for placeholder, pattern in PLACEHOLDERS.items():
        if placeholder in text:
            found = list(re.finditer(pattern, said))
            assert found, f"nothing printed so far can stand for {placeholder}"
            last = found[-1]
            text = text.replace(placeholder, last[last.lastindex or 0])
    return text


@contextmanager
def reader(folder: Path, **more: str) -> Iterator[Shell]:
    """A shell in a folder with two kinds of pictures to send; what it started ends with it."""
    (folder / "holiday").mkdir(parents=True)
    (folder / "beach.jpg").write_bytes(image())
    (folder / "holiday" / "sunset.jpg").write_bytes(image())
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with Shell(folder, environment(workers="1") | more | {"PATH": path}) as shell:
        try:
            yield shell
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.group, signal.SIGTERM)
