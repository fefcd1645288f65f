"""Previews from a real server: drawn at once, held by limits of their own, and in nobody's way."""

import io
import json
import threading
from pathlib import Path

import pytest
from PIL import Image
from tests.journeys.serving import Server, client, decoded, image

RECIPE = json.dumps(
    {
        "version": 1,
        "steps": {"small": {"op": "resize", "width": 160}},
        "outputs": {"main": {}, "web": {"use": "small", "format": "webp"}},
    }
)


def test_a_preview_is_the_output_that_a_job_would_have(tmp_path: Path) -> None:
    """By name and by itself, the primary output and another; the picture is real, and no job is made."""
    with Server(tmp_path / "data") as server, client(server.url) as http:
        body = image(size=(640, 480))
        marked = http.post("/preview", files={"file": ("a.jpg", body)})
        assert marked.status_code == 200, marked.text
        assert (marked.headers["content-type"], decoded(marked.content).size) == ("image/jpeg", (640, 480))
        small = http.post(
            "/preview", files={"file": ("a.jpg", body)}, data={"recipe": RECIPE, "output": "web"}
        )
        picture = decoded(small.content)
        assert (picture.format, picture.size) == ("WEBP", (160, 120))
        assert (small.headers["x-image-width"], small.headers["x-image-height"]) == ("160", "120")
        assert http.get("/jobs").json()["items"] == []
        assert not list((tmp_path / "data").rglob("processed/*"))


def test_what_is_no_picture_is_refused_at_once(tmp_path: Path) -> None:
    """Wrong types, cut files and too many pixels are told with the code that a job would fail with."""
    with Server(tmp_path / "data", preview_pixels="1M") as server, client(server.url) as http:
        body = image(size=(640, 480))

        def code(body: bytes) -> tuple[int, str]:
            answer = http.post("/preview", files={"file": ("a.jpg", body)})
            return answer.status_code, answer.json()["code"]

        assert code(b"no picture at all") == (415, "type_not_allowed")
        assert code(body[: len(body) // 2]) == (422, "truncated")
        flat = io.BytesIO()
        Image.new("L", (1200, 1000)).save(flat, "PNG")
        assert code(flat.getvalue()) == (422, "too_many_pixels")
        assert http.post("/preview", files={"file": ("a.jpg", body)}).status_code == 200


@pytest.mark.timeout(120)
def test_other_requests_go_on_while_previews_are_drawn(tmp_path: Path) -> None:
    """One preview takes its time; a second one is told to come again, and the API answers meanwhile."""
    slow = json.dumps(
        {
            "version": 1,
            "steps": {"soft": {"op": "blur", "sigma": 80}},
            "outputs": {"main": {"use": "soft", "format": "avif"}},
        }
    )
    flat = io.BytesIO()
    Image.effect_mandelbrot((3900, 3900), (-2, -1.5, 1, 1.5), 4).save(flat, "PNG", compress_level=9)
    files = {"file": ("a.png", flat.getvalue())}
    with Server(tmp_path / "data", previews="1", preview_seconds="30") as server:
        statuses: list[int] = []

        def draw() -> None:
            with client(server.url) as http:
                answer = http.post("/preview", files=files, data={"recipe": slow}, timeout=60)
                while answer.status_code == 503:  # one of the quick ones below was being drawn
                    answer = http.post("/preview", files=files, data={"recipe": slow}, timeout=60)
                statuses.append(answer.status_code)

        drawing = threading.Thread(target=draw)
        drawing.start()
        with client(server.url) as http:
            answer = http.post("/preview", files={"file": ("a.jpg", image())})
            while answer.status_code == 200 and drawing.is_alive():  # until the slow one has begun
                answer = http.post("/preview", files={"file": ("a.jpg", image())})
            assert drawing.is_alive(), statuses
            assert (answer.status_code, answer.json()["code"]) == (503, "previews_busy")
            assert answer.headers["retry-after"] == "1"
            assert http.get("/health").status_code == 200
            assert drawing.is_alive(), statuses
        drawing.join()
    assert statuses in ([200], [422])
