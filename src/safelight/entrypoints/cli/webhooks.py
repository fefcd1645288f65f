"""`safelight webhooks`: who is told when something has happened, and what became of telling them."""

import time
from contextlib import AbstractContextManager
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from safelight.entrypoints.cli.known import known
from safelight.entrypoints.cli.terminal import (
    DEFAULT_API,
    GREEN,
    RED,
    YELLOW,
    Api,
    AsJson,
    Key,
    columns,
    in_seconds,
    note,
    paint,
    say,
    say_json,
)
from safelight.errors import DeliveryNotFound, OutgoingError, WebhookNotFound

WebhookId = Annotated[str, Parameter(help="The webhook's id, as `webhooks ls` tells it.")]

LOOK_EVERY: Final = 0.25
"""Seconds between two looks at a test that was sent."""

_WHY: Final = {kind.code: kind().message for kind in OutgoingError.__subclasses__()}
"""What an attempt's error means, by its code."""

_COLOURS: Final = {"delivered": GREEN, "failed": RED, "pending": YELLOW}

webhooks = App(
    name="webhooks", help="Be told when jobs and batches end: signed requests to an address of yours."
)


@webhooks.command
def add(
    url: Annotated[str, Parameter(help="Where to send: https, and a host of the public internet.")],
    /,
    *,
    events: str = "",
    description: str = "",
    api: Api = DEFAULT_API,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Register an address, and show its secret this one time.

    Parameters
    ----------
    events
        What to be told of, separated by commas, such as job.completed,job.failed; without, everything.
    description
        What it is for.
    """
    from safelight.client import Client

    chosen = tuple(word.strip() for word in events.split(",") if word.strip())
    with Client(api, key=key) as client:
        made = client.webhooks.add(url, events=chosen, description=description)
    _show_secret(made, as_json=as_json)


@webhooks.command(name="ls")
def list_(*, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False) -> None:
    """List the webhooks, oldest first, and how they stand."""
    from safelight.client import Client

    with Client(api, key=key) as client:
        found = client.webhooks.all()
    if as_json:
        say_json(found)
        return
    if not found:
        say("No webhooks; `safelight webhooks add` registers one.")
        return
    rows = [["WEBHOOK", "STATE", "EVENTS", "URL"]]
    rows += [[each["id"], _state(each), ",".join(each["events"]), each["url"]] for each in found]
    for line in columns(rows):
        say(line)


@webhooks.command
def rm(webhook_id: WebhookId, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False) -> None:
    """Remove a webhook."""
    from safelight.client import Client

    with Client(api, key=key) as client, _known(webhook_id):
        client.webhooks.delete(webhook_id)
    if as_json:
        say_json({"id": webhook_id, "deleted": True})
    else:
        say(f"{webhook_id} is removed.")


@webhooks.command
def rotate(
    webhook_id: WebhookId, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False
) -> None:
    """Replace a webhook's secret, and show the new one this one time. For 24 hours both sign."""
    from safelight.client import Client

    with Client(api, key=key) as client, _known(webhook_id):
        made = client.webhooks.rotate(webhook_id)
    _show_secret(made, as_json=as_json)


@webhooks.command
def deliveries(
    webhook_id: WebhookId,
    /,
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    api: Api = DEFAULT_API,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show what was sent to a webhook and what came of it, newest first.

    Parameters
    ----------
    limit
        At most so many.
    """
    from safelight.client import Client

    with Client(api, key=key) as client, _known(webhook_id):
        found = list(client.webhooks.deliveries(webhook_id, limit=limit))
    if as_json:
        say_json(found)
        return
    if not found:
        say("Nothing was sent yet.")
        return
    rows = [["DELIVERY", "TIME", "EVENT", "STATUS", "ATTEMPT", "ANSWER"]]
    rows += [
        [
            each["id"],
            each["createdAt"][:19] + "Z",
            each["event"],
            each["status"],
            str(each["attempt"]),
            _last(each),
        ]
        for each in found
    ]
    for line in columns(rows):
        say(line)


@webhooks.command
def replay(
    webhook_id: WebhookId,
    delivery_id: Annotated[str, Parameter(help="The delivery's id, as `webhooks deliveries` tells it.")],
    /,
    *,
    api: Api = DEFAULT_API,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Send a delivery once more, under the same webhook-id."""
    from safelight.client import Client

    delivery = known("delivery", delivery_id, DeliveryNotFound, f"webhooks deliveries {webhook_id}")
    with Client(api, key=key) as client, _known(webhook_id), delivery:
        document = client.webhooks.replay(webhook_id, delivery_id)
    if as_json:
        say_json(document)
    else:
        say(
            f"{document['event']} is sent again; `safelight webhooks deliveries {webhook_id}` shows what comes of it."
        )


@webhooks.command(name="test")
def send_test(
    webhook_id: WebhookId,
    /,
    *,
    seconds: Annotated[float, Parameter(validator=Number(gt=0))] = 90.0,
    api: Api = DEFAULT_API,
    key: Key = None,
    as_json: AsJson = False,
) -> int:
    """Send a test and wait for what comes of it. The exit code is 0 if it has arrived, 1 otherwise.

    Parameters
    ----------
    seconds
        How long to wait. On AWS it may take a minute until it is sent.
    """
    from safelight.client import Client

    end = time.monotonic() + seconds
    with Client(api, key=key) as client, _known(webhook_id):
        sent = client.webhooks.test(webhook_id)
        while sent["status"] == "pending" and time.monotonic() < end:
            time.sleep(LOOK_EVERY)
            recent = client.webhooks.deliveries(webhook_id, limit=100)
            sent = next((each for each in recent if each["id"] == sent["id"]), sent)
    if as_json:
        say_json(sent)
    else:
        say(f"{paint(sent['status'], _COLOURS[sent['status']])}  {_last(sent)}".rstrip())
        if sent["attempts"] and (why := _WHY.get(sent["attempts"][-1]["error"])):
            note(why)
    return 0 if sent["status"] == "delivered" else 1


def _known(webhook_id: str) -> AbstractContextManager[None]:
    return known("webhook", webhook_id, WebhookNotFound, "webhooks ls")


def _show_secret(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(document)
        return
    for line in columns([["webhook", document["id"]], ["secret", document["secret"]]]):
        say(line)


def _state(webhook: dict[str, Any]) -> str:
    if webhook["disabled"]:
        return f"disabled: {webhook['disabledReason']}"
    return "failing" if webhook["failingSince"] else "ok"


def _last(delivery: dict[str, Any]) -> str:
    """The last attempt in a few words."""
    if not delivery["attempts"]:
        return ""
    attempt = delivery["attempts"][-1]
    status = attempt["responseStatus"]
    came = " ".join(str(word) for word in (status, attempt["error"]) if word is not None)
    return f"{came}, {in_seconds(attempt['duration'])}"
