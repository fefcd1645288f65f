"""The operator's view."""

import re

from playwright.sync_api import Page, expect
from tests.browser.pages import api, choose, developed, frame, shoot, visit
from tests.browser.scenes import photo
from tests.journeys.serving import Server


def test_an_operator_sees_how_it_is_doing(page: Page, served: Server) -> None:
    """What completed and what failed is counted, drawn by the minute, and leads to the jobs that failed."""
    developed(page, ("counted.jpg", photo(1, (240, 160))))
    choose(page, ("counted-broken.jpg", b"no picture"))
    expect(frame(page, "counted-broken.jpg")).to_have_attribute("data-look", "spoilt")
    failed = frame(page, "counted-broken.jpg").get_attribute("data-job")
    assert failed is not None
    visit(page, "Operations")
    expect(page.locator(".tile", has_text="In the queue")).to_contain_text("0")
    expect(page.locator(".tile", has_text="Dead letters")).to_contain_text("0")
    counts = api(served, "/ops")["jobs"]
    expect(page.locator(".bars li", has_text="Failed")).to_contain_text(str(counts["FAILED"]))
    expect(page.get_by_role("img", name=re.compile("jobs completed"))).to_be_visible()
    assert page.locator(".chart rect.completed").count() == 60
    shoot(page, "operations")
    page.locator(".failures").get_by_role("link", name=failed[:8]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("counted-broken.jpg")
