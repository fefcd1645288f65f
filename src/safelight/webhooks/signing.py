"""Signatures as Standard Webhooks has them: HMAC-SHA256 over `{id}.{timestamp}.{body}`, scheme `v1`.

Every secret that is good now signs, so that a receiver may change over in its own time: the header holds one signature
for each, and it has to find one that it can make itself.
"""

import base64
import hmac
import secrets
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A new secret, as receivers are told it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers_of(message_id: str, at: float, body: bytes, signed_by: Iterable[str]) -> dict[str, str]:
    """The three headers of a message that is sent at this time. The id must not hold a dot."""
    moment = str(int(at))
    content = b".".join((message_id.encode(), moment.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(_signature(secret, content) for secret in signed_by),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, content, sha256)).decode()
