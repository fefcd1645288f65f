"""The promises of the search for orphans: what belongs to no job goes, everything else stays, also after a crash."""

import io

import pytest
from tests.unit.pipeline import Pipeline

from safelight import orphans
from safelight.errors import StorageUnavailable
from safelight.model import DAY, new_id
from safelight.orphans import PASS_EVERY, Orphans


def leave(pipeline: Pipeline, key: str) -> str:
    """Something nobody knows of lies there."""
    pipeline.ports.blobs.put(key, io.BytesIO(b"left"), content_type="image/jpeg")
    return key


def files(pipeline: Pipeline) -> set[str]:
    """All that is stored."""
    blobs = pipeline.ports.blobs
    return {blob.key for area in ("uploads/", "processed/") for blob in blobs.list(area).items}


def test_only_files_without_a_job_go() -> None:
    """Originals and outputs of a job that is gone are removed; those of jobs in whatever state stay."""
    pipeline = Pipeline()
    done, waiting = pipeline.completed(), pipeline.request()
    pipeline.store(waiting)
    kept = files(pipeline)
    lost = new_id()
    leave(pipeline, f"uploads/{lost}/a.jpg")
    leave(pipeline, f"processed/uploads/{lost}/t/main.jpg")
    pipeline.clock.advance(DAY + 1)
    assert Orphans(pipeline.ports).pass_over(budget=60) == {"orphans": 2}
    assert files(pipeline) == kept
    assert pipeline.now(done).outputs
    assert Orphans(pipeline.ports).pass_over(budget=60) == {}


def test_what_is_young_waits() -> None:
    """A day passes before anything is removed."""
    pipeline = Pipeline()
    key = leave(pipeline, f"uploads/{new_id()}/a.jpg")
    pipeline.clock.advance(DAY - 1)
    assert Orphans(pipeline.ports).pass_over(budget=60) == {}
    assert files(pipeline) == {key}
    pipeline.clock.advance(2)
    assert Orphans(pipeline.ports).pass_over(budget=60) == {"orphans": 1}


@pytest.mark.parametrize("name", ["readme", "..a", "5D1C0B52-6F5E-4D0E-9D3E-3F2F0B5A7C11"])
def test_what_is_not_ours_stays(name: str) -> None:
    """A folder that no job can have made was put there by somebody."""
    pipeline = Pipeline()
    key = leave(pipeline, f"uploads/{name}/a.jpg")
    pipeline.clock.advance(2 * DAY)
    assert Orphans(pipeline.ports).pass_over(budget=60) == {}
    assert files(pipeline) == {key}


def test_each_sweep_goes_on_where_the_last_one_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page a sweep, in whatever process; after the last page nothing is looked at for a day."""
    monkeypatch.setattr(orphans, "PAGE", 3)
    pipeline = Pipeline()
    for _ in range(7):
        leave(pipeline, f"uploads/{new_id()}/a.jpg")
    pipeline.clock.advance(2 * DAY)
    looks = [Orphans(pipeline.ports).look()["orphans"] for _ in range(6)]
    assert looks == [3, 3, 1, 0, 0, 0]
    leave(pipeline, f"processed/uploads/{new_id()}/t/a.jpg")
    pipeline.clock.advance(PASS_EVERY - 1)
    assert Orphans(pipeline.ports).look() == {}
    pipeline.clock.advance(1)
    looks = [Orphans(pipeline.ports).look()["orphans"] for _ in range(2)]
    assert looks == [0, 1]


def test_a_page_that_is_cut_off_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place is written when the page is done: an error in the middle skips nothing."""
    pipeline = Pipeline()
    for _ in range(3):
        leave(pipeline, f"uploads/{new_id()}/a.jpg")
    pipeline.clock.advance(2 * DAY)
    delete = pipeline.ports.blobs.delete
    calls: list[str] = []

    def fails_once(prefix: str) -> int:
        calls.append(prefix)
        if len(calls) == 2:
            raise StorageUnavailable
        return delete(prefix)

    monkeypatch.setattr(pipeline.ports.blobs, "delete", fails_once)
    with pytest.raises(StorageUnavailable):
        Orphans(pipeline.ports).look()
    assert Orphans(pipeline.ports).look()["orphans"] == 2
    assert files(pipeline) == set()


def test_a_pass_ends_in_time() -> None:
    """Without time nothing is looked at, and the answer says so; the sweeps do the rest."""
    pipeline = Pipeline()
    leave(pipeline, f"uploads/{new_id()}/a.jpg")
    pipeline.clock.advance(2 * DAY)
    assert Orphans(pipeline.ports).pass_over(budget=0) == {"unfinished": 1}
    assert Orphans(pipeline.ports).look() == {"orphans": 1}
