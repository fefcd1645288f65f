"""The promises of API keys."""

import pytest

from safelight.callers import Caller, Scope
from safelight.errors import InvalidRequest, NotAuthenticated
from safelight.keys import PARTITION, Keys, UnknownKey
from safelight.model import DAY
from safelight.ports import Records
from safelight.testing import Clock, in_memory


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def records(clock: Clock) -> Records:
    return in_memory(clock).records


@pytest.fixture
def keys(records: Records, clock: Clock) -> Keys:
    return Keys(records, clock)


def test_a_key_names_its_caller(keys: Keys) -> None:
    """Who holds a key is its owner, with its scopes."""
    _, text = keys.create(name="shop", scopes=(Scope.READ,))
    assert keys.check(text) == Caller(owner="shop", scopes=frozenset({Scope.READ}))


def test_the_secret_is_not_kept(keys: Keys, records: Records) -> None:
    """What the store holds does not contain the secret, nor what could be sent instead."""
    key, text = keys.create()
    secret = text.rpartition("_")[2]
    assert len(secret) == 43
    [record] = records.list(PARTITION).items
    assert secret.encode() not in record.value
    for instead in (key.digest, f"sl_{key.prefix}_{key.digest[:43]}", key.prefix):
        with pytest.raises(NotAuthenticated):
            keys.check(instead)


def test_wrong_keys_are_all_refused_alike(keys: Keys) -> None:
    """Whether the prefix, the secret or the form is wrong, or the key was revoked, is not told."""
    key, text = keys.create()
    other, _ = keys.create()
    gone, revoked = keys.create()
    keys.revoke(gone.prefix)
    flipped = text[:-1] + ("a" if text[-1] != "a" else "b")
    wrong = [flipped, text.replace(key.prefix, other.prefix), text.replace(key.prefix, "00000000"), revoked]
    messages = set()
    for each in [*wrong, "", "sl_", text[3:], text + "a", text.upper(), f"{text}\n", "sl_é_" + "a" * 43]:
        with pytest.raises(NotAuthenticated) as caught:
            keys.check(each)
        messages.add(caught.value.message)
    assert len(messages) == 1


def test_two_keys_of_one_name_are_one_owner(keys: Keys) -> None:
    """A key is replaced without a gap: the second works beside the first, with the same jobs, and after it."""
    first, old = keys.create(name="shop")
    _, new = keys.create(name="shop")
    assert keys.check(old) == keys.check(new)
    keys.revoke(first.prefix)
    assert keys.check(new).owner == "shop"
    with pytest.raises(NotAuthenticated):
        keys.check(old)


def test_an_expired_key_is_refused(keys: Keys, clock: Clock) -> None:
    """Its holder is told that it expired; somebody who only knows its prefix is not. It is listed for a while."""
    _, text = keys.create(expires_in=DAY)
    clock.advance(DAY - 1)
    keys.check(text)
    clock.advance(1)
    with pytest.raises(NotAuthenticated, match="expired at 2023-11-15"):
        keys.check(text)
    with pytest.raises(NotAuthenticated, match="not a key"):
        keys.check(text[:-3] + "aaa")
    assert [keys.expired(key) for key in keys.all()] == [True]
    clock.advance(31 * DAY)
    assert keys.all() == []


def test_revoking_takes_what_ls_shows(keys: Keys) -> None:
    """The prefix, with or without what stands around it; what is no key is an error."""
    for form in ("{}", "sl_{}", "sl_{}_…"):
        key, text = keys.create()
        assert keys.revoke(form.format(key.prefix)) == key
        with pytest.raises(NotAuthenticated):
            keys.check(text)
    for unknown in ("00000000", "", "../x"):
        with pytest.raises(UnknownKey):
            keys.revoke(unknown)


def test_every_key_is_listed(keys: Keys, clock: Clock) -> None:
    """More than a page of them, oldest first."""
    names = []
    for number in range(120):
        clock.advance(1)
        names.append(keys.create(name=f"key {number}")[0].name)
    assert [key.name for key in keys.all()] == names


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 129, " a"])
def test_names_are_checked(keys: Keys, name: str) -> None:
    """A name that can not be shown in one line is refused, and so is such an owner."""
    with pytest.raises(InvalidRequest):
        keys.create(name=name)
    with pytest.raises(InvalidRequest):
        keys.create(owner=name)


def test_admin_may_everything() -> None:
    """The scope admin holds the others."""
    assert all(Caller(owner="me", scopes=frozenset({Scope.ADMIN})).may(scope) for scope in Scope)
    assert not any(Caller(owner="me").may(scope) for scope in Scope)
