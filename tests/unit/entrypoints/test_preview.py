"""POST /preview, on in-memory ports: the form, and every way to refuse it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from tests.unit.entrypoints.test_api import INLINE, assert_problem
from tests.unit.pipeline import Pipeline

from safelight.entrypoints.api import create_app
from safelight.errors import PreviewsBusy, RenderTimedOut, TypeNotAllowed
from safelight.testing import Renderer

FILE = {"file": ("beach.jpg", b"picture")}


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(preview_bytes=1000)


@pytest.fixture
def api(pipeline: Pipeline) -> Iterator[httpx.Client]:
    app = create_app(pipeline.service)
    with TestClient(app, base_url="http://api.example", raise_server_exceptions=False) as it:
        yield it


def test_a_file_becomes_an_output(api: httpx.Client, pipeline: Pipeline) -> None:
    """The answer is the output's bytes, with its name and size in headers that pages may read; no job is made."""
    answer = api.post("/preview", files=FILE, data={"recipe": "default", "output": "main"})
    assert (answer.status_code, answer.content) == (200, b"picture")
    headers = answer.headers
    assert headers["content-type"] == "image/jpeg"
    assert (headers["x-image-output"], headers["x-image-width"], headers["x-image-height"]) == (
        "main",
        "1",
        "1",
    )
    assert {"x-image-width", "x-image-height"} <= {
        name.strip().lower() for name in headers["access-control-expose-headers"].split(",")
    }
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert api.get("/jobs").json()["items"] == []


@pytest.mark.parametrize("recipe", ["", "default", '{"version": 1, "outputs": {"small": {}}}', None])
def test_a_recipe_by_name_or_by_itself_or_none(api: httpx.Client, recipe: str | None) -> None:
    """What begins with a brace is a recipe; nothing is the default one."""
    data = {} if recipe is None else {"recipe": recipe}
    answer = api.post("/preview", files=FILE, data=data)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-image-output"] == ("small" if recipe and "{" in recipe else "main")


def test_a_recipe_by_the_callers_own_name(api: httpx.Client) -> None:
    """A name that the caller gave means for a preview what it means for an upload."""
    own = api.put("/recipes/mine", json={"version": 1, "outputs": {"tiny": {}}})
    assert own.status_code == 201, own.text
    answer = api.post("/preview", files=FILE, data={"recipe": "mine"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-image-output"] == "tiny"


@pytest.mark.parametrize(
    ("files", "data", "status", "code", "sentence"),
    [
        ({"recipe": (None, b"default")}, {}, 400, "invalid_request", "file: expected the picture's bytes"),
        ({"file": ("a", b"")}, {}, 422, "empty_file", "0 bytes"),
        ({"file": ("a", b"x" * 1001)}, {}, 413, "too_large", "1001 bytes and a preview takes 1000"),
        (FILE, {"recipe": "nosuch"}, 422, "unknown_recipe", "'nosuch'"),
        (FILE, {"recipe": "{"}, 422, "recipe_invalid", "recipe is not valid JSON"),
        (FILE, {"recipe": '{"version": 1}'}, 422, "recipe_invalid", "outputs"),
        (FILE, {"recipe": '{"a":' * 40 + "1" + "}" * 40}, 422, "recipe_invalid", "nested too deeply"),
        (FILE, {"output": "nosuch"}, 422, "unknown_output", "no output 'nosuch'; it has: main."),
        (FILE, {"recepie": "default"}, 400, "invalid_request", "recipe is"),
        (FILE, {"size": "7"}, 400, "invalid_request", "these are: file, recipe, output"),
        (
            FILE,
            {"recipe": ["a", "b"]},
            400,
            "invalid_request",
            "recipe: expected one value, received several",
        ),
        ({**FILE, "recipe": (None, b"\xff")}, {}, 400, "invalid_request", "recipe: expected text in UTF-8"),
    ],
)
def test_refusals(
    api: httpx.Client, files: Any, data: dict[str, Any], status: int, code: str, sentence: str
) -> None:
    """Each says which field, what was expected and what came."""
    problem = assert_problem(api.post("/preview", files=files, data=data), status, code)
    assert sentence in problem["detail"]


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nhalf"),
        ("multipart/form-data; boundary=" + "b" * 5000, b"--b--"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=f\r\n\r\n\r\n" * 30 + b"--b--",
        ),
    ],
)
def test_what_is_no_form(api: httpx.Client, content_type: str, content: bytes) -> None:
    """Bodies of another type, cut off, or with too many fields."""
    answer = api.post("/preview", content=content, headers={"Content-Type": content_type})
    assert_problem(answer, 400, "invalid_request")


def test_a_body_that_is_larger_than_any_form(api: httpx.Client) -> None:
    """It is turned away before it is read whole; other routes keep their own limit."""
    assert_problem(api.post("/preview", files={"file": ("a", b"x" * 2_000_000)}), 413, "body_too_large")
    assert_problem(api.post("/uploads", content=b"x" * 1_000_001), 413, "body_too_large")


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [(TypeNotAllowed(), 415, None), (RenderTimedOut(), 422, None), (PreviewsBusy(), 503, "1")],
)
def test_what_drawing_ends_with_is_told(
    api: httpx.Client, pipeline: Pipeline, error: Any, status: int, retry: str | None
) -> None:
    """A file at fault, a limit met, or nobody free: each with its code, the last with when to come again."""
    pipeline.failing(error)
    answer = api.post("/preview", files=FILE)
    assert_problem(answer, status, error.code)
    assert answer.headers.get("retry-after") == retry


def test_every_end_of_a_drawing_has_a_status() -> None:
    """No error of a file or of an attempt at drawing is answered as a fault of ours."""
    from safelight import errors
    from safelight.entrypoints.api.problems import KINDS

    elsewhere = {
        errors.TypeMismatch,  # nothing is declared of a preview
        errors.ChecksumMismatch,
        errors.AttemptsUsedUp,
    }
    ends = {*errors.FileError.__subclasses__(), *errors.AttemptError.__subclasses__()} - elsewhere
    assert ends <= set(KINDS)


def test_recipes_of_ones_own_may_be_turned_off() -> None:
    """Where requests may bring no recipe, previews may not either."""
    pipeline = Pipeline(inline_recipes=False)
    with TestClient(create_app(pipeline.service)) as http:
        import json

        answer = http.post("/preview", files=FILE, data={"recipe": json.dumps(INLINE)})
        assert_problem(answer, 400, "invalid_request")


def test_the_renderer_is_the_one_that_is_given(pipeline: Pipeline) -> None:
    """Previews do not use the renderer of jobs where they have their own."""
    from safelight.previews import Previews

    own = Renderer()
    app = create_app(pipeline.service, drawing=Previews(pipeline.settings, lambda _: own))
    with TestClient(app) as http:
        assert http.post("/preview", files=FILE).status_code == 200
    assert len(own.rendered) == 1
    assert pipeline.ports.renderer.rendered == []  # type: ignore[attr-defined]
