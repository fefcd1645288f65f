"""From the photo to the rendition, in a browser: on one machine, and on AWS with the console as a static site."""

import io
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from tests.browser.conftest import Place
from tests.browser.pages import choose, pictured, shoot
from tests.browser.scenes import photo
from tests.journeys.serving import client, decoded, submit, wait

pytestmark = [
    pytest.mark.parametrize("place", ["embedded", "aws"], indirect=True),
    pytest.mark.timeout(300),  # to deploy takes a while
]


def test_a_photo_is_uploaded_watched_compared_and_downloaded(
    page: Page, place: Place, tmp_path: Path
) -> None:
    """A chosen photo goes straight to the storage, is followed to its end, and lies there beside its original."""
    if place.url == place.api:
        shoot(page, "darkroom")
    choose(page, ("harbour.jpg", photo(0)))
    frame = page.locator(".frame", has_text="harbour.jpg")
    expect(frame).to_have_attribute("data-look", "fixed", timeout=90_000)
    frame.get_by_role("link", name="harbour.jpg", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("harbour.jpg")
    slider = page.get_by_role("slider", name="Compare before and after")
    slider.press("End")
    expect(slider).to_have_value("100")
    if place.url == place.api:
        shoot(page, "job")
    expect(page.locator(".outputs")).to_contain_text("image/jpeg")
    expect(page.locator(".outputs")).to_contain_text("1200 × 800")
    expect(page.locator(".timeline")).to_contain_text(re.compile("Pending.*Processing.*Completed", re.DOTALL))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download main").click()
    saved = tmp_path / "rendition.jpg"
    download.value.save_as(saved)
    assert decoded(saved.read_bytes()).size == (1200, 800)


def test_a_file_that_fails_says_why(page: Page, place: Place) -> None:
    """What is no picture fails with the API's own sentence on the sheet, and with its code on the job's page."""
    choose(page, ("letter.jpg", b"Dear Sir or Madam, this is not a picture."))
    frame = page.locator(".frame", has_text="letter.jpg")
    expect(frame).to_have_attribute("data-look", "spoilt", timeout=90_000)
    job = httpx.get(f"{place.api}/jobs/{frame.get_attribute('data-job')}", trust_env=False).json()
    expect(frame).to_contain_text(job["error"]["message"])
    frame.get_by_role("link", name="letter.jpg", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(job["error"]["code"])
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_large_renditions_are_no_thumbnails(page: Page, place: Place) -> None:
    """In the list of jobs, a cloud is asked only for what is small, and one's own machine for all."""
    body = io.BytesIO()
    Image.effect_noise((900, 600), 120).save(body, "JPEG", quality=95)
    with client(place.api) as http:
        for name, file in (("large.jpg", body.getvalue()), ("small.jpg", photo(4, (300, 200)))):
            job = wait(http, submit(http, file, filename=name), within=90)
            assert (job["outputs"][0]["bytes"] > 400_000) is (name == "large.jpg")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
    for name, shown in (("small.jpg", True), ("large.jpg", place.url == place.api)):
        row = page.locator(".job", has_text=name).first
        expect(row.locator("img" if shown else ".blank")).to_be_visible()
        if shown:
            pictured(row)
