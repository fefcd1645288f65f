"""Signatures, checked with the library that receivers use."""

import base64

import pytest
from standardwebhooks import Webhook as Check
from standardwebhooks import WebhookVerificationError

from safelight.webhooks.signing import headers_of, new_secret


def test_the_example_of_the_specification() -> None:
    """The vector that every implementation is tested with."""
    body = b'{"test": 2432232314}'
    headers = headers_of(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.9, body, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_secrets() -> None:
    """Random, 256 bits, in the form that receivers know."""
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in secrets)


def test_every_secret_that_signs_can_check() -> None:
    """During a change both do; a third does not, and neither does a body that was changed."""
    import time

    old, new, other = new_secret(), new_secret(), new_secret()
    headers = headers_of("m_1", time.time(), b"{}", [new, old])
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Check(old).verify(b"{}", headers) == Check(new).verify(b"{}", headers) == {}
    for secret, body in ((other, b"{}"), (new, b"{ }")):
        with pytest.raises(WebhookVerificationError):
            Check(secret).verify(body, headers)
