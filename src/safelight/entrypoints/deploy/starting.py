"""Every function started once, right after its deployment.

Code that can not start is found now, by who deployed it, and the first client meets no function that has never run."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from safelight.entrypoints.deploy.account import FUNCTIONS, Account, Names
from safelight.entrypoints.deploy.border import spoken
from safelight.errors import ConfigurationError

NOTHING: Final[dict[str, Any]] = {"Records": []}
"""An event that tells of nothing: there is nothing to do about it."""

ASKED: Final[dict[str, Any]] = {
    "version": "2.0",
    "routeKey": "GET /",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"host": "localhost"},
    "requestContext": {"http": {"method": "GET", "path": "/", "sourceIp": "127.0.0.1"}},
    "isBase64Encoded": False,
}
"""A request that is open to everybody and touches nothing, as API Gateway hands it in."""

NOT_STARTED: Final = "did not start"

EVENTS: Final = {"request-upload": ASKED, "get-job-status": ASKED, "preview": ASKED}


def start_all(account: Account, names: Names, say: Callable[[str], None]) -> list[str]:
    """Start them, at once; tell of those that do not start, and return their names."""
    say("Starting every function once")

    def start(each: tuple[str, str]) -> str | None:
        what, function = each
        return _trouble(account, function, EVENTS.get(what, NOTHING))

    called = list(zip(FUNCTIONS, names.functions, strict=True))
    account.client("lambda")  # made once, before several threads ask for it
    with ThreadPoolExecutor(len(called)) as pool:
        troubles = list(pool.map(start, called))
    failed = []
    for (_, function), trouble in zip(called, troubles, strict=True):
        if trouble is not None:
            say(f"{function} {NOT_STARTED}: {trouble}")
            failed.append(function)
    return failed


def _trouble(account: Account, function: str, event: dict[str, Any]) -> str | None:
    """Why the function does not start, or None if it does."""
    try:
        with spoken():
            answer = account.client("lambda").invoke(
                FunctionName=function, Payload=json.dumps(event).encode()
            )
            said = answer["Payload"].read()
    except ConfigurationError as error:
        return error.message
    if "FunctionError" not in answer:
        return None
    try:
        return str(json.loads(said).get("errorMessage", answer["FunctionError"]))
    except (ValueError, AttributeError):
        return str(answer["FunctionError"])
