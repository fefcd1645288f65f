"""POST policies, in S3's form: a JSON document that says which form fields and which sizes are allowed."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from safelight.backends.embedded.s3 import S3Error
from safelight.decoding import from_json
from safelight.ports import UploadGrant

_FREE = frozenset({"policy", "x-safelight-signature", "file"})
"""Fields that a policy needs not mention."""


class Policy(msgspec.Struct, frozen=True):
    """A policy. Conditions are `{field: value}` or `[operator, "$field", value]`."""

    expiration: datetime
    conditions: list[Any]


def policy_of(grant: UploadGrant, fields: Mapping[str, str], expires_at: int) -> str:
    """The policy that allows one upload with exactly these fields, in base64."""
    low, high = (0, grant.max_bytes) if grant.size is None else (grant.size, grant.size)
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", low, high])
    conditions.append(["starts-with", "$success_action_status", ""])
    policy = Policy(expiration=datetime.fromtimestamp(expires_at, UTC), conditions=conditions)
    return base64.b64encode(msgspec.json.encode(policy)).decode()


def check_policy(encoded: str, fields: Mapping[str, str], now: float) -> tuple[int, int]:
    """The sizes that are allowed, from and to. Raise S3Error if the fields (by lower-case name) are not allowed."""
    try:
        policy = from_json(base64.b64decode(encoded, validate=True), Policy)
    except (binascii.Error, ValueError, RecursionError, msgspec.MsgspecError):
        raise S3Error("InvalidPolicyDocument", "Invalid Policy: Invalid JSON.") from None
    if policy.expiration.timestamp() <= now:
        raise S3Error("AccessDenied", "Invalid according to Policy: Policy expired.")
    sizes = (0, 0)
    mentioned = set(_FREE)
    for condition in policy.conditions:
        match condition:
            case ["content-length-range", int(low), int(high)]:
                sizes = (low, high)
                continue
            case ["starts-with", str(name), str(value)]:
                name = name.removeprefix("$").lower()
                holds = fields.get(name, "").startswith(value)
            case ["eq", str(name), str(value)]:
                name = name.removeprefix("$").lower()
                holds = fields.get(name) == value
            case dict() if len(condition) == 1:
                [(name, value)] = condition.items()
                name = name.lower()
                holds = fields.get(name) == value
            case _:
                raise S3Error("InvalidPolicyDocument", "Invalid Policy: Invalid condition.")
        mentioned.add(name)
        if not holds:
            raise S3Error(
                "AccessDenied",
                f"Invalid according to Policy: Policy Condition failed: {msgspec.json.encode(condition).decode()}",
            )
    if extra := set(fields) - mentioned:
        raise S3Error(
            "AccessDenied", f"Invalid according to Policy: Extra input fields: {', '.join(sorted(extra))}"
        )
    return sizes
