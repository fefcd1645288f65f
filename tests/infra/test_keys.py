"""A stack that asks for keys: the default."""

import pytest
from tests.journeys.serving import client, image, submit, wait
from tests.support.stack import Emulated, deployed

from safelight.entrypoints.deploy import parameters


def test_strangers_are_kept_out_unless_somebody_says_otherwise() -> None:
    """Who deploys without a word about it gets a stack that asks for keys."""
    assert parameters.default("AuthMode") == "apikey"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_stack_with_keys(account: Emulated) -> None:
    """The first deployment tells a key, once. With it a job goes its whole way, without one nothing does; and the
    commands make and revoke others."""
    with deployed(account, "keyed", AppName="keyed", AuthMode="apikey") as stack:
        again = account.deploy("keyed", AppName="keyed", AuthMode="apikey")
        assert "key" not in again.json
        [first] = account.run("keys", "ls", "--stack", "keyed", "--json").json
        assert (first["name"], first["owner"]) == ("first", "local")
        key = account.run("keys", "create", "--name", "shop", "--stack", "keyed", "--json").json
        with client(stack.api) as http:
            assert http.get("/health").status_code == 200
            picture = {"file": ("a.jpg", image())}
            for answer in (
                http.get("/jobs"),
                http.post("/uploads", json={}),
                http.delete("/jobs/x"),
                http.post("/preview", files=picture),
            ):
                assert answer.status_code == 401
                assert answer.json()["code"] == "not_authenticated"
            http.headers["Authorization"] = f"Bearer {key['key']}"
            job_id = submit(http, image())
            assert wait(http, job_id, within=60)["status"] == "COMPLETED"
            assert http.post("/preview", files=picture).status_code == 200
            account.run("keys", "revoke", key["prefix"], "--stack", "keyed")
            assert http.get("/jobs").status_code == 401
