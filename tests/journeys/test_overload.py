"""More work than can be done: new work is turned away over HTTP, and what was accepted is done."""

from pathlib import Path

import pytest
from tests.journeys.serving import Server, client, image, submit, until, wait

from safelight.backends.embedded import Embedded
from safelight.model import Wake

pytestmark = pytest.mark.embedded


def test_a_full_queue_answers_503_and_says_when_to_come_back(tmp_path: Path) -> None:
    """Uploads and renderings are refused while the queue is longer than its bound, and taken again afterwards; jobs
    that were accepted before can be looked at and come to their end."""
    data = tmp_path / "data"
    with Server(data, "--workers", "1", max_queue="20") as server, client(server.url) as http:
        before = submit(http, image())
        assert wait(http, before)["status"] == "COMPLETED"
        embedded = Embedded(data)
        for number in range(20):
            # Nobody is woken for an hour: so the queue stays as long as it is.
            embedded.queue.send(Wake(job_id=f"waits-{number}", key="k", group="other"), delay=3600)
        # The length is looked at every two seconds.
        until(lambda: http.post("/uploads", json={}).status_code == 503)
        refused = http.post("/uploads", json={})
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["code"] == "overloaded"
        assert http.post("/jobs", json={"from": before}).status_code == 503
        assert http.get(f"/jobs/{before}").json()["status"] == "COMPLETED"
        with embedded._database.writing() as write:
            write.run("DELETE FROM messages WHERE job_id LIKE 'waits-%'")
        embedded.close()
        until(lambda: http.post("/uploads", json={}).status_code == 200)
