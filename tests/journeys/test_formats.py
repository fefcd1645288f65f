"""Each kind of picture comes back as the same kind, whole and marked."""

import io

import httpx
import pytest
from PIL import Image, ImageChops
from tests.journeys.serving import decoded, image, submit, wait

KINDS = ["jpeg", "png", "webp", "gif", "avif"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_format_stays(http: httpx.Client, kind: str) -> None:
    """Format and size stay; the mark is in the lower right corner, and the rest looks as before."""
    original = image(kind, (640, 480))
    job = wait(http, submit(http, original, filename=f"picture.{kind}"))
    assert job["status"] == "COMPLETED", job["errorMessage"]
    [output] = job["outputs"]
    assert output["contentType"] == f"image/{kind}"
    assert job["source"]["contentType"] == f"image/{kind}"
    answer = http.get(output["url"])
    assert answer.headers["content-type"] == f"image/{kind}"
    assert len(answer.content) == output["bytes"]
    before, after = decoded(original).convert("RGB"), decoded(answer.content).convert("RGB")
    assert after.size == before.size == (output["width"], output["height"])
    difference = ImageChops.difference(before, after).convert("L")
    corner, rest = difference.crop((320, 420, 640, 480)), difference.crop((0, 0, 640, 240))
    assert _brightest(corner) > 60
    assert _mean(rest) < 6


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animations_stay_animations(http: httpx.Client, kind: str) -> None:
    """Every frame of an animation comes back."""
    frames = [decoded(image("png", (160, 120), seed)) for seed in range(5)]
    file = io.BytesIO()
    frames[0].save(file, kind.upper(), save_all=True, append_images=frames[1:], duration=80, loop=0)
    job = wait(http, submit(http, file.getvalue(), filename=f"moving.{kind}"))
    assert job["status"] == "COMPLETED", job["errorMessage"]
    result = Image.open(io.BytesIO(http.get(job["downloadUrl"]).content))
    assert getattr(result, "n_frames", 1) == 5


def test_the_bytes_decide(http: httpx.Client) -> None:
    """A PNG called .jpg is a PNG."""
    job = wait(http, submit(http, image("png"), filename="holiday.jpg"))
    assert job["status"] == "COMPLETED", job["errorMessage"]
    assert job["outputs"][0]["contentType"] == "image/png"


def _brightest(picture: Image.Image) -> float:
    high = picture.getextrema()[1]
    assert isinstance(high, (int, float))
    return high


def _mean(picture: Image.Image) -> float:
    histogram = picture.histogram()
    return sum(value * count for value, count in enumerate(histogram)) / sum(histogram)
