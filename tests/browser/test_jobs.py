"""The list of jobs, and what can be done with one."""

import re

import httpx
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser.pages import api, choose, developed, frame, jobs_named, shoot, switch, visit
from tests.browser.scenes import photo
from tests.journeys.serving import Server, client, submit, wait


def test_fifty_photos_are_developed_and_listed_page_by_page(page: Page, served: Server) -> None:
    """Fifty photos chosen at once are all done in the end, each once; the list shows them in pages."""
    small = [photo(seed, (240, 160)) for seed in range(5)]
    files = [(f"roll-{number:02}.jpg", small[number % 5]) for number in range(50)]
    choose(page, *files)
    expect(page.locator(".frame")).to_have_count(50)
    expect(page.locator('.frame[data-look="fixed"]')).to_have_count(50, timeout=45_000)
    shoot(page, "fifty")
    assert all(len(jobs_named(served, name)) == 1 for name, _ in files)

    visit(page, "Jobs")
    expect(page.locator(".job")).to_have_count(24)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".job")).to_have_count(48)
    shoot(page, "jobs")


def test_jobs_are_found_by_name_and_by_state(page: Page) -> None:
    """Words narrow the list to the files that have them in their names, a state to the jobs in it."""
    developed(page, ("needle.jpg", photo(1, (240, 160))), ("straw.jpg", photo(2, (240, 160))))
    choose(page, ("needle-broken.jpg", b"no picture"))
    expect(frame(page, "needle-broken.jpg")).to_have_attribute("data-look", "spoilt")
    visit(page, "Jobs")
    page.get_by_role("searchbox").fill("NEEDLE")
    expect(page.locator(".job")).to_have_count(2)
    switch(page, "Failed")
    expect(page.locator(".job")).to_have_count(1)
    expect(page.locator(".job")).to_contain_text("needle-broken.jpg")
    page.get_by_role("searchbox").fill("nothing is called this")
    expect(page.get_by_text("No job fits.")).to_be_visible()


def test_a_public_output_tells_its_address(page: Page, served: Server) -> None:
    """Beside the links that end, the address that stays."""
    recipe = {"version": 1, "outputs": {"main": {}, "copy": {"format": "webp", "delivery": "public"}}}
    with client(served.url) as http:
        body = {"filename": "for-everybody.jpg", "recipe": recipe}
        job = wait(http, submit(http, photo(3, (240, 160)), **body))
    (public,) = [output["publicUrl"] for output in job["outputs"] if output["publicUrl"]]
    visit(page, "Jobs")
    page.get_by_role("link", name="for-everybody.jpg", exact=True).click()
    address = page.get_by_role("link", name=public)
    expect(address).to_be_visible()
    expect(page.locator(".outputs .fine a")).to_have_count(1)
    shoot(page, "public")
    assert httpx.get(address.get_attribute("href") or "", trust_env=False).status_code == 200


def test_a_failed_job_can_be_started_again_and_deleted(page: Page, served: Server) -> None:
    """Retry tries once more and tells how it went; Delete asks first, and erases the job."""
    choose(page, ("again.jpg", b"no picture"))
    expect(frame(page, "again.jpg")).to_have_attribute("data-look", "spoilt")
    frame(page, "again.jpg").get_by_role("link", name="again.jpg", exact=True).click()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".timeline")).to_contain_text(re.compile("Failed.*Pending.*Failed", re.DOTALL))

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    assert len(jobs_named(served, "again.jpg")) == 1
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    assert jobs_named(served, "again.jpg") == []
    visit(page, "Darkroom")
    expect(page.get_by_text("again.jpg")).to_have_count(0)


def test_a_job_that_waits_can_be_canceled(page: Page, served: Server) -> None:
    """A job whose file has not come is shown as waiting, live, and can be canceled."""
    job = httpx.post(f"{served.url}/uploads", json={"filename": "late.jpg"}, trust_env=False).json()
    page.goto(f"{served.url}/#/jobs/{job['jobId']}")
    expect(page.get_by_text("Waits for the file")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".page-head")).to_contain_text("Canceled")
    assert api(served, f"/jobs/{job['jobId']}")["status"] == "CANCELED"


def test_a_job_that_is_not_there_says_so(page: Page, served: Server) -> None:
    """An address of a job that was erased gets the API's own words."""
    page.goto(f"{served.url}/#/jobs/0d5c0b52-6f5e-4d0e-9d3e-3f2f0b5a7c11")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such job")
    expect(page.get_by_role("alert")).to_contain_text("job_not_found")


def test_the_commands_do_what_was_done(page: Page, context: BrowserContext, served: Server) -> None:
    """The curl commands name the file, its type and its recipe, and can be copied."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    developed(page, ("it's me.jpg", photo(3, (240, 160))))
    frame(page, "it's me.jpg").get_by_role("link", name="it's me.jpg", exact=True).click()
    page.get_by_role("button", name="Copy the commands").click()
    text = page.evaluate("navigator.clipboard.readText()")
    assert f"{served.url}/uploads" in text
    assert """"filename":"it'\\''s me.jpg\"""" in text
    assert "--data-binary @'it'\\''s me.jpg'" in text
    page.get_by_role("button", name="Copy the link to main").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert httpx.get(link, trust_env=False).headers["content-type"] == "image/jpeg"
