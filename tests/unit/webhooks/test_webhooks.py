"""The promises of webhooks: who is told of what, at least once, for three days, and nobody waits for another."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial

import msgspec
import pytest
from standardwebhooks import Webhook as Check
from tests.unit.pipeline import ME
from tests.unit.webhooks.post import Post, Sent

from safelight.errors import (
    AddressRefused,
    DeliveryNotFound,
    NotConnected,
    OutgoingError,
    StorageUnavailable,
    TooManyWebhooks,
    Unprocessable,
    WebhookNotFound,
    WebhooksOff,
)
from safelight.model import DAY, HOUR, MINUTE, InBatch
from safelight.outgoing import Answered
from safelight.webhooks import Outcome
from safelight.webhooks.deliveries import (
    FAILURES_IN_A_ROW,
    GIVE_UP_AFTER,
    HELD_FOR,
    MOST_KEPT,
    PAUSES,
    TRIM_EVERY,
    new_delivery,
)
from safelight.webhooks.endpoints import BOTH_SIGN_FOR, MAX_WEBHOOKS

ELSEWHERE = "https://other.example/b"


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.courier.close()


# --- what is told ---


def test_an_end_is_told(post: Post) -> None:
    """As `{type, timestamp, data}`, where the data is the job as its owner sees it, signed with the secret."""
    webhook = post.register()
    job = post.completed(metadata={"album": "7"})
    [sent] = post.deliver()
    assert (sent.url, sent.body["type"]) == (webhook.url, "job.completed")
    data = sent.body["data"]
    assert (data["jobId"], data["status"], data["metadata"]) == (job.id, "COMPLETED", {"album": "7"})
    assert data["outputs"][0]["url"] == data["downloadUrl"]
    assert data["updatedAt"] == sent.body["timestamp"]
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["webhook-timestamp"] == str(int(post.clock()))
    assert "." not in sent.headers["webhook-id"]


def test_it_is_told_once(post: Post) -> None:
    """What has arrived is not sent again, however often it is looked."""
    post.register()
    post.completed()
    assert len(post.deliver()) == 1
    assert post.deliver(after=10 * DAY) == []


def test_only_what_is_wanted_is_told(post: Post) -> None:
    """By event; without a choice everything. Another owner's jobs are never told."""
    all_of_it = post.register()
    failed = post.register(ELSEWHERE, events=("job.failed",))
    post.register("https://stranger.example/", owner="stranger")
    post.completed()
    post.failing(Unprocessable())
    post.completed()
    post.service.cancel(ME, post.request().id)
    sent = post.deliver()
    assert sorted(each.body["type"] for each in sent if each.url == all_of_it.url) == [
        "job.canceled",
        "job.completed",
        "job.failed",
    ]
    [told] = [each for each in sent if each.url == failed.url]
    assert told.body["data"]["error"]["code"] == "unprocessable"
    assert {each.url for each in sent} == {all_of_it.url, failed.url}


def test_the_end_of_a_batch_is_told(post: Post) -> None:
    """Once, after the end of its last job, by an id of its own."""
    post.register(events=("batch.completed",))
    sent: list[Sent] = []
    for number in range(2):
        job = post.request()
        batch = InBatch(id="b1", number=number, size=2)
        post.ports.jobs.update(job.id, partial(msgspec.structs.replace, batch=batch, revision=2))
        post.service.cancel(ME, job.id)
        sent = post.deliver()
        assert len(sent) == number
    assert (sent[0].body["type"], sent[0].headers["webhook-id"]) == ("batch.completed", "b1_completed")
    assert sent[0].body["data"] == {"batchId": "b1", "total": 2, "updatedAt": sent[0].body["timestamp"]}


def test_an_event_has_one_id_for_everybody(post: Post) -> None:
    """It is the event's, not the delivery's: a receiver of two addresses can tell that they say the same."""
    post.register()
    post.register(ELSEWHERE)
    post.completed()
    assert len({sent.headers["webhook-id"] for sent in post.deliver()}) == 1


def test_a_job_that_was_started_again_is_told_as_it_was(post: Post) -> None:
    """An event tells what happened, though the job is elsewhere by now."""
    post.register()
    post.failing(Unprocessable())
    job = post.completed()
    post.clock.advance(5.0)
    post.service.retry(ME, job.id)
    [sent] = post.deliver()
    data = sent.body["data"]
    assert (data["status"], data["stage"], data["error"]["code"]) == ("FAILED", "done", "unprocessable")
    assert data["updatedAt"] == sent.body["timestamp"]
    assert data["timeline"][-1]["status"] == "FAILED"


def test_of_an_erased_job_little_is_told(post: Post) -> None:
    """Its id and how it ended: erasing it erased the rest, in the log of deliveries too."""
    webhook = post.register()
    post.answers = lambda _sent: 500
    job = post.completed(metadata={"secret": "word"})
    post.deliver()
    post.service.delete(ME, job.id)
    [sent] = post.deliver(after=PAUSES[0])
    assert set(sent.body["data"]) == {"jobId", "status", "updatedAt"}
    assert "word" not in str(post.log(webhook))


# --- at least once ---


@pytest.mark.parametrize("answer", [500, 404, 301, 199, 429, NotConnected])
def test_what_did_not_arrive_is_sent_again(post: Post, answer: int) -> None:
    """With the same id and a new timestamp, in growing pauses, for three days; then it is given up."""
    webhook = post.register()
    post.answers = lambda _sent: answer
    post.completed()
    sent = post.deliver()
    for pause in PAUSES:
        assert post.deliver(after=pause - 1.0) == []
        sent += post.deliver(after=1.0)
    begun = sent[0].at
    sent += post.deliver(after=begun + GIVE_UP_AFTER - post.clock())
    assert [each.at - begun for each in sent] == [*(sum(PAUSES[:n]) for n in range(9)), GIVE_UP_AFTER]
    assert len({each.headers["webhook-id"] for each in sent}) == 1
    assert len({each.headers["webhook-timestamp"] for each in sent}) == 10
    [delivery] = post.log(webhook)
    assert (delivery.outcome, delivery.tries, delivery.next_at) == (Outcome.FAILED, 10, None)
    assert post.deliver(after=10 * DAY) == []


def test_what_arrives_at_last_is_done(post: Post) -> None:
    """And the log shows each attempt, with its status or its code."""
    webhook = post.register()
    answers: Iterator[int | type[OutgoingError]] = iter([NotConnected, 503, 200])
    post.answers = lambda _sent: next(answers)
    post.completed()
    post.deliver()
    post.deliver(after=PAUSES[0])
    post.deliver(after=PAUSES[1])
    [delivery] = post.log(webhook)
    assert delivery.outcome is Outcome.DELIVERED
    assert [(each.status, each.error) for each in delivery.attempts] == [
        (None, "not_connected"),
        (503, "not_welcome"),
        (200, None),
    ]
    assert post.webhooks.deliveries.lane(webhook).failing_since is None


def test_retry_after_is_kept_to(post: Post) -> None:
    """Who asks to be left alone for an hour is, and who asks for a year waits for a day."""
    webhook = post.register()
    post.answers = lambda _sent: Answered(503, HOUR)
    post.completed()
    post.deliver()
    assert post.deliver(after=HOUR - 1.0) == []
    post.answers = lambda _sent: Answered(503, 365 * DAY)
    assert len(post.deliver(after=1.0)) == 1
    assert post.log(webhook)[0].next_at == post.clock() + DAY


def test_the_urls_are_fresh_at_each_attempt(post: Post) -> None:
    """What was signed when the job ended would be dead after a day of failures."""
    post.register()
    post.answers = lambda _sent: 500
    post.completed()
    sent = post.deliver()
    sent += post.deliver(after=DAY)
    assert sent[0].body["data"]["downloadUrl"] != sent[1].body["data"]["downloadUrl"]


def test_a_notice_that_is_told_twice_is_one_delivery(post: Post) -> None:
    """A crash between keeping the deliveries and settling the notice repeats both."""
    webhook = post.register()
    post.completed()
    [notice] = post.ports.notices.pending(post.clock())
    for later in (0.0, 1.0, 90.0):
        post.clock.advance(later)
        post.webhooks.spread(notice)
    assert len(post.deliver()) == 1
    post.webhooks.spread(notice)
    assert post.deliver(after=1.0) == []
    assert len(post.log(webhook)) == 1


def test_what_a_dead_courier_had_in_hand_is_sent_again(post: Post) -> None:
    """Its hold of the lane runs out, and another takes it up; meanwhile nobody sends it twice."""
    webhook = post.register()
    post.completed()
    post.sweeper.tell()
    assert post.webhooks.deliveries.hold(webhook.id)  # by one that is killed now
    assert not post.webhooks.deliveries.hold(webhook.id)
    assert post.deliver(after=HELD_FOR - 1.0) == []
    assert len(post.deliver(after=1.0)) == 1


def test_every_cut_between_two_writes_is_mended(post: Post) -> None:
    """Wherever the store goes away while a delivery is made, sent or noted, it arrives in the end, and one entry of
    the log tells of it."""
    webhook = post.register()
    writes = 0
    real_put, real_delete = post.ports.records.put, post.ports.records.delete

    def cut(at: int) -> None:
        nonlocal writes
        writes = at

    def counting(real: object) -> object:
        def call(*words: object, **named: object) -> object:
            nonlocal writes
            writes -= 1
            if writes == 0:
                raise StorageUnavailable
            return real(*words, **named)  # type: ignore[operator]

        return call

    post.ports.records.put = counting(real_put)  # type: ignore[method-assign, assignment]
    post.ports.records.delete = counting(real_delete)  # type: ignore[method-assign, assignment]
    for number in range(1, 12):
        cut(10_000)
        job = post.completed()
        cut(number)
        with contextlib.suppress(StorageUnavailable):
            post.deliver()
        cut(10_000)
        post.deliver(after=2 * HELD_FOR)
        post.deliver(after=20 * MINUTE)
        told = [sent for sent in post.sent if sent.body["data"]["jobId"] == job.id]
        assert told, f"cut at write {number}"
        assert len({sent.headers["webhook-id"] for sent in told}) == 1
        [logged] = [each for each in post.log(webhook) if each.notice and each.notice.job_id == job.id]
        assert logged.outcome is Outcome.DELIVERED


# --- nobody waits for another ---


def test_a_slow_receiver_delays_nobody(post: Post) -> None:
    """While one does not answer, all the others are told, and it is sent no more than a few at a time."""
    slow, quick = post.register(), post.register(ELSEWHERE)
    answered, waiting = threading.Event(), threading.Semaphore(0)
    quickly = threading.Semaphore(0)

    def answers(sent: Sent) -> int:
        if sent.url == slow.url:
            waiting.release()
            assert answered.wait(30)
        else:
            quickly.release()
        return 204

    post.answers = answers
    for _ in range(20):
        post.completed()
    running = threading.Thread(target=post.deliver)
    running.start()
    for _ in range(4):
        assert waiting.acquire(timeout=30)
    for _ in range(20):
        assert quickly.acquire(timeout=30)
    assert len([sent for sent in post.sent if sent.url == slow.url]) == 4
    answered.set()
    running.join(30)
    assert len([sent for sent in post.sent if sent.url == slow.url]) == 20
    assert len(post.log(quick)) == 20


def test_a_receiver_that_is_down_is_asked_by_one(post: Post) -> None:
    """After some failures in a row one delivery finds out when it is back; then all that waited goes out at once."""
    post.register()
    post.answers = lambda _sent: 503
    for _ in range(20):
        post.completed()
    assert len(post.deliver()) <= 4 * FAILURES_IN_A_ROW
    assert len(post.deliver(after=HOUR)) == 1
    post.answers = lambda _sent: 204
    post.deliver(after=3 * HOUR)
    assert len({sent.body["data"]["jobId"] for sent in post.sent}) == 20
    post.deliver(after=DAY)
    assert post.deliver(after=3 * DAY) == []


# --- the end of a webhook ---


def test_gone_is_gone(post: Post) -> None:
    """410 disables it at once: nothing more is sent, and what waited is over."""
    webhook = post.register()
    post.answers = lambda _sent: 410
    post.completed()
    post.deliver()
    assert post.look(webhook).disabled == "gone"
    post.completed()
    assert post.deliver(after=2 * DAY) == []
    assert [each.outcome for each in post.log(webhook)] == [Outcome.FAILED]


def test_three_days_of_failure_disable_it(post: Post) -> None:
    """Not a single failure in three days, and not while something arrives in between."""
    webhook, well = post.register(), post.register(ELSEWHERE)
    post.answers = lambda sent: 500 if sent.url == webhook.url else 204
    for hour in range(73):
        assert post.look(webhook).disabled is None, hour
        post.completed()
        post.deliver(after=HOUR)
    post.deliver(after=HOUR)
    assert post.look(webhook).disabled == "failing"
    assert post.look(well).disabled is None
    post.deliver(after=HOUR)
    assert {each.outcome for each in post.log(webhook)} == {Outcome.FAILED}
    assert post.log(webhook)[0].attempts[-1].error == "webhook_disabled"


def test_a_success_in_between_begins_the_days_anew(post: Post) -> None:
    """What fails again after that has three days of its own."""
    webhook = post.register()
    post.answers = lambda _sent: 500
    post.completed()
    post.deliver()
    post.answers = lambda _sent: 204
    post.deliver(after=2 * DAY)
    post.answers = lambda _sent: 500
    post.completed()
    post.deliver()
    post.deliver(after=2 * DAY)
    assert post.look(webhook).disabled is None


def test_switched_on_again(post: Post) -> None:
    """It is told of what happens from then on, and what was given up can be replayed."""
    webhook = post.register()
    post.answers = lambda _sent: 410
    post.completed()
    post.deliver()
    post.answers = lambda _sent: 204
    post.webhooks.change(ME, webhook.id, disabled=False)
    post.clock.advance(1.0)
    later = post.completed()
    [sent] = post.deliver()
    assert sent.body["data"]["jobId"] == later.id
    given_up = post.log(webhook)[-1]
    post.webhooks.replay(post.look(webhook), given_up.id)
    [again] = post.deliver()
    assert again.headers["webhook-id"] == given_up.message_id
    assert {each.outcome for each in post.log(webhook)} == {Outcome.DELIVERED}


def test_another_address_is_another_chance(post: Post) -> None:
    """What waited for one that was down goes to the new one, without waiting for the end of the pause."""
    webhook = post.register()
    post.answers = lambda sent: 204 if sent.url == ELSEWHERE else 500
    for _ in range(12):
        post.completed()
    post.deliver()
    assert post.deliver(after=PAUSES[0]) == []
    post.webhooks.change(ME, webhook.id, url=ELSEWHERE)
    assert [sent.url for sent in post.deliver()] == [ELSEWHERE] * 12


def test_what_is_deleted_is_not_sent(post: Post) -> None:
    """Nor looked for again."""
    webhook = post.register()
    post.completed()
    post.sweeper.tell()
    post.webhooks.delete(ME, webhook.id)
    assert post.deliver() == []
    assert post.webhooks.deliveries.lanes() == []
    with pytest.raises(WebhookNotFound):
        post.look(webhook)


# --- tests and replays ---


def test_a_test_is_sent_once(post: Post) -> None:
    """To a webhook that is down or disabled, too; whatever comes of it."""
    webhook = post.register()
    post.answers = lambda _sent: 500
    for _ in range(5):
        post.completed()
    post.deliver()
    test = post.webhooks.test(webhook)
    [sent] = post.deliver()
    assert (sent.body["type"], sent.headers["webhook-id"]) == ("webhook.test", test.message_id)
    assert post.webhooks.deliveries.get(webhook, test.id).outcome is Outcome.FAILED
    post.webhooks.change(ME, webhook.id, disabled=True)
    post.answers = lambda _sent: 200
    test = post.webhooks.test(webhook)
    assert [sent.body["type"] for sent in post.deliver()] == ["webhook.test"]
    assert post.webhooks.deliveries.get(webhook, test.id).outcome is Outcome.DELIVERED


def test_a_replay_is_sent_as_before(post: Post) -> None:
    """Under the same id, and for three days of its own if need be."""
    webhook = post.register()
    post.completed()
    [first] = post.deliver()
    post.clock.advance(DAY)
    post.answers = lambda _sent: 500
    post.webhooks.replay(webhook, post.log(webhook)[0].id)
    sent = post.deliver()
    sent += post.deliver(after=PAUSES[0])
    assert [each.headers["webhook-id"] for each in sent] == [first.headers["webhook-id"]] * 2
    [delivery] = post.log(webhook)
    assert (delivery.outcome, delivery.tries, len(delivery.attempts)) == (Outcome.PENDING, 2, 3)
    with pytest.raises(DeliveryNotFound):
        post.webhooks.replay(webhook, "nothing")


# --- secrets ---


def test_while_a_secret_is_replaced_both_sign(post: Post) -> None:
    """For a day; then the new one alone."""
    import time

    post.clock.now = time.time()  # the checking library looks at its own clock
    webhook = post.register()
    rotated = post.webhooks.endpoints.rotate(ME, webhook.id)
    assert rotated.secret != webhook.secret
    post.completed()
    [sent] = post.deliver()
    for secret in (webhook.secret, rotated.secret):
        assert Check(secret).verify(sent.raw, dict(sent.headers)) == sent.body
    assert len(sent.headers["webhook-signature"].split()) == 2
    post.clock.advance(BOTH_SIGN_FOR)
    post.completed()
    [later] = post.deliver()
    assert len(later.headers["webhook-signature"].split()) == 1


def test_replaced_secrets_do_not_pile_up(post: Post) -> None:
    """However often somebody replaces them."""
    webhook = post.register()
    for _ in range(20):
        post.webhooks.endpoints.rotate(ME, webhook.id)
    assert len(post.look(webhook).secrets(post.clock())) == 4


# --- registering ---


def test_an_address_is_judged_when_it_is_registered(post: Post) -> None:
    """And when it is changed."""
    with pytest.raises(AddressRefused):
        post.register("http://hooks.example/")
    webhook = post.register()
    with pytest.raises(AddressRefused):
        post.webhooks.change(ME, webhook.id, url="https://user@hooks.example/")
    assert post.look(webhook) == webhook


def test_so_many_and_no_more(post: Post) -> None:
    """Each caller by itself; a deleted one makes room."""
    made = [post.register() for _ in range(MAX_WEBHOOKS)]
    with pytest.raises(TooManyWebhooks):
        post.register()
    post.register(owner="another")
    post.webhooks.delete(ME, made[0].id)
    post.register()
    kept = {each.id for each in post.webhooks.endpoints.of(ME)}
    assert len(kept) == MAX_WEBHOOKS
    assert kept >= {each.id for each in made[1:]}


def test_turned_off() -> None:
    """None can be made."""
    with pytest.raises(WebhooksOff):
        Post(webhooks="off").register()


def test_another_owner_s_webhook_is_not_there(post: Post) -> None:
    """In no call."""
    webhook = post.register()
    endpoints = post.webhooks.endpoints
    for call in (endpoints.get, endpoints.rotate, endpoints.delete, post.webhooks.delete):
        with pytest.raises(WebhookNotFound):
            call("stranger", webhook.id)
    with pytest.raises(WebhookNotFound):
        post.webhooks.change("stranger", webhook.id, disabled=True)


# --- bounds ---


def test_the_log_is_bounded(post: Post) -> None:
    """Of what is over about the newest 1,000 are kept; nothing that is still to be sent is removed."""
    webhook = post.register()
    post.completed()
    post.deliver()
    [notice] = [each.notice for each in post.log(webhook)]
    assert notice is not None
    for number in range(MOST_KEPT + 2 * TRIM_EVERY):
        at = post.clock() + number
        delivery = new_delivery(webhook, "job.completed", f"m{number}", at=at, now=at, notice=notice)
        post.webhooks.deliveries.add(webhook, delivery)
        done = delivery if number == 0 else None
        if done is None:
            over = msgspec.structs.replace(delivery, outcome=Outcome.DELIVERED, next_at=None)
            post.webhooks.deliveries.store(webhook, over, instead_of=delivery)
    kept: list[str] = []
    cursor = None
    while True:
        page = post.webhooks.deliveries.list(webhook, cursor=cursor, limit=100)
        kept += [each.message_id for each in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert MOST_KEPT <= len(kept) <= MOST_KEPT + TRIM_EVERY + 1
    assert "m0" in kept
    assert kept[0] == f"m{MOST_KEPT + 2 * TRIM_EVERY - 1}"


def test_a_log_ends_after_a_week(post: Post) -> None:
    """Nothing of a delivery outlives it."""
    webhook = post.register()
    post.completed()
    post.deliver()
    post.clock.advance(7 * DAY)
    assert post.log(webhook) == []
