"""The promises of an Idempotency-Key."""

import pytest

from safelight.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from safelight.idempotency import BUSY_SECONDS, once
from safelight.model import DAY
from safelight.testing import Clock, Records


class Desk:
    """Carries out requests, and counts how often it really does."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.records = Records(self.clock)
        self.done = 0

    def ask(self, key: str = "k", request: bytes = b"request", owner: str = "me") -> str:
        return once(self.records, self.clock, owner=owner, key=key, request=request, action=self._act)

    def _act(self) -> str:
        self.done += 1
        return f"job {self.done}"


def test_the_same_request_is_carried_out_once() -> None:
    """A repeated request gets the first one's answer."""
    desk = Desk()
    assert [desk.ask(), desk.ask()] == ["job 1", "job 1"]
    assert desk.done == 1


def test_another_key_is_another_request() -> None:
    """Requests with different keys are each carried out."""
    desk = Desk()
    assert [desk.ask("a"), desk.ask("b")] == ["job 1", "job 2"]


def test_a_key_belongs_to_its_caller() -> None:
    """Two callers may use the same key without meeting."""
    desk = Desk()
    assert [desk.ask(owner="me"), desk.ask(owner="you")] == ["job 1", "job 2"]


def test_a_key_is_bound_to_its_request() -> None:
    """The same key with another request is refused, and nothing is carried out."""
    desk = Desk()
    desk.ask(request=b"one")
    with pytest.raises(IdempotencyKeyReused):
        desk.ask(request=b"two")
    assert desk.done == 1


def test_a_request_under_way_is_not_started_again() -> None:
    """While the first request is being answered, a second one is told to come back."""
    desk = Desk()

    def act() -> str:
        with pytest.raises(IdempotencyKeyInUse):
            desk.ask()
        return "job"

    assert once(desk.records, desk.clock, owner="me", key="k", request=b"request", action=act) == "job"
    assert desk.ask() == "job"
    assert desk.done == 0


def test_a_failed_request_frees_its_key() -> None:
    """A request that could not be carried out may be repeated with its key."""
    desk = Desk()

    def fail() -> str:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 (it is this very one)
        once(desk.records, desk.clock, owner="me", key="k", request=b"request", action=fail)
    assert desk.ask() == "job 1"


def test_a_request_that_died_frees_its_key_in_time() -> None:
    """A key whose request left no answer is held for a minute, and no longer."""
    desk = Desk()

    class Killed(BaseException):
        pass

    class Forgetful(Records):
        def delete(self, partition: str, key: str) -> None:
            """A killed process deletes nothing."""

    desk.records = Forgetful(desk.clock)

    def die() -> str:
        raise Killed

    with pytest.raises(Killed):
        once(desk.records, desk.clock, owner="me", key="k", request=b"request", action=die)
    with pytest.raises(IdempotencyKeyInUse):
        desk.ask()
    desk.clock.advance(BUSY_SECONDS + 1)
    assert desk.ask() == "job 1"


def test_an_answer_is_kept_for_a_day() -> None:
    """For 24 hours a repeated request gets the first answer; after that the key is new."""
    desk = Desk()
    desk.ask()
    desk.clock.advance(DAY - 1)
    assert desk.ask() == "job 1"
    desk.clock.advance(2)
    assert desk.ask() == "job 2"


def test_nothing_of_the_request_is_stored() -> None:
    """Neither the key nor the request can be read from what is kept."""
    desk = Desk()
    desk.ask("secret-key", b"secret-request")
    kept = desk.records.list("idempotency").items
    assert kept
    assert all(b"secret" not in record.value and "secret" not in record.key for record in kept)
