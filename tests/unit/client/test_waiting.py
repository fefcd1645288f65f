"""The client follows a job: by events, by asking, and for how long."""

from pathlib import Path

import httpx
import pytest
from tests.unit.client.conftest import Script, batch, completed, events, job

from safelight.client import Batch, ClientClosed, TookTooLong, http


def test_watching_by_events(pauses: list[float]) -> None:
    """Each state is told once; a stream that ends early is opened again after the time that it names."""
    script = Script(
        {
            "GET /jobs/j/events": [
                events("PENDING", "PENDING"),
                events("PENDING", "PROCESSING"),
                events("COMPLETED"),
            ]
        }
    )
    with script.client() as client:
        seen = [str(status.status) for status in client.watch("j")]
    assert seen == ["PENDING", "PROCESSING", "COMPLETED"]
    assert pauses == [2.0, 2.0]


def test_what_watching_leaves_out_is_asked_for() -> None:
    """After a wait the whole answer is that of the end, and is asked for once."""
    script = Script(
        {
            "GET /jobs/j/events": events("PROCESSING", "COMPLETED"),
            "GET /jobs/j": [job("PENDING"), job("COMPLETED", metadata={"album": "summer"})],
        }
    )
    with script.client() as client:
        watched = client.job("j")
        assert watched.document["status"] == "PENDING"
        assert watched.wait().status.status == "COMPLETED"
        assert watched.document["metadata"] == {"album": "summer"}
        assert watched.document["status"] == "COMPLETED"
    assert len(script.seen) == 3


def test_after_the_clients_block(tmp_path: Path) -> None:
    """What is known is told, also then; what would have to be asked for is an error that says where to ask."""
    script = Script({"GET /jobs/j/events": events("COMPLETED"), "GET /jobs/j": completed()})
    with script.client() as client:
        waited = client.job("j").wait()
        known = client.job("j")
    assert (known.document["status"], waited.status.status) == ("COMPLETED", "COMPLETED")
    asked = len(script.seen)
    for ask in (
        lambda: waited.document,
        known.refresh,
        known.wait,
        lambda: known.wait(timeout=0),
        lambda: known.save(tmp_path),
        lambda: client.batch("b"),
    ):
        with pytest.raises(ClientClosed, match=r"^The client is closed, .* within its `with` block") as told:
            ask()
        assert told.value.code == "client_closed"
    assert len(script.seen) == asked


def test_watching_by_asking(pauses: list[float]) -> None:
    """Where there are no events the job is asked for, when Retry-After says, with its ETag."""
    waiting = job("PENDING")
    waiting.headers.update({"Retry-After": "3", "ETag": '"1"'})
    unchanged = httpx.Response(304, headers={"Retry-After": "3", "ETag": '"1"'})
    script = Script(
        {"GET /jobs/j/events": httpx.Response(405), "GET /jobs/j": [waiting, unchanged, job("FAILED")]}
    )
    with script.client() as client:
        seen = [str(status.status) for status in client.watch("j")]
    assert seen == ["PENDING", "FAILED"]
    assert pauses == [3.0, 3.0]
    assert script.seen[2].headers["if-none-match"] == '"1"'


def test_a_stream_that_breaks() -> None:
    """When a stream breaks the job is looked at, and the stream opened again."""
    script = Script(
        {
            "GET /jobs/j/events": [httpx.ReadTimeout("silence"), events("COMPLETED")],
            "GET /jobs/j": job("PROCESSING"),
        }
    )
    with script.client() as client:
        assert [str(status.status) for status in client.watch("j")] == ["PROCESSING", "COMPLETED"]


def test_waiting_ends() -> None:
    """Waiting ends when its time is over; the job does not."""
    script = Script({"GET /jobs/j/events": httpx.Response(405), "GET /jobs/j": job("PENDING")})
    with script.client() as client, pytest.raises(TookTooLong, match=r"^The job goes on"):
        client.job("j").wait(timeout=2.0)


@pytest.mark.parametrize("timeout", [0, 0.0, -1.5])
def test_without_time_to_wait_it_looks_once(timeout: float, pauses: list[float]) -> None:
    """What has ended is returned, and what goes on is told and no longer waited for: one request, no pause."""
    script = Script({"GET /jobs/j": [job("PENDING"), job("PROCESSING"), completed()]})
    with script.client() as client:
        found = client.job("j")
        with pytest.raises(TookTooLong):
            found.wait(timeout)
        assert (found.status.status, len(script.seen)) == ("PROCESSING", 2)
        assert found.wait(timeout).status.status == "COMPLETED"
    assert (len(script.seen), pauses) == (3, [])
    script = Script({"GET /batches/b": [batch(False, PENDING=1), batch(True, COMPLETED=1)]})
    with script.client() as client:
        found_batch = Batch(client, "b")
        with pytest.raises(TookTooLong):
            found_batch.wait(timeout)
        assert found_batch.wait(timeout).status.done
    assert (len(script.seen), pauses) == (2, [])


def test_one_look_takes_no_longer_than_a_look(pauses: list[float]) -> None:
    """At a server that is away, not as long as its restart would be waited for."""
    script = Script({"GET /jobs/j": [job("PENDING"), *[httpx.ConnectError("away")] * 99]})
    with script.client() as client, pytest.raises(TookTooLong):
        client.job("j").wait(timeout=0)
    assert sum(pauses) == pytest.approx(http.LOOK, abs=0.5)
