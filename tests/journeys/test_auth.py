"""A Safelight that asks for keys, over real HTTP: the whole way of a job with a key, and none without."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journeys.serving import Server, client, image, safelight, submit, wait
from tests.support.receiver import receiver

from safelight.client import Client, Refused

pytestmark = pytest.mark.embedded


class Keyed:
    """The server, its data folder, and keys that the command line made."""

    def __init__(self, data: Path, server: Server) -> None:
        self.data = data
        self.server = server
        self.url = server.url

    def keys(self, *words: str) -> Any:
        """What `safelight keys` says, while the server runs."""
        done = safelight("keys", *words, "--json", settings={"data": str(self.data)})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def key(self, name: str, *words: str) -> str:
        """A new key."""
        return str(self.keys("create", "--name", name, *words)["key"])


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    data = tmp_path_factory.mktemp("keyed") / "data"
    with Server(data, "--workers", "1", auth="apikey", log_level="debug") as server:
        yield Keyed(data, server)


@pytest.fixture(scope="module")
def mine(keyed: Keyed) -> str:
    return keyed.key("mine")


def as_(http: httpx.Client, key: str) -> httpx.Client:
    """The client, with a key for the API."""
    http.headers["Authorization"] = f"Bearer {key}"
    return http


def test_the_whole_way_with_a_key(keyed: Keyed, mine: str) -> None:
    """Upload, events, download and erasure: with the key at the API, and none at the signed URLs."""
    with client(keyed.url) as http, client(keyed.url) as stranger:
        as_(http, mine)
        asked = http.post("/uploads", json={"filename": "a.jpg"}, headers={"Idempotency-Key": "1"})
        again = http.post("/uploads", json={"filename": "a.jpg"}, headers={"Idempotency-Key": "1"})
        grant = asked.raise_for_status().json()
        assert again.json()["jobId"] == grant["jobId"]
        with http.stream("GET", f"/jobs/{grant['jobId']}/events") as stream:
            assert stranger.put(grant["uploadUrl"], content=image()).status_code == 200
            assert any('"COMPLETED"' in line for line in stream.iter_lines())
        job = http.get(f"/jobs/{grant['jobId']}").json()
        assert stranger.get(job["downloadUrl"]).status_code == 200
        assert stranger.get(f"/jobs/{grant['jobId']}").status_code == 401
        assert http.delete(f"/jobs/{grant['jobId']}").status_code == 204


def test_another_owner_sees_nothing(keyed: Keyed, mine: str) -> None:
    """Not the job, not its events, not in a list; and the same Idempotency-Key makes a job of its own."""
    with client(keyed.url) as me, client(keyed.url) as you:
        as_(me, mine)
        as_(you, keyed.key("yours"))
        key = {"Idempotency-Key": "2"}
        job_id = me.post("/uploads", json={}, headers=key).json()["jobId"]
        for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/events"):
            assert you.get(path).status_code == 404
        assert you.delete(f"/jobs/{job_id}").status_code == 404
        assert you.get("/jobs").json()["items"] == []
        assert you.post("/uploads", json={}, headers=key).json()["jobId"] != job_id
        assert me.get(f"/jobs/{job_id}").status_code == 200


def test_a_key_is_replaced_while_the_server_runs(keyed: Keyed) -> None:
    """Two keys of one name see the same jobs; the revoked one is refused with the next request."""
    old = keyed.key("rotating")
    with client(keyed.url) as http:
        job_id = as_(http, old).post("/uploads", json={}).json()["jobId"]
        new = keyed.key("rotating")
        assert as_(http, new).get(f"/jobs/{job_id}").status_code == 200
        keyed.keys("revoke", old.split("_")[1])
        assert as_(http, old).get(f"/jobs/{job_id}").status_code == 401
        assert as_(http, new).get(f"/jobs/{job_id}").status_code == 200
    listed = [key for key in keyed.keys("ls") if key["name"] == "rotating"]
    assert [key["prefix"] for key in listed] == [new.split("_")[1]]


def test_scopes_and_the_operator(keyed: Keyed, mine: str) -> None:
    """A key for reading can not upload, one for uploading can not read, and the operator's sees everybody's jobs."""
    with client(keyed.url) as http:
        job_id = as_(http, mine).post("/uploads", json={}).json()["jobId"]
        assert as_(http, keyed.key("mine", "--scope", "read")).get(f"/jobs/{job_id}").status_code == 200
        assert http.post("/uploads", json={}).status_code == 403
        assert as_(http, keyed.key("mine", "--scope", "upload")).get(f"/jobs/{job_id}").status_code == 403
        assert as_(http, keyed.key("operator", "--scope", "admin")).get(f"/jobs/{job_id}").status_code == 200


def test_the_commands_take_a_key(keyed: Keyed, mine: str, photo: Path, tmp_path: Path) -> None:
    """In SAFELIGHT_KEY or with --key; without one, one line says what is missing."""
    with_key = {"api": keyed.url, "key": mine}
    done = safelight("upload", photo, "--out", tmp_path / "out", "--json", settings=with_key)
    assert done.returncode == 0, done.stderr
    job_id = json.loads(done.stdout)["jobId"]
    saving = ("save", job_id, "--out", tmp_path / "out")
    for words in (("ls",), ("get", job_id), ("watch", job_id), saving):
        done = safelight("jobs", *words, "--key", mine, settings={"api": keyed.url})
        assert (done.returncode, done.stderr) == (0, "")
        without = safelight("jobs", *words, settings={"api": keyed.url})
        assert without.returncode == 1
        assert "Authorization: Bearer" in without.stderr
        assert "Here: --key or SAFELIGHT_KEY." in without.stderr
    for wrong in ((), ("--key", "slk_wrong")):
        refused = safelight("upload", photo, *wrong, settings={"api": keyed.url}, cwd=tmp_path)
        assert refused.returncode == 1
        assert refused.stderr.endswith(" Here: --key or SAFELIGHT_KEY. [not_authenticated]\n")


def test_the_client_library_takes_a_key(keyed: Keyed, mine: str, photo: Path, tmp_path: Path) -> None:
    """It sends it to the API, and to nobody else."""
    with Client(keyed.url, key=mine) as safelight:
        job = safelight.upload(photo).wait(30)
        assert len(job.save(tmp_path)) == 1
    with Client(keyed.url, key="sl_00000000_" + "a" * 43) as stranger, pytest.raises(Refused) as caught:
        stranger.job(job.id)
    assert (caught.value.status, caught.value.code) == (401, "not_authenticated")


def test_no_secret_in_the_logs(tmp_path: Path) -> None:
    """After a journey with good and bad keys and a webhook at the level `debug`, neither a key nor a signature nor a
    webhook's secret nor a token of a signed URL is in any log; and no key is anywhere in the data folder."""
    data = tmp_path / "data"
    said: dict[str, Any] = {"auth": "apikey", "log_level": "debug", "webhooks_to_loopback": "true"}
    with Server(data, "--workers", "1", **said) as server, receiver() as there:
        keyed = Keyed(data, server)
        key, wrong = keyed.key("mine"), "sl_0123abcd_" + "Z" * 43
        with client(server.url) as http:
            assert as_(http, wrong).get("/jobs").status_code == 401
            assert http.get("/jobs", headers={"X-Api-Key": wrong}).status_code == 401
            as_(http, key)
            webhook = http.post("/webhooks", json={"url": there.url}).json()
            rotated = http.post(f"/webhooks/{webhook['id']}/rotate").json()
            grant = http.post("/uploads", json={}).json()
            assert httpx.put(grant["uploadUrl"] + "0", content=b"x", trust_env=False).status_code == 403
            job = wait(http, submit(http, image()))
            assert http.get(job["downloadUrl"]).status_code == 200
            [told] = there.wait(1)
            told.verified(webhook["secret"])
            told.verified(rotated["secret"])
            there.answer = lambda _request: 500  # what fails is logged more than what does not
            wait(http, submit(http, image()))
            there.wait(2)
    urls = (grant["uploadUrl"], job["downloadUrl"])
    signatures = {
        match for url in urls for match in re.findall(r"[0-9A-Za-z_%-]{32,}", url.partition("?")[2])
    }
    assert signatures
    shared = {made["secret"].removeprefix("whsec_") for made in (webhook, rotated)}
    assert len(shared) == 2
    signed = {each.removeprefix("v1,") for each in told.headers["webhook-signature"].split()}
    secrets = {key, key.rpartition("_")[2], wrong, "Z" * 43, *signatures, *shared, *signed}
    log = server.log.read_text()
    assert "completed" in log
    assert [secret for secret in secrets if secret in log] == []
    kept = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert key.rpartition("_")[2].encode() not in kept


def test_no_server_tells_its_version(keyed: Keyed) -> None:
    """No answer names the software that made it in a Server header: not the API, not the storage, not a refusal."""
    with client(keyed.url) as http:
        for path in ("/health", "/jobs", "/nothing", "/storage/uploads/x/y"):
            answer = http.get(path)
            assert "server" not in answer.headers
            assert "x-powered-by" not in answer.headers
        assert http.get("/health").headers["x-content-type-options"] == "nosniff"


# --- which folder ---


def test_keys_are_those_of_a_folder_that_is_named(tmp_path: Path) -> None:
    """The first key begins a folder, and says so with what serves it; after that the folder is named, apart from the
    result. Listing and revoking begin nothing: they refuse a folder without a Safelight."""
    folder = tmp_path / "shop"
    for words in (("ls",), ("revoke", "sl_12345678")):
        done = safelight("keys", *words, "--data", folder)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"There is no Safelight in the folder {folder}" in done.stderr
    assert list(tmp_path.iterdir()) == []
    made = safelight("keys", "create", "--data", folder)
    assert (made.returncode, made.stdout[:3], len(made.stdout.split())) == (0, "sl_", 1)
    assert made.stderr.startswith(f"There was no Safelight in the data folder {folder}")
    assert f"safelight serve --data {folder}" in made.stderr
    listed = safelight("keys", "ls", "--json", settings={"data": str(folder)})
    assert [key["name"] for key in json.loads(listed.stdout)] == ["default"]
    assert listed.stderr == f"The keys of the data folder {folder}\n"
    both = safelight("keys", "ls", "--data", folder, "--stack", "x")
    assert (both.returncode, both.stdout) == (2, "")


# --- where it listens ---


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_without_keys_it_stays_on_this_machine(tmp_path: Path, host: str) -> None:
    """An address that others reach is refused before anything is started: one line with what to do, exit code 3."""
    done = safelight("serve", "--host", host, "--port", "0", "--data", tmp_path / "data")
    assert (done.returncode, done.stdout) == (3, "")
    [line] = done.stderr.splitlines()
    assert "SAFELIGHT_AUTH=apikey" in line
    assert "--insecure" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "auth"), [(("--insecure",), "none"), ((), "apikey")], ids=str)
def test_it_leaves_this_machine_when_told(tmp_path: Path, words: tuple[str, ...], auth: str) -> None:
    """With keys, or if whoever starts it says so, it listens on every address."""
    with Server(tmp_path / "data", "--workers", "1", "--host", "0.0.0.0", *words, auth=auth) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
        expected = 401 if auth == "apikey" else 200
        assert httpx.get(f"{url}/jobs", trust_env=False).status_code == expected


def test_every_loopback_address_is_this_machine(tmp_path: Path) -> None:
    """It needs no key there."""
    with Server(tmp_path / "data", "--workers", "1", "--host", "localhost") as server:
        assert httpx.get(f"{server.url}/jobs", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "SAFELIGHT_JWT_ISSUER, SAFELIGHT_JWT_AUDIENCE, SAFELIGHT_JWT_KEYS: not set"),
        ({"jwt_issuer": "i", "jwt_audience": "a", "jwt_keys": "http://x"}, "SAFELIGHT_JWT_KEYS: expected"),
        (
            {"jwt_issuer": "i", "jwt_audience": "a", "jwt_keys": "https://x", "jwt_algorithms": "HS256"},
            "SAFELIGHT_JWT_ALGORITHMS: expected",
        ),
    ],
    ids=["nothing", "keys over http", "a shared secret"],
)
def test_tokens_that_could_not_be_checked(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    """Settings by which no token could be checked, or not safely, start nothing: one line and exit code 3."""
    said = {"auth": "jwt", **settings}
    done = safelight("serve", "--port", "0", "--data", tmp_path / "data", settings=said)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"safelight: {expected}")
