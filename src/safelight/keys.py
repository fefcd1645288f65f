"""API keys: made, listed, checked, revoked. The store holds a digest of each secret and never the secret.

    sl_3f9a2c1e_Jq0…      what callers send
       prefix   secret    the prefix names the key and may be shown; the secret is 43 random letters and digits

Such a secret (256 bits) can not be guessed, so one round of SHA-256 protects it as well as a slow hash would, and
checking a key costs one read and no time to speak of. Any number of keys may have the same owner: a key is replaced by
making a second one, changing over, and revoking the first.
"""

import hmac
import re
import secrets
import string
from hashlib import sha256
from typing import Final

import msgspec

from safelight.callers import Caller, Scope
from safelight.decoding import from_json
from safelight.errors import InvalidRequest, NotAuthenticated, SafelightError
from safelight.model import DAY, Value, timestamp
from safelight.ports import Clock, Records

PARTITION: Final = "keys"

KEPT_AFTER_EXPIRY: Final = 30 * DAY
"""How long an expired key is still listed, and its holder told that it has expired."""

_ALPHABET: Final = string.ascii_letters + string.digits
_SECRET_LENGTH: Final = 43
_KEY: Final = re.compile(rf"sl_([0-9a-f]{{8}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})")
_NO_DIGEST: Final = "0" * 64
_NAME: Final = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,126}[^\s\x00-\x1f\x7f])?")


class UnknownKey(SafelightError):
    """There is no key of that prefix; `safelight keys ls` shows those there are."""

    code = "unknown_key"


class ApiKey(Value, frozen=True):
    """A key as it is kept: everything but the secret."""

    prefix: str
    name: str
    owner: str
    scopes: tuple[Scope, ...]
    digest: str
    """SHA-256 of the secret, in hexadecimal."""
    created_at: float
    expires_at: float | None = None


class Keys:
    """The keys of one Safelight."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    def create(
        self,
        *,
        name: str = "default",
        owner: str | None = None,
        scopes: tuple[Scope, ...] = (Scope.UPLOAD, Scope.READ),
        expires_in: float | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key, and return it with the text that its holder sends: nobody can ever tell that text again.

        The owner is the name unless another is given: so a second key of the same name sees the same jobs.
        Raise InvalidRequest.
        """
        owner = name if owner is None else owner
        for what, value in (("name", name), ("owner", owner)):
            if not _NAME.fullmatch(value):
                raise InvalidRequest(f"{what}: expected 1 to 128 printable characters, received {value!r}.")
        if not scopes:
            raise InvalidRequest(f"scope: expected one of {', '.join(Scope)}, received nothing.")
        now = self._clock()
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
        key = ApiKey(
            prefix=secrets.token_hex(4),
            name=name,
            owner=owner,
            scopes=tuple(scope for scope in Scope if scope in scopes),
            digest=_digest(secret),
            created_at=now,
            expires_at=None if expires_in is None else now + expires_in,
        )
        # `expected=0`: in the rare case that the prefix is taken, no key is overwritten.
        self._records.put(
            PARTITION,
            key.prefix,
            msgspec.json.encode(key),
            expected=0,
            expires_at=None if key.expires_at is None else key.expires_at + KEPT_AFTER_EXPIRY,
        )
        return key, f"sl_{key.prefix}_{secret}"

    def all(self) -> list[ApiKey]:
        """Every key that is kept, oldest first; those that have expired not long ago are among them."""
        keys: list[ApiKey] = []
        cursor: str | None = None
        while True:
            page = self._records.list(PARTITION, cursor=cursor)
            keys += [_decoded(record.value) for record in page.items]
            cursor = page.cursor
            if cursor is None:
                return sorted(keys, key=lambda key: key.created_at)

    def revoke(self, prefix: str) -> ApiKey:
        """End a key: the next request that brings it is refused. Raise UnknownKey."""
        match = re.fullmatch(r"(?:sl_)?([0-9a-f]{8})(?:_.*)?", prefix)
        record = self._records.get(PARTITION, match[1]) if match else None
        if record is None:
            raise UnknownKey
        self._records.delete(PARTITION, record.key)
        return _decoded(record.value)

    def expired(self, key: ApiKey) -> bool:
        """Whether the key's time is over."""
        return key.expires_at is not None and key.expires_at <= self._clock()

    def check(self, text: str) -> Caller:
        """Whose key this is. Raise NotAuthenticated.

        Only to the holder of the right secret is it told that the key has expired; every other failure is one and
        the same, whatever is wrong with the key.
        """
        match = _KEY.fullmatch(text)
        if match is None:
            raise NotAuthenticated(_WRONG)
        record = self._records.get(PARTITION, match[1])
        key = None if record is None else _decoded(record.value)
        # Compared also where there is no such key, so that time does not tell which prefixes exist.
        same = hmac.compare_digest(_digest(match[2]), _NO_DIGEST if key is None else key.digest)
        if key is None or not same:
            raise NotAuthenticated(_WRONG)
        if key.expires_at is not None and self.expired(key):
            raise NotAuthenticated(f"This key expired at {timestamp(key.expires_at)}; ask for a new one.")
        return Caller(owner=key.owner, scopes=frozenset(key.scopes))


_WRONG: Final = "This is not a key of this Safelight, or not any more; ask the operator for one."


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _decoded(value: bytes) -> ApiKey:
    return from_json(value, ApiKey)
