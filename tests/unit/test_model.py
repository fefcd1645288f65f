"""The promises of a job's life, of names and of keys."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.errors import ClaimLost, NotAllowedNow
from safelight.model import (
    MAX_NAME_BYTES,
    MOMENTS_KEPT,
    TRANSITIONS,
    Claim,
    Failure,
    Job,
    JobState,
    Output,
    RecipeRef,
    Source,
    Stage,
    Upload,
    content_disposition,
    job_id_of,
    new_id,
    notice_of,
    output_key,
    safe_name,
    timestamp,
    upload_key,
)

SOURCE = Source(key="uploads/1/a.jpg", version="1", bytes=7)
BROKEN = Failure(code="unprocessable", message="The image is damaged.")
OUTPUT = Output(
    name="main",
    key="processed/uploads/1/t/main.jpg",
    content_type="image/jpeg",
    width=1,
    height=1,
    bytes=7,
    sha256="0" * 64,
    primary=True,
)


def new_job() -> Job:
    return Job(
        id="1",
        owner="me",
        state=JobState.PENDING,
        stage=Stage.AWAITING_UPLOAD,
        created_at=0.0,
        updated_at=0.0,
        upload=Upload(filename="a.jpg", key="uploads/1/a.jpg"),
        recipe=RecipeRef(name="default", digest="d"),
    )


def queued() -> Job:
    return new_job().received(SOURCE, now=1.0, due_at=9.0)


def claimed(token: str = "t", until: float = 50.0) -> Job:
    return queued().claimed(Claim(token=token, worker="w", until=until), now=2.0)


Step = Callable[[Job, float], Job]

STEPS: dict[str, Step] = {
    "received": lambda job, now: job.received(SOURCE, now=now, due_at=now + 600),
    "claimed by t": lambda job, now: job.claimed(Claim(token="t", worker="w", until=now + 40), now=now),
    "claimed by u": lambda job, now: job.claimed(Claim(token="u", worker="w", until=now + 40), now=now),
    "extended": lambda job, now: job.extended("t", Stage.RENDERING, now=now, until=now + 40),
    "released": lambda job, now: job.released("t", now=now, retry_at=now + 5),
    "released with a failure": lambda job, now: job.released(
        "t", now=now, retry_at=now + 5, failure=Failure(code="render_timed_out", message="Too slow.")
    ),
    "completed": lambda job, now: job.completed("t", SOURCE, (OUTPUT,), now=now, due_at=None),
    "failed by t": lambda job, now: job.failed("t", BROKEN, now=now, due_at=None),
    "failed by nobody": lambda job, now: job.failed(None, BROKEN, now=now, due_at=None),
    "looked at": lambda job, now: job.looked_at(due_at=now + 600),
    "expired": lambda job, now: job.expired(now=now, due_at=None),
    "canceled": lambda job, now: job.canceled(now=now, due_at=None),
    "retried": lambda job, now: job.retried(now=now, due_at=now + 600),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.floats(-5.0, 100.0)), max_size=120))
def test_whatever_happens_a_job_keeps_its_rules(steps: list[tuple[str, float]]) -> None:
    """In any order of events: only legal changes, a revision that grows by one with each write, time that never
    runs backwards, an end that stays unless the client retries or the upload comes after all, and a record that
    does not grow for ever."""
    job, now = new_job(), 10.0
    for name, passed in steps:
        now += passed
        try:
            after = STEPS[name](job, now)
        except (ClaimLost, NotAllowedNow):
            continue
        if after is not job:
            assert after.revision == job.revision + 1
            assert after.updated_at >= job.updated_at
        if after.state is not job.state:
            assert after.state in TRANSITIONS[job.state]
            if job.state.terminal:
                assert name in ("retried", "received")
        assert len(after.timeline) <= MOMENTS_KEPT
        assert (after.claim is not None) <= (after.state is JobState.PROCESSING)
        assert bool(after.outputs) == (after.state is JobState.COMPLETED)
        assert (after.failure is not None) == (after.state is JobState.FAILED)
        assert after.attempt >= 0
        job = after


@given(st.sampled_from(sorted(STEPS)), st.sampled_from(sorted(STEPS)))
def test_a_second_run_changes_nothing_a_client_sees(prepare: str, name: str) -> None:
    """A transition that is carried out again at once leaves the state as the first run left it, or is refused."""
    job = claimed()
    try:
        job = STEPS[prepare](job, 3.0)
        once = STEPS[name](job, 4.0)
        twice = STEPS[name](once, 4.0)
    except (ClaimLost, NotAllowedNow):
        return
    assert (twice.state, twice.stage, twice.outputs) == (once.state, once.stage, once.outputs)


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_knows_where_it_may_go(state: JobState) -> None:
    """Each state has its row of transitions, and only the ends are terminal."""
    assert state not in TRANSITIONS[state]
    assert state.terminal == (state not in (JobState.PENDING, JobState.PROCESSING))


def test_only_the_first_upload_counts() -> None:
    """A later version of the original finds the job queued and does not change it."""
    job = queued()
    later = msgspec.structs.replace(SOURCE, version="2")
    assert job.received(later, now=5.0, due_at=9.0) is job


def test_an_upload_that_comes_too_late_still_counts() -> None:
    """An EXPIRED job becomes PENDING again when its file comes after all."""
    job = new_job().expired(now=5.0, due_at=None)
    assert job.state is JobState.EXPIRED
    assert job.received(SOURCE, now=6.0, due_at=9.0).state is JobState.PENDING


def test_a_live_claim_keeps_others_out() -> None:
    """A second worker gets the job back as it is, until the claim has run out."""
    job = claimed(until=50.0)
    other = Claim(token="u", worker="v", until=100.0)
    assert job.claimed(other, now=49.9) is job
    taken = job.claimed(other, now=50.0)
    assert taken.held_by("u")
    assert taken.attempt == 2


def test_a_worker_that_lost_its_claim_can_write_nothing() -> None:
    """Every write of an attempt is refused once a newer claim exists."""
    job = claimed("t", until=50.0).claimed(Claim(token="u", worker="v", until=100.0), now=60.0)
    for name in ("extended", "released", "completed", "failed by t"):
        with pytest.raises(ClaimLost):
            STEPS[name](job, 61.0)


def test_a_worker_that_was_asked_to_stop_costs_no_attempt() -> None:
    """Giving a job back without a failure takes the attempt back; with one it counts."""
    job = claimed()
    assert job.released("t", now=3.0, retry_at=3.0).attempt == 0
    assert job.released("t", now=3.0, retry_at=3.0, failure=BROKEN).attempt == 1


def test_the_next_attempt_waits() -> None:
    """A job that was given back can not be claimed before its time."""
    job = claimed().released("t", now=3.0, retry_at=8.0, failure=BROKEN)
    assert not job.claimable(7.9)
    assert job.claimable(8.0)


def test_nobody_can_fail_a_job_that_somebody_works_on() -> None:
    """Without a token a job fails only when its claim has run out."""
    job = claimed(until=50.0)
    assert job.failed(None, BROKEN, now=49.0, due_at=None) is job
    assert job.failed(None, BROKEN, now=51.0, due_at=None).state is JobState.FAILED


@pytest.mark.parametrize("end", ["completed", "failed by t"])
def test_what_has_ended_can_not_be_canceled(end: str) -> None:
    """Canceling comes too late after another end, and says so."""
    with pytest.raises(NotAllowedNow, match="can not be canceled"):
        STEPS[end](claimed(), 3.0).canceled(now=4.0, due_at=None)


@pytest.mark.parametrize("step", ["completed", "expired"])
def test_only_failed_and_canceled_jobs_are_retried(step: str) -> None:
    """A COMPLETED or EXPIRED job has nothing to retry, and says so."""
    job = STEPS[step](claimed() if step == "completed" else new_job(), 3.0)
    with pytest.raises(NotAllowedNow, match="only FAILED and CANCELED"):
        job.retried(now=4.0, due_at=9.0)


def test_an_upload_to_a_canceled_job_waits_for_a_retry() -> None:
    """Nobody is told of it; the first one counts, and a retry goes on with it."""
    canceled = new_job().canceled(now=5.0, due_at=7.0)
    job = canceled.received(SOURCE, now=6.0, due_at=9.0)
    assert job == msgspec.structs.replace(canceled, revision=canceled.revision + 1, source=SOURCE)
    assert notice_of(canceled, job) is None
    assert job.received(msgspec.structs.replace(SOURCE, version="2"), now=7.0, due_at=9.0) is job
    assert job.retried(now=8.0, due_at=9.0).stage is Stage.QUEUED


def test_a_retry_begins_from_the_start() -> None:
    """Attempts and failures of the life before are forgotten; the timeline remembers."""
    job = claimed().failed("t", BROKEN, now=3.0, due_at=None).retried(now=4.0, due_at=9.0)
    assert (job.state, job.stage, job.attempt, job.failure) == (JobState.PENDING, Stage.QUEUED, 0, None)
    assert [moment.state for moment in job.timeline][-2:] == [JobState.FAILED, JobState.PENDING]


def test_a_retry_without_a_file_waits_for_it() -> None:
    """A job canceled before its upload waits for the upload again."""
    assert (
        new_job().canceled(now=1.0, due_at=None).retried(now=2.0, due_at=9.0).stage is Stage.AWAITING_UPLOAD
    )


def test_a_timeline_does_not_grow_for_ever() -> None:
    """A job retried for ever keeps its newest moments only."""
    job = queued()
    for number in range(100):
        job = job.canceled(now=float(number), due_at=None).retried(now=float(number), due_at=9.0)
    assert len(job.timeline) == MOMENTS_KEPT
    assert job.timeline[-1].at == 99.0


def test_one_notice_for_each_end() -> None:
    """A write that ends a job carries a notice with an id of its own; no other write does."""
    before, after = claimed(), STEPS["completed"](claimed(), 3.0)
    notice = notice_of(before, after)
    assert notice is not None
    assert notice.id == f"1.{after.revision}"
    assert notice_of(after, after.looked_at(due_at=None)) is None
    assert notice_of(queued(), before) is None


@given(st.text(max_size=300))
def test_a_safe_name_is_fit_for_every_backend(filename: str) -> None:
    """Whatever a client calls its file, the key is one path segment without control characters, not too long."""
    name = safe_name(filename)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert name not in (".", "..")
    assert name.isprintable()
    assert not set(name) & set('/\\<>:"|?*%#&\0\r\n')
    assert name == name.strip(" ")
    assert safe_name(name) == name
    key = upload_key("5d1c", filename)
    assert job_id_of(key) == "5d1c"


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("beach.jpg", "beach.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\Cat photo.PNG", "Cat photo.PNG"),
        ("a\0b\r\nSet-Cookie: x.jpg", "abSet-Cookie x.jpg"),
        ("été (1)+2.jpeg", "été (1)+2.jpeg"),
        ("写真.webp", "写真.webp"),
        ("", "upload"),
        ("..", "upload"),
        (".jpg", "jpg"),
        ("x" * 2000 + ".jpg", "x" * 146 + ".jpg"),
    ],
)
def test_names_that_clients_send(filename: str, name: str) -> None:
    """The base name stays readable; folders, control characters and what shells and URLs read are gone."""
    assert safe_name(filename) == name


@pytest.mark.parametrize(
    "key", ["", "uploads", "uploads/1", "uploads//a", "uploads/1/", "uploads/1/a/b", "x/1/a"]
)
def test_keys_of_no_upload(key: str) -> None:
    """Only `uploads/{jobId}/{name}` is the key of an upload."""
    assert job_id_of(key) is None


def test_each_attempt_has_keys_of_its_own() -> None:
    """The keys of two attempts at one output differ."""
    assert output_key("1", "t", "main", "jpg") != output_key("1", "u", "main", "jpg")


def test_ids_do_not_repeat() -> None:
    """A thousand ids are a thousand different ids."""
    assert len({new_id() for _ in range(1000)}) == 1000


@given(st.floats(0.0, 4e9))
def test_timestamps_have_one_form(at: float) -> None:
    """UTC, exactly six decimals, and `Z`, also on a whole second."""
    assert len(timestamp(at)) == len("2026-01-31T12:00:00.000000Z")
    assert timestamp(at).endswith("Z")


@given(st.text(max_size=50))
def test_a_file_name_can_not_break_out_of_its_header(filename: str) -> None:
    """A Content-Disposition is one line of ASCII with the name quoted, whatever the name is."""
    header = content_disposition(filename)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
