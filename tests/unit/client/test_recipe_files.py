"""The client's recipes from files."""

import json
from pathlib import Path

import httpx
import pytest
from tests.unit.client.conftest import GRANT, Script, completed, job

from safelight.client import RecipeInvalid

RECIPE = {"version": 1, "chain": ["auto_orient", {"op": "resize", "width": 80}]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("web.yaml", "version: 1\nchain:\n  - auto_orient\n  - {op: resize, width: 80}\n"),
        ("web.json", json.dumps(RECIPE)),
    ],
)
def test_a_recipe_from_a_file(photo: Path, tmp_path: Path, name: str, text: str) -> None:
    """Its path, in YAML or JSON, stands for what it says wherever a recipe is taken."""
    (file := tmp_path / name).write_text(text)
    script = Script(
        {
            "POST /uploads": httpx.Response(200, json=GRANT),
            "POST /batches": httpx.Response(200, json={"batchId": "b", "jobs": [GRANT]}),
            "PUT /files": httpx.Response(200),
            "GET /jobs/j": completed(),
            "POST /jobs": job("PENDING"),
            "PUT /recipes/web": httpx.Response(200, json={}),
        }
    )
    with script.client() as client:
        client.upload(photo, recipe=file)
        client.upload_batch([photo], recipe=file)
        client.job("j").render_again(file)
        client.put_recipe("web", file)
    posted = [json.loads(request.content)["recipe"] for request in script.seen if request.method == "POST"]
    assert posted == [RECIPE] * 3
    assert script.seen[-1].content.decode() == text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "version: [", "it can not be read in line 1"),
        ("a.json", '{"version": 1,}', "not JSON: it can not be read in line 1, column"),
        ("a.yaml", "default", "expected a recipe, with fields such as"),
        ("a.yaml", "version: 2024-01-01", "JSON, by which recipes are sent, can not say it .*date"),
        ("a.yaml", "version: .nan", "can not say it"),
        ("a.yaml", "outputs: {on: {format: png}, yes: {format: jpeg}}", "a name in it is no text"),
        ("a.yaml", "&a {version: *a}", "can not be read|can not say it"),
    ],
)
def test_a_file_that_holds_no_recipe(photo: Path, tmp_path: Path, name: str, text: str, message: str) -> None:
    """It is named, and nothing is asked for."""
    (file := tmp_path / name).write_text(text)
    script = Script({})
    with script.client() as client, pytest.raises(RecipeInvalid, match=rf"{name}: .*{message}"):
        client.upload(photo, recipe=file)
    with script.client() as client, pytest.raises(FileNotFoundError):
        client.upload(photo, recipe=tmp_path / "absent.yaml")
    assert script.seen == []


@pytest.mark.parametrize(("name", "text"), [("a.yaml", "version: ["), ("a.json", '{"version": 1,}')])
def test_a_file_that_is_no_recipe_gets_no_name(tmp_path: Path, name: str, text: str) -> None:
    """The server would be told of a text without a file, and could not say which it was."""
    (file := tmp_path / name).write_text(text)
    script = Script({})
    with (
        script.client() as client,
        pytest.raises(RecipeInvalid, match=rf"{name}: .*can not be read in line 1"),
    ):
        client.put_recipe("web", file)
    assert script.seen == []
