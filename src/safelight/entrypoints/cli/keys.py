"""`safelight keys`: who may call, where SAFELIGHT_AUTH=apikey asks for keys."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from safelight.entrypoints.cli.deploy import Region
from safelight.entrypoints.cli.store import Data, chosen
from safelight.entrypoints.cli.terminal import AsJson, UsageError, columns, note, say, say_json

if TYPE_CHECKING:
    from safelight.callers import Scope
    from safelight.keys import ApiKey, Keys

Stack = Annotated[
    str | None,
    Parameter(
        help="The keys of this stack on AWS, instead of those that the environment's settings lead to.",
        negative="",
        show_default=False,
    ),
]

keys = App(name="keys", help="Make, list and revoke API keys: on this machine's data folder, or on AWS.")


@keys.command
def create(
    *,
    name: str = "default",
    owner: str | None = None,
    scope: str = "upload,read",
    days: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    data: Data = None,
    stack: Stack = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and show it this one time: only a digest of it is kept.

    To replace a key make a second one of the same name, change over, and revoke the first: both work until then.

    Parameters
    ----------
    name
        What the key is for.
    owner
        Whose jobs it makes and sees; without, the name. Keys of one owner see the same jobs.
    scope
        What it allows, separated by commas: upload (make, cancel and erase jobs), read (look at them), admin
        (everything, with everybody's jobs).
    days
        How long it is good for; without, until it is revoked.
    """
    from safelight.model import DAY

    scopes = _scopes(scope)
    with _opened(data, stack, region, new=True) as store:
        key, text = store.create(
            name=name,
            owner=owner,
            scopes=scopes,
            expires_in=None if days is None else days * DAY,
        )
        if as_json:
            say_json({"key": text, **_document(store, key)})
            return
    say(text)


@keys.command(name="ls")
def list_(*, data: Data = None, stack: Stack = None, region: Region = None, as_json: AsJson = False) -> None:
    """List the keys, oldest first. What they are can not be shown again, only how they begin."""
    from safelight.model import timestamp

    with _opened(data, stack, region) as store:
        found = store.all()
        documents = [_document(store, key) for key in found]
    if as_json:
        say_json(documents)
        return
    if not found:
        say("No keys; `safelight keys create` makes one.")
        return
    rows = [["KEY", "NAME", "OWNER", "SCOPES", "CREATED", "EXPIRES"]]
    for key, document in zip(found, documents, strict=True):
        ends = "never" if key.expires_at is None else timestamp(key.expires_at)[:19] + "Z"
        rows.append(
            [
                f"sl_{key.prefix}_…",
                key.name,
                key.owner,
                ",".join(key.scopes),
                timestamp(key.created_at)[:19] + "Z",
                "expired" if document["expired"] else ends,
            ]
        )
    for line in columns(rows):
        say(line)


@keys.command
def revoke(
    prefix: Annotated[str, Parameter(help="How the key begins, as `keys ls` shows it.")],
    /,
    *,
    data: Data = None,
    stack: Stack = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """End a key: the next request that brings it is refused."""
    with _opened(data, stack, region) as store:
        key = store.revoke(prefix)
    if as_json:
        say_json({"prefix": key.prefix, "name": key.name, "revoked": True})
    else:
        say(f"sl_{key.prefix}_… ({key.name}) is revoked.")


def _scopes(text: str) -> "tuple[Scope, ...]":
    from safelight.callers import Scope

    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or set(words) - set(Scope):
        raise UsageError(
            f"--scope: expected some of {', '.join(Scope)}, separated by commas; received {text!r}."
        )
    return tuple(Scope(word) for word in words)


@contextmanager
def _opened(
    data: Path | None, stack: str | None, region: str | None, *, new: bool = False
) -> Iterator["Keys"]:
    """The keys that the options name, or else the environment. On one machine it is told whose keys they are, since the
    folder may depend on where one stands; one that holds no Safelight is begun only if `new`. Raise
    ConfigurationError."""
    from safelight import bootstrap

    settings = chosen(data, stack, region)
    if settings.backend == "embedded":
        folder = Path(settings.data).absolute()
        if bootstrap.is_there(settings):
            note(f"The keys of the data folder {folder}")
        elif new:
            note(
                f"There was no Safelight in the data folder {folder}: this key begins one. "
                f"Serve it with safelight serve --data {shlex.quote(str(folder))}"
            )
    with bootstrap.open_keys(settings, new=new) as store:
        yield store


def _document(store: "Keys", key: "ApiKey") -> dict[str, Any]:
    """A key for programs: what may be shown of it."""
    from safelight.model import timestamp

    return {
        "prefix": key.prefix,
        "name": key.name,
        "owner": key.owner,
        "scopes": list(key.scopes),
        "createdAt": timestamp(key.created_at),
        "expiresAt": None if key.expires_at is None else timestamp(key.expires_at),
        "expired": store.expired(key),
    }
