"""The promises of limits and quotas."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.pipeline import Pipeline

from safelight.errors import QuotaUsedUp, RecordConflict, StorageUnavailable, TooManyRequests
from safelight.limits import Counts, InMemory, InRecords, RateLimit
from safelight.model import DAY
from safelight.testing import Clock, in_memory


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0 - 1_700_000_000.0 % 60)  # a minute begins


@pytest.fixture(params=["memory", "records"])
def counts(request: pytest.FixtureRequest, clock: Clock) -> Counts:
    return InMemory() if request.param == "memory" else InRecords(in_memory(clock).records)


def test_so_many_requests_in_a_minute(counts: Counts, clock: Clock) -> None:
    """One too many is refused, and says when to go on; another caller is not touched."""
    limit = RateLimit(3, counts, clock)
    clock.advance(20)
    assert [limit.count("me").remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(TooManyRequests) as caught:
        limit.count("me")
    assert caught.value.standing is not None
    assert caught.value.standing[:4] == ("requests", 3, 0, 40)
    assert limit.count("you").remaining == 2
    clock.advance(40)
    assert limit.count("me") == ("requests", 3, 2, 60, 60)


def test_no_request_is_lost_from_the_count(counts: Counts, clock: Clock) -> None:
    """However many threads count at once, no more get through than the limit says."""
    limit = RateLimit(50, counts, clock)

    def attempt(_: int) -> bool:
        try:
            limit.count("me")
        except TooManyRequests:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(200))) <= 50
    assert isinstance(counts, InRecords) or not attempt(0)


def test_so_many_open_jobs() -> None:
    """One too many is refused until one has ended; another owner is not touched."""
    pipeline = Pipeline(max_open_jobs=2)
    first, _ = pipeline.request(), pipeline.request()
    with pytest.raises(QuotaUsedUp, match="2 open jobs") as caught:
        pipeline.request()
    assert caught.value.standing is not None
    assert caught.value.standing.remaining == 0
    pipeline.request(owner="you")
    pipeline.service.cancel("local", first.id)
    third = pipeline.request()
    with pytest.raises(QuotaUsedUp):
        pipeline.request()
    pipeline.service.delete("local", third.id)
    pipeline.request()


def test_rendering_again_is_an_open_job_too() -> None:
    """It takes a place among the open jobs, and no bytes of the day."""
    pipeline = Pipeline(max_open_jobs=1, max_bytes_per_day=100)
    job = pipeline.completed(size=7)
    again = pipeline.service.render_again("local", job.id)
    with pytest.raises(QuotaUsedUp, match="open jobs"):
        pipeline.service.render_again("local", job.id)
    pipeline.work()
    assert pipeline.now(again).state == "COMPLETED"
    pipeline.request(size=93)


def test_so_many_bytes_a_day() -> None:
    """What is declared counts; a refused upload takes nothing; the next day begins with nothing."""
    pipeline = Pipeline(max_bytes_per_day=100)
    pipeline.request(size=60)
    with pytest.raises(QuotaUsedUp, match="40 are left"):
        pipeline.request(size=41)
    pipeline.request(size=40)
    pipeline.request(owner="you", size=100)
    pipeline.clock.advance(DAY)
    pipeline.request(size=100)


def test_what_declares_no_size_counts_as_the_largest() -> None:
    """Nobody passes the limit by saying nothing."""
    pipeline = Pipeline(max_bytes=60, max_bytes_per_day=100)
    pipeline.request()
    with pytest.raises(QuotaUsedUp, match="this counts 60"):
        pipeline.request()
    pipeline.request(size=40)


def test_quotas_cost_nothing_where_there_are_none() -> None:
    """Without a quota, nothing is written."""
    pipeline = Pipeline()
    pipeline.request()
    assert pipeline.ports.records.list("quotas").items == ()


def test_many_uploads_at_once_do_not_pass_the_quota() -> None:
    """However many ask at the same moment, no more jobs are made than may be open."""
    pipeline = Pipeline(max_open_jobs=5)

    def attempt(_: int) -> bool:
        try:
            pipeline.request()
        except (QuotaUsedUp, StorageUnavailable):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        made = sum(pool.map(attempt, range(40)))
    assert made <= 5
    assert len(pipeline.service.list_jobs("local").items) == made


def test_a_write_that_others_get_in_the_way_of_uses_up_no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller has reached no limit, so it is told to try again soon."""
    pipeline = Pipeline(max_open_jobs=5)

    real = pipeline.ports.records.put

    def put(partition: str, *rest: Any, **how: Any) -> None:
        if partition == "quotas":
            raise RecordConflict
        real(partition, *rest, **how)

    monkeypatch.setattr(pipeline.ports.records, "put", put)
    with pytest.raises(StorageUnavailable, match="try again"):
        pipeline.request()
