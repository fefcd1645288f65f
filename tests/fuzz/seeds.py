"""Good examples for each target, from which a fuzzer starts."""

from typing import Final

from tests.fuzz.targets import NOW
from tests.hostile.mutants import seeds

from safelight.backends.embedded.links import Links
from safelight.ports import UploadGrant
from safelight.recipes import canonical, default

OTHERS: Final = Links(b"o" * 32, base_url="http://127.0.0.1:8000", clock=lambda: NOW)
"""The same with another secret: what it signs is well-formed, and worth nothing here."""

RECIPE: Final = b"""version: 1
steps:
  upright: {op: auto_orient}
  mark: {op: watermark, use: upright, text: hello, size: 4%, opacity: 0.5}
outputs:
  main: {use: mark, format: webp, quality: 80, primary: true}
"""


def of(target: str) -> list[bytes]:
    """The examples of a target."""
    if target == "header":
        return list(seeds().values())
    url = OTHERS.sign("PUT", "uploads/a/b.jpg", int(NOW) + 60, headers={"Content-Type": "image/jpeg"})
    query = url.partition("?")[2].encode()
    grant = UploadGrant(key="uploads/a/b.jpg", method="POST", expires_in=60, max_bytes=9)
    form = OTHERS.upload(grant)
    return {
        "recipe": [RECIPE, canonical(default("hello"))],
        "built_recipe": [canonical(default("hello"))],
        "signed_url": [b"PUT\nuploads/a/b.jpg\n" + query + b"\ncontent-type\nimage/jpeg"],
        "tampered_url": [b"X-Safelight-MaxBytes=11\nx-amz-acl", b"", b"%26X-Safelight-Expires=9\nhost"],
        "policy": [
            (form.fields or {})["policy"].encode(),
            b'{"expiration":"2030-01-01T00:00:00Z","conditions":[]}',
        ],
        "key": [b"uploads/a/b.jpg", b"processed/uploads/a/1/main.jpg", "uploads/a/é.jpg".encode()],
        "event": [
            b'{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"uploads/a/b+c.jpg","size":1}}}'
        ],
    }[target]
