"""A browser in front of a real Safelight. Without a browser the tests are skipped and say so; `make browser` fetches
one."""

import shutil
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from tests.journeys.serving import Server
from tests.support.site import site
from tests.support.stack import Stack

from safelight.entrypoints.deploy import material


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser: the system's Chromium, without a window. Not for longer than a module: its event loop stays in this
    thread meanwhile, and nobody else's runs."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("There is no Chromium here: `make browser` fetches one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Safelight that most tests share."""
    with Server(tmp_path_factory.mktemp("console") / "data", sweep_seconds="5", max_bytes="300MB") as server:
        yield server


class Place(NamedTuple):
    """Where the console is, and the API that it calls; `hosts` are all that it may ask."""

    url: str
    api: str
    hosts: frozenset[str]


@pytest.fixture(scope="module")
def on_aws(deployed_stack: Stack) -> Iterator[Place]:
    """The console as a static site, its API and its storage on the emulator: other origins, as on AWS."""
    cors = material.load_template()["Resources"]["Api"]["Properties"]["CorsConfiguration"]
    # The emulator does not look at the CORS of an API that a template makes, but at that of any other; and it does not
    # leave out what a function says of CORS itself, as AWS does.
    gateway, api = deployed_stack.account.client("apigatewayv2"), deployed_stack.outputs["ApiId"]
    before = gateway.get_api(ApiId=api).get("CorsConfiguration", {})
    gateway.update_api(ApiId=api, CorsConfiguration={**cors, "AllowOrigins": ["*"]})
    endpoint = deployed_stack.account.endpoint
    try:
        with (
            deployed_stack.settings(cors_origins="https://nobody.example"),
            site(deployed_stack.api, storage=endpoint) as url,
        ):
            yield Place(url, deployed_stack.api, frozenset({urlsplit(url).netloc, urlsplit(endpoint).netloc}))
    finally:
        gateway.update_api(ApiId=api, CorsConfiguration=before)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """One machine, unless a test asks for `aws`."""
    if getattr(request, "param", "embedded") == "aws":
        found: Place = request.getfixturevalue("on_aws")
        return found
    served: Server = request.getfixturevalue("served")
    return Place(served.url, served.url, frozenset({urlsplit(served.url).netloc}))


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A reader's browser, with nothing kept from another test."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 860}, color_scheme="dark", reduced_motion="reduce", locale="en-GB"
    )
    context.set_default_timeout(20_000)
    yield context
    context.close()


class Watched:
    """What a page said and asked for."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        # A refused request is told here, too; tests look at those themselves.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https"):
            self.hosts.add(address.netloc)


@pytest.fixture
def page(context: BrowserContext, place: Place) -> Iterator[Page]:
    """The console, opened. At the end no script has failed, nothing has met the Content-Security-Policy, and no other
    host was asked."""
    page = context.new_page()
    watched = Watched(page)
    page.goto(place.url)
    page.get_by_role("heading", level=1).wait_for()
    yield page
    assert watched.errors == []
    assert watched.hosts == place.hosts
