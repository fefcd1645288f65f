"""The contract of `Queue`, `Inbox` and `DeadLetters`.

Times are short and whole seconds: a real queue counts in those, and letting its time pass means to wait.
"""

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from tests.contract.conftest import Backend, a_wake, needs

from safelight.errors import InvalidRequest
from safelight.ports import DeadLetter, Delivery, Fate
from safelight.testing import Clock

PORTS = {"queue", "inbox", "dead_letters"}


def take(backend: Backend, visibility: float = 30.0) -> Delivery | None:
    """The next message, without waiting for one."""
    return backend.inbox.receive(wait=0, visibility=visibility)


def taken(backend: Backend, visibility: float = 30.0) -> Delivery:
    """The next message, which must be there."""
    delivery = take(backend, visibility)
    assert delivery is not None
    return delivery


def test_a_message_arrives_whole(backend: Backend) -> None:
    """With its job, key and group, counted from 1."""
    backend.queue.send(a_wake("j1", "ännë"))
    delivery = taken(backend)
    assert delivery.wake == a_wake("j1", "ännë")
    assert delivery.received == 1


def test_an_empty_queue_gives_none(backend: Backend) -> None:
    """After no time at all, or after the time asked for."""
    assert take(backend) is None
    assert backend.inbox.receive(wait=0.01, visibility=30.0) is None


def test_a_message_in_flight_is_hidden(backend: Backend) -> None:
    """Nobody else gets it while its visibility lasts."""
    backend.queue.send(a_wake("j1"))
    taken(backend)
    assert take(backend) is None


def test_an_acked_message_never_comes_back(backend: Backend, clock: Clock) -> None:
    """Not after its visibility either; a second ack is no error."""
    backend.queue.send(a_wake("j1"))
    delivery = taken(backend, visibility=1)
    backend.inbox.ack(delivery)
    backend.inbox.ack(delivery)
    clock.advance(2)
    assert take(backend) is None
    assert backend.queue.depth() == 0


def test_a_message_that_is_not_acked_comes_back(backend: Backend, clock: Clock) -> None:
    """When its visibility has ended, not before, counted on and with a new receipt."""
    backend.queue.send(a_wake("j1"))
    first = taken(backend, visibility=2)
    clock.advance(1)
    assert take(backend) is None
    clock.advance(1)
    second = taken(backend)
    assert (second.wake, second.received) == (first.wake, 2)
    assert second.receipt != first.receipt


def test_extending_keeps_a_message_hidden(backend: Backend, clock: Clock) -> None:
    """For the given time from now, however much was left."""
    backend.queue.send(a_wake("j1"))
    delivery = taken(backend, visibility=2)
    clock.advance(1)
    backend.inbox.extend(delivery, 2)
    clock.advance(1)
    assert take(backend) is None
    clock.advance(1)
    assert taken(backend).received == 2


def test_a_message_whose_time_ran_out_unnoticed_can_still_be_kept(backend: Backend, clock: Clock) -> None:
    """As long as nobody else got it, the receipt is good: for extending and for acking."""
    needs(backend, "keeping what ran out")
    backend.queue.send(a_wake("j1"))
    delivery = taken(backend, visibility=30)
    clock.advance(31)
    backend.inbox.extend(delivery, 30)
    assert take(backend) is None
    clock.advance(31)
    backend.inbox.ack(delivery)
    assert take(backend) is None
    assert backend.queue.depth() == 0


def test_a_retried_message_comes_back_after_its_delay(backend: Backend, clock: Clock) -> None:
    """Even if its visibility would have lasted longer, or shorter."""
    backend.queue.send(a_wake("j1"))
    backend.inbox.retry(taken(backend, visibility=1000), 2)
    clock.advance(1)
    assert take(backend) is None
    clock.advance(1)
    delivery = taken(backend, visibility=1)
    assert delivery.received == 2
    backend.inbox.retry(delivery, 3)
    clock.advance(2)
    assert take(backend) is None
    backend.queue.depth()
    clock.advance(1)
    assert taken(backend).received == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda backend, delivery: backend.inbox.ack(delivery),
        lambda backend, delivery: backend.inbox.extend(delivery, 1000),
        lambda backend, delivery: backend.inbox.retry(delivery, 0),
    ],
    ids=["ack", "extend", "retry"],
)
def test_a_stale_receipt_does_nothing(
    backend: Backend, clock: Clock, use: Callable[[Backend, Delivery], None]
) -> None:
    """A worker that was too slow can neither take the message from its new holder nor give it away."""
    backend.queue.send(a_wake("j1"))
    stale = taken(backend, visibility=1)
    clock.advance(1)
    current = taken(backend, visibility=1)
    use(backend, stale)
    assert take(backend) is None
    clock.advance(1)
    assert taken(backend).wake == current.wake


@pytest.mark.parametrize("receipt", ["", "x", "1", "1.", "9" * 30 + ".a", "٣.x"])
def test_a_receipt_of_somebody_else_does_nothing(backend: Backend, receipt: str) -> None:
    """Text that is no receipt is not an error."""
    backend.queue.send(a_wake("j1"))
    taken(backend)
    forged = Delivery(wake=a_wake("j1"), receipt=receipt, received=1)
    backend.inbox.ack(forged)
    backend.inbox.extend(forged, 0)
    backend.inbox.retry(forged, 0)
    assert take(backend) is None
    assert backend.queue.depth() == 1


def test_a_delayed_message_waits(backend: Backend, clock: Clock) -> None:
    """Until its delay is over; it counts into the depth before."""
    backend.queue.send(a_wake("j1"), delay=1)
    assert backend.queue.depth() == 1
    assert take(backend) is None
    clock.advance(1)
    assert taken(backend).received == 1


# --- one message per job ----------------------------------------------------------------------------------


def test_two_wakes_for_a_waiting_job_are_one(backend: Backend) -> None:
    """The second merges with the first."""
    needs(backend, "one message per job")
    backend.queue.send(a_wake("j1"))
    backend.queue.send(a_wake("j1"))
    assert backend.queue.depth() == 1
    backend.inbox.ack(taken(backend))
    assert take(backend) is None


def test_the_earlier_of_two_wakes_counts(backend: Backend, clock: Clock) -> None:
    """A wake for now brings a delayed one forward; a delayed one does not hold back a wake for now."""
    needs(backend, "one message per job")
    backend.queue.send(a_wake("j1"), delay=600)
    backend.queue.send(a_wake("j1"))
    backend.inbox.ack(taken(backend))
    backend.queue.send(a_wake("j2"))
    backend.queue.send(a_wake("j2"), delay=600)
    assert taken(backend).wake.job_id == "j2"
    clock.advance(1000)


def test_a_wake_during_work_is_not_lost(backend: Backend) -> None:
    """Sent while the job's message is in a worker's hands, it is handed out after the ack, as a new message."""
    needs(backend, "one message per job")
    backend.queue.send(a_wake("j1"))
    delivery = taken(backend)
    backend.queue.send(a_wake("j1"))
    assert take(backend) is None
    backend.inbox.ack(delivery)
    again = taken(backend)
    assert (again.wake.job_id, again.received) == ("j1", 1)
    backend.inbox.ack(again)
    assert take(backend) is None


def test_a_delayed_wake_during_work_keeps_its_time(backend: Backend, clock: Clock) -> None:
    """The delay counts from the send, not from the ack."""
    needs(backend, "one message per job")
    backend.queue.send(a_wake("j1"))
    delivery = taken(backend)
    backend.queue.send(a_wake("j1"), delay=60)
    clock.advance(10)
    backend.inbox.ack(delivery)
    assert take(backend) is None
    clock.advance(50)
    assert taken(backend).received == 1


def test_a_wake_during_work_shortens_a_retry(backend: Backend) -> None:
    """The message does not sit out a long delay when somebody wants it now."""
    needs(backend, "one message per job")
    backend.queue.send(a_wake("j1"))
    delivery = taken(backend)
    backend.queue.send(a_wake("j1"))
    backend.inbox.retry(delivery, 600)
    assert taken(backend).wake.job_id == "j1"


# --- fairness ---------------------------------------------------------------------------------------------


def test_one_callers_backlog_does_not_starve_another(backend: Backend) -> None:
    """A message sent behind a thousand of somebody else's is handed out second."""
    needs(backend, "strict fairness")
    for number in range(1000):
        backend.queue.send(a_wake(f"a{number}", "ann"))
    backend.queue.send(a_wake("b0", "bob"))
    assert [taken(backend).wake.job_id for _ in range(3)] == ["a0", "b0", "a1"]


def test_groups_are_served_in_turn(backend: Backend) -> None:
    """Three backlogs of different length share evenly while they last."""
    needs(backend, "strict fairness")
    for group, count in (("ann", 12), ("bob", 6), ("cem", 3)):
        for number in range(count):
            backend.queue.send(a_wake(f"{group}{number}", group))
    order = [taken(backend).wake.group for _ in range(21)]
    assert Counter(order[:9]) == {"ann": 3, "bob": 3, "cem": 3}
    assert Counter(order[9:15]) == {"ann": 3, "bob": 3}
    assert order[15:] == ["ann"] * 6
    assert take(backend) is None


def test_a_group_is_served_in_the_order_sent(backend: Backend) -> None:
    """Within a group the oldest goes first."""
    needs(backend, "strict fairness")
    for number in range(5):
        backend.queue.send(a_wake(f"j{number}"))
    assert [taken(backend).wake.job_id for _ in range(5)] == ["j0", "j1", "j2", "j3", "j4"]


def test_a_group_saves_up_nothing_while_it_is_idle(backend: Backend) -> None:
    """Who comes back after a pause shares evenly, and is not served before everyone who worked meanwhile."""
    needs(backend, "strict fairness")
    for number in range(50):
        backend.queue.send(a_wake(f"a{number}", "ann"))
    for _ in range(50):
        backend.inbox.ack(taken(backend))
    for number in range(4):
        backend.queue.send(a_wake(f"b{number}", "bob"))
        backend.queue.send(a_wake(f"c{number}", "ann"))
    order = [taken(backend).wake.group for _ in range(8)]
    assert Counter(order[:4]) == {"ann": 2, "bob": 2}


def test_a_poison_message_delays_no_other(backend: Backend) -> None:
    """A message that always comes back at once takes its turn among the others, not all the turns."""
    needs(backend, "strict fairness")
    backend.queue.send(a_wake("poison", "eve"))
    for number in range(6):
        backend.queue.send(a_wake(f"j{number}", "ann"))
    finished = []
    for _ in range(8):
        delivery = taken(backend)
        if delivery.wake.job_id == "poison":
            backend.inbox.retry(delivery, 0)
        else:
            backend.inbox.ack(delivery)
            finished.append(delivery.wake.job_id)
    assert len(finished) >= 4


def test_a_second_attempt_waits_behind_what_was_there_before(backend: Backend, clock: Clock) -> None:
    """So that a job that takes all its time delays each other job once, not once for each of its attempts."""
    needs(backend, "strict fairness")
    for name in ("poison", "j1", "j2"):
        backend.queue.send(a_wake(name))
    backend.inbox.retry(taken(backend), 5)
    clock.advance(6)
    backend.queue.send(a_wake("j3"))
    assert [taken(backend).wake.job_id for _ in range(4)] == ["j1", "j2", "poison", "j3"]


def test_a_message_handed_back_at_once_goes_first(backend: Backend) -> None:
    """A worker that was asked to stop does not send its job to the end of a long queue."""
    needs(backend, "strict fairness")
    for name in ("j1", "j2", "j3"):
        backend.queue.send(a_wake(name))
    backend.inbox.retry(taken(backend), 0)
    assert [taken(backend).wake.job_id for _ in range(3)] in (["j1", "j2", "j3"], ["j2", "j1", "j3"])


def test_a_poison_message_is_given_up_in_the_end(backend: Backend) -> None:
    """However unfair the queue is: after its five turns the poison is out of the way of all others."""
    backend.queue.send(a_wake("poison", "eve"))
    for number in range(6):
        backend.queue.send(a_wake(f"j{number}", "ann"))
    finished = []
    for _ in range(6 + 5):
        delivery = taken(backend)
        if delivery.wake.job_id == "poison":
            backend.inbox.retry(delivery, 0)
        else:
            backend.inbox.ack(delivery)
            finished.append(delivery.wake.job_id)
    assert sorted(finished) == [f"j{number}" for number in range(6)]


# --- dead letters -----------------------------------------------------------------------------------------


def _kill(backend: Backend, job_id: str) -> None:
    backend.queue.send(a_wake(job_id))
    for count in range(1, 6):
        delivery = taken(backend)
        assert delivery.received == count
        backend.inbox.retry(delivery, 0)
    assert take(backend) is None


def test_a_message_received_too_often_becomes_a_dead_letter(backend: Backend, clock: Clock) -> None:
    """Five times it is handed out; instead of a sixth it is put aside, with a reason."""
    _kill(backend, "j1")
    assert backend.queue.depth() == 0
    [letter] = backend.dead_letters.dead().items
    assert letter.wake == a_wake("j1")
    assert letter.received >= 5
    assert letter.died_at <= clock()
    assert letter.reason


def test_a_dead_letter_says_when_it_died(backend: Backend, clock: Clock) -> None:
    """And how often it was received until then."""
    needs(backend, "knowing when it died")
    _kill(backend, "j1")
    [letter] = backend.dead_letters.dead().items
    assert (letter.received, letter.died_at) == (5, clock())


def test_burying_one_message_hands_out_the_next(backend: Backend) -> None:
    """A receive that finds a message for the dead letters gives the message behind it, if it may wait a moment."""
    backend.queue.send(a_wake("j1"))
    for _ in range(5):
        backend.inbox.retry(taken(backend), 0)
    backend.queue.send(a_wake("j2"))
    delivery = backend.inbox.receive(wait=2, visibility=30)
    assert delivery is not None
    assert delivery.wake.job_id == "j2"
    assert take(backend) is None


def test_a_dead_letter_can_be_sent_again(backend: Backend) -> None:
    """It then counts from 1; redriving what is not there says so."""
    _kill(backend, "j1")
    assert backend.dead_letters.redrive("j1") is True
    assert backend.dead_letters.redrive("j1") is False
    assert backend.dead_letters.dead().items == ()
    assert taken(backend).received == 1


def test_dead_letters_are_settled_as_somebody_says(backend: Backend) -> None:
    """One is kept, one sent again, one thrown away; nobody is asked about what is gone."""
    for name in ("keep", "send", "drop"):
        _kill(backend, name)
    asked: list[str] = []

    def fate_of(letter: DeadLetter) -> Fate:
        asked.append(letter.wake.job_id)
        return Fate(letter.wake.job_id)

    assert backend.dead_letters.settle(fate_of) == 2
    assert sorted(asked) == ["drop", "keep", "send"]
    assert [letter.wake.job_id for letter in backend.dead_letters.dead().items] == ["keep"]
    again = taken(backend)
    assert (again.wake, again.received) == (a_wake("send"), 1)
    assert take(backend) is None
    assert backend.dead_letters.settle(lambda _: Fate.KEEP) == 0


def test_a_dead_letter_that_can_not_be_settled_stays(backend: Backend) -> None:
    """An error in the middle passes through, and only what was settled before it is gone."""
    _kill(backend, "j1")

    def fate_of(_letter: DeadLetter) -> Fate:
        raise InvalidRequest

    with pytest.raises(InvalidRequest):
        backend.dead_letters.settle(fate_of)
    assert [letter.wake.job_id for letter in backend.dead_letters.dead().items] == ["j1"]


def test_dead_letters_come_in_pages(backend: Backend) -> None:
    """Each once, in a fixed order."""
    for number in range(3):
        _kill(backend, f"j{number}")
    first = backend.dead_letters.dead(limit=2)
    second = backend.dead_letters.dead(limit=2, cursor=first.cursor)
    assert [letter.wake.job_id for letter in (*first.items, *second.items)] == ["j0", "j1", "j2"]
    assert second.cursor is None
    with pytest.raises(InvalidRequest):
        backend.dead_letters.dead(cursor="nonsense")


# --- waiting ----------------------------------------------------------------------------------------------


def test_a_waiting_receiver_is_woken_by_a_send(backend: Backend) -> None:
    """It need not sit out its time."""
    got: list[Delivery | None] = []
    receiver = threading.Thread(target=lambda: got.append(backend.inbox.receive(wait=50, visibility=30)))
    receiver.start()
    backend.queue.send(a_wake("j1"))
    receiver.join(20)
    assert got
    assert got[0] is not None
    assert got[0].wake.job_id == "j1"


def test_every_waiting_receiver_is_woken(backend: Backend) -> None:
    """Many messages in a burst reach as many receivers, each message one of them."""
    got: list[Delivery | None] = []
    receivers = [
        threading.Thread(target=lambda: got.append(backend.inbox.receive(wait=50, visibility=30)))
        for _ in range(6)
    ]
    for receiver in receivers:
        receiver.start()
    for number in range(6):
        backend.queue.send(a_wake(f"j{number}", f"g{number}"))
    for receiver in receivers:
        receiver.join(20)
    assert sorted(d.wake.job_id for d in got if d) == [f"j{number}" for number in range(6)]


def test_stopping_ends_every_receive(backend: Backend) -> None:
    """Those that wait return None at once, and so do later ones, even with a message there."""
    got: list[Delivery | None] = []
    receivers = [
        threading.Thread(target=lambda: got.append(backend.inbox.receive(wait=50, visibility=30)))
        for _ in range(3)
    ]
    for receiver in receivers:
        receiver.start()
    backend.inbox.stop()
    for receiver in receivers:
        receiver.join(20)
    assert got == [None, None, None]
    backend.queue.send(a_wake("j1"))
    assert backend.inbox.receive(wait=50, visibility=30) is None
    assert backend.queue.depth() == 1


def test_no_message_is_handed_to_two(backend: Backend) -> None:
    """Threads that drain the queue together get every message exactly once."""
    for number in range(60):
        backend.queue.send(a_wake(f"j{number}", f"g{number % 7}"))
    got: list[str] = []

    def drain() -> None:
        while delivery := take(backend):
            got.append(delivery.wake.job_id)
            backend.inbox.ack(delivery)

    threads = [threading.Thread(target=drain) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(f"j{number}" for number in range(60))
    assert backend.queue.depth() == 0
