"""The console on AWS: the built pages, in a bucket behind the stack's distribution.

    config.json      the API's address, which the pages look up
    missing.txt      what the distribution says of what is not there
    everything else  as `safelight serve` has it

Pages of before stay for as long as the stack does: one that is open in a browser may still ask for its parts.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from safelight.entrypoints.api import console
from safelight.entrypoints.deploy import removal
from safelight.entrypoints.deploy.account import Account, Names
from safelight.entrypoints.deploy.border import spoken
from safelight.entrypoints.deploy.remains import has_bucket, owner_of
from safelight.entrypoints.deploy.removal import Say
from safelight.errors import ConfigurationError

ALWAYS_ASKED: Final = "no-cache"
MISSING: Final = b"There is nothing at this address.\n"


def put(account: Account, outputs: Mapping[str, str], say: Say) -> None:
    """Put the pages where the distribution finds them. The page itself comes last: whoever gets it finds the rest.

    Raise ConfigurationError if this Safelight was not built with pages, or if they can not be put there.
    """
    bucket, s3 = outputs["ConsoleBucketName"], account.client("s3")
    files = sorted(_files(outputs["ApiUrl"]), key=lambda each: each[0] == "index.html")
    say(f"Putting {len(files)} files of the console into {bucket}")
    for name, body in files:
        with spoken():
            s3.put_object(
                Bucket=bucket,
                Key=name,
                Body=body,
                ContentType=console.content_type(name),
                CacheControl=console.FOREVER if name.startswith("assets/") else ALWAYS_ASKED,
            )


def _files(api: str) -> Iterator[tuple[str, bytes]]:
    folder: Path = console.FOLDER
    if not (folder / "index.html").is_file():
        raise ConfigurationError(
            "This installation has no console; build it with `make console`, or deploy without."
        )
    own = {"config.json": json.dumps({"api": api}).encode(), "missing.txt": MISSING}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in own:
            yield name, path.read_bytes()
    yield from own.items()


def remove(account: Account, names: Names, say: Say) -> None:
    """Remove the bucket of a console that is not wanted any more, if there is one."""
    if has_bucket(account, names.console_bucket):
        removal.delete_bucket(account, names.console_bucket, say)


def make_room(account: Account, names: Names, say: Say) -> None:
    """Before a new stack: remove what another one, which stopped half-way, has left in its place.

    Raise ConfigurationError if it is not ours.
    """
    bucket = names.console_bucket
    if not has_bucket(account, bucket):
        return
    if owner_of(account, bucket) is None:
        raise ConfigurationError(
            f"The bucket {bucket} is there and is not Safelight's; choose another --parameter AppName=…"
        )
    removal.delete_bucket(account, bucket, say)


def origin(outputs: Mapping[str, str], allowed: str) -> str:
    """What has to be allowed besides these origins for the console to work; empty if there is nothing to add."""
    return "" if "*" in allowed.split(",") else outputs.get("ConsoleUrl", "")
