"""What a reader does in the console, and what is to be seen there."""

from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import FilePayload, Locator, Page, expect
from tests.journeys.serving import Server

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build/console"
"""Where the screenshots go, for people to look at."""


def payload(name: str, body: bytes) -> FilePayload:
    """A file for the browser's own dialog."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": body}


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    """Choose files as a reader does, in the browser's own dialog."""
    page.locator("input[type=file]").first.set_input_files([payload(name, body) for name, body in files])


def frame(page: Page, name: str) -> Locator:
    """A photo on the contact sheet."""
    return page.locator(".frame", has_text=name)


def developed(page: Page, *files: tuple[str, bytes]) -> None:
    """Choose photos, and wait until all of them are done."""
    choose(page, *files)
    for name, _ in files:
        expect(frame(page, name)).to_have_attribute("data-look", "fixed")


def pictured(card: Locator) -> None:
    """Wait until a card shows its picture."""
    card.locator("img").evaluate("image => image.decode()")


def visit(page: Page, name: str) -> None:
    """Go to another page by the navigation."""
    link = page.get_by_role("navigation", name="Pages").get_by_role("link", name=name)
    link.click()
    expect(link).to_have_attribute("aria-current", "page")
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def switch(page: Page, name: str) -> None:
    """Choose one of several by its chip, as people do: the button itself is not to be seen. Playwright waits until the
    chip stands still, which a picture that arrives late moves."""
    page.locator("label.chip", has_text=name).click()
    expect(page.get_by_role("radio", name=name)).to_be_checked()


def api(served: Server, path: str) -> Any:
    """What the API says."""
    return httpx.get(f"{served.url}{path}", trust_env=False).raise_for_status().json()


def jobs_named(served: Server, name: str) -> list[str]:
    """The jobs of a file."""
    listed = api(served, "/jobs?limit=100")["items"]
    return [job["jobId"] for job in listed if job["source"]["filename"] == name]


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the page."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
