"""What a stranger with nothing but curl can do: the five steps, word for word as the first clients do them."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.serving import decoded, environment, image, until

ROOT = Path(__file__).parents[2]


def curl(*words: str | Path) -> str:
    """Run the real curl and return what it prints."""
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(api: str, **body: Any) -> dict[str, Any]:
    """Step 1."""
    sent = json.dumps(body)
    text = curl("-X", "POST", f"{api}/uploads", "-H", "Content-Type: application/json", "-d", sent)
    answer: dict[str, Any] = json.loads(text)
    return answer


def finished(api: str, job_id: str) -> dict[str, Any]:
    """Step 4."""

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = json.loads(curl(f"{api}/jobs/{job_id}"))
        return job if job["status"] not in ("PENDING", "PROCESSING") else None

    return until(look)


def test_the_five_steps(api: str, photo: Path, tmp_path: Path) -> None:
    """Ask, send, look, look again, download: the picture comes back marked, in its format and size."""
    answer = ask(api, filename="beach.jpg")
    assert re.fullmatch(r"[0-9a-f-]{36}", answer["jobId"])
    assert answer["expiresIn"] == 300
    sent = curl(
        "-X", "PUT", answer["uploadUrl"], "-H", "Content-Type: image/jpeg", "--data-binary", f"@{photo}"
    )
    assert sent == ""
    at_once = json.loads(curl(f"{api}/jobs/{answer['jobId']}"))
    assert at_once["status"] in ("PENDING", "PROCESSING", "COMPLETED")
    assert {"jobId", "status", "createdAt", "updatedAt", "downloadUrl", "errorMessage"} <= at_once.keys()
    done = finished(api, answer["jobId"])
    assert (done["status"], done["errorMessage"]) == ("COMPLETED", None)
    result = tmp_path / "processed.jpg"
    curl("-o", result, done["downloadUrl"])
    picture = decoded(result.read_bytes())
    assert (picture.format, picture.size) == ("JPEG", (320, 240))
    assert result.read_bytes() != photo.read_bytes()
    assert hashlib.sha256(result.read_bytes()).hexdigest() == done["outputs"][0]["sha256"]


def test_an_upload_needs_no_body(api: str, photo: Path) -> None:
    """A POST without a body asks for an upload; the file gets a name."""
    answer = json.loads(curl("-X", "POST", f"{api}/uploads"))
    curl("-X", "PUT", answer["uploadUrl"], "--data-binary", f"@{photo}")
    assert finished(api, answer["jobId"])["status"] == "COMPLETED"


def test_a_declared_file(api: str, photo: Path) -> None:
    """Size, type and SHA-256 that were declared are signed: sent along, the upload is taken."""
    body = photo.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    answer = ask(api, filename="beach.jpg", contentType="image/jpeg", size=len(body), sha256=digest)
    headers = [word for item in answer["uploadHeaders"].items() for word in ("-H", ": ".join(item))]
    assert headers
    curl("-X", "PUT", answer["uploadUrl"], *headers, "--data-binary", f"@{photo}")
    job = finished(api, answer["jobId"])
    assert job["status"] == "COMPLETED"
    assert job["source"]["sha256"] == digest


def test_a_form(api: str, photo: Path) -> None:
    """A browser's form may send the file, with the fields that the answer lists."""
    answer = ask(api, filename="beach.jpg", method="POST", contentType="image/jpeg")
    assert answer["uploadMethod"] == "POST"
    fields = [word for name, value in answer["uploadFields"].items() for word in ("-F", f"{name}={value}")]
    curl("-X", "POST", answer["uploadUrl"], *fields, "-F", f"file=@{photo}")
    assert finished(api, answer["jobId"])["status"] == "COMPLETED"


def test_names_of_all_kinds(api: str, http: Any) -> None:
    """Whatever a file is called, the job is done and the name as given comes back with the download."""
    for name in (
        "Größe & Maß.jpg",
        "../../etc/passwd",
        "写真 1.jpg",
        "no-extension",
        'a"b;c.jpg',
        "x" * 300 + ".jpg",
    ):
        answer = ask(api, filename=name)
        assert http.put(answer["uploadUrl"], content=image()).status_code == 200, name
        job = finished(api, answer["jobId"])
        assert (job["status"], job["source"]["filename"]) == ("COMPLETED", name)
        assert http.get(job["downloadUrl"]).headers["content-disposition"].startswith("attachment")


def script_of(page: str, api: str) -> str:
    """The commands of a page that need nothing but curl."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    script = "\n".join(block for block in blocks if re.search(r"\b(curl|ask|field)\b", block))
    assert "http://127.0.0.1:8000" in script
    return script.replace("http://127.0.0.1:8000", api)


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_pages_know_what_to_do_with_a_failure(api: str, tmp_path: Path, page: str) -> None:
    """Of what is no picture they print the sentence that says why, download nothing and end with an error; without a
    file they stop."""
    command = ["sh", "-euc", script_of(page, api)]
    absent = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=40
    )
    assert absent.returncode != 0
    assert "beach.jpg" in absent.stderr
    (tmp_path / "beach.jpg").write_text("not a picture")
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=40
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("The file looks like a text file")
    assert [path.name for path in tmp_path.iterdir()] == ["beach.jpg"]


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_pages_tell_the_truth(api: str, photo: Path, tmp_path: Path, page: str) -> None:
    """The commands of the README and the quickstart work as they stand, in a plain shell."""
    script = script_of(page, api)
    for shell in ("sh", "bash"):
        done = subprocess.run(
            [shell, "-euc", script],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=40,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"status":"COMPLETED"' in done.stdout
        result = tmp_path / "finished.jpg"
        assert decoded(result.read_bytes()).format == "JPEG"
        result.unlink()
