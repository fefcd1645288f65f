"""The console's pages, and who gets them."""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest

from safelight.entrypoints.api.console import Console, policy, prefers_html

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
SCRIPT = b"export const answer = 42;\n" * 50


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small console."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Safelight</title>")
    (tmp_path / "assets/index-abc123.js").write_bytes(SCRIPT)
    (tmp_path / "config.json").write_text('{"api": ""}')
    return tmp_path


def scope(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    """A request, as the server hands it over."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": pairs}


def ask(
    console: Console, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the console's answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    request = scope(path, method, **headers)
    assert console.takes(request)
    asyncio.run(console(request, None, send))
    given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], given, sent[1]["body"]


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
    ],
)
def test_only_who_names_html_gets_the_page(folder: Path, accept: str, html: bool) -> None:
    """A browser gets the console at `/`; curl, a client that asks for JSON, and one that says nothing do not."""
    assert prefers_html(accept) is html
    assert Console(folder).takes(scope("/", accept=accept)) is html


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("OPTIONS", "/"), ("GET", "/jobs"), ("GET", "/index.html"), ("GET", "/assets/other.js")],
)
def test_everything_else_is_left_to_the_api(folder: Path, method: str, path: str) -> None:
    """Other methods, the API's addresses and files that there are not are none of the console's."""
    assert not Console(folder).takes(scope(path, method, accept=BROWSER))


def test_a_folder_without_pages_serves_none(tmp_path: Path) -> None:
    """Safelight without a built console answers as an API alone."""
    assert not Console(tmp_path).takes(scope("/", accept=BROWSER))


def test_the_page_is_asked_for_again_and_its_files_never(folder: Path) -> None:
    """The page is looked after every time; what has its content in its name is kept for a year."""
    console = Console(folder)
    _, page, _ = ask(console, "/", accept=BROWSER)
    _, script, _ = ask(console, "/assets/index-abc123.js")
    assert page["cache-control"] == "no-cache"
    assert "immutable" in script["cache-control"]
    assert script["content-type"] == "text/javascript; charset=utf-8"


def test_who_has_the_page_is_told_so(folder: Path) -> None:
    """A matching If-None-Match is answered with 304 and nothing."""
    console = Console(folder)
    _, headers, _ = ask(console, "/", accept=BROWSER)
    status, _, body = ask(console, "/", accept=BROWSER, if_none_match=headers["etag"])
    assert (status, body) == (304, b"")


def test_files_are_compressed_for_who_can_read_that(folder: Path) -> None:
    """With gzip the same bytes come in fewer, and HEAD names the length without them."""
    console = Console(folder)
    _, headers, body = ask(console, "/assets/index-abc123.js", accept_encoding="gzip, br")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == SCRIPT
    assert len(body) < len(SCRIPT)
    assert ask(console, "/assets/index-abc123.js")[2] == SCRIPT
    _, head, nothing = ask(console, "/assets/index-abc123.js", method="HEAD")
    assert (head["content-length"], nothing) == (str(len(SCRIPT)), b"")


def test_every_answer_carries_the_guards(folder: Path) -> None:
    """No answer lets in code, styles or frames of others, or tells another host where its reader came from."""
    console = Console(folder, storage="https://files.example.org:9000/base")
    for path in ("/", "/assets/index-abc123.js", "/config.json"):
        _, headers, _ = ask(console, path, accept=BROWSER)
        assert headers["content-security-policy"] == policy("https://files.example.org:9000")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_policy_names_the_storage_and_nobody_else() -> None:
    """Data and pictures may come from this host and the storage; nothing inline and nothing evaluated may run."""
    given = dict(part.split(" ", 1) for part in policy("https://files.example.org/x?y").split("; "))
    assert given["connect-src"] == "'self' https://files.example.org"
    assert given["img-src"] == "'self' https://files.example.org blob: data:"
    assert given["default-src"] == "'none'"
    assert "unsafe" not in policy("")
    assert dict(part.split(" ", 1) for part in policy("").split("; "))["connect-src"] == "'self'"
