"""Uploads that are paused, cut off, or outlived by nothing but the browser's memory."""

from pathlib import Path

import httpx
from playwright.sync_api import Page, Request, expect
from tests.browser.pages import choose, frame, jobs_named, pictured, shoot
from tests.browser.scenes import photo
from tests.journeys.serving import Server, until

SLOW = 400_000
"""Bytes a second: an upload of some megabytes can be met on its way."""
PARTS = 24
"""Of 8 MiB: so many make up 200 MB."""
AT_ONCE = 3


class Line:
    """The line between a page and everything else."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Network.enable")

    def is_(self, *, speed: int = 0, offline: bool = False) -> None:
        """Let uploads go at so many bytes a second, 0 being as fast as they can; or let nothing through."""
        self._session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": offline,
                "latency": 0,
                "downloadThroughput": -1,
                "uploadThroughput": speed or -1,
            },
        )


def padded(seed: int, size: int) -> bytes:
    """A photo of exactly so many bytes: what follows a JPEG's end is not read."""
    return photo(seed).ljust(size, b"\0")


def test_an_upload_waits_for_the_network(page: Page) -> None:
    """Without a network a chosen photo waits and says so; with it, the upload goes by itself."""
    line = Line(page)
    line.is_(offline=True)
    choose(page, ("away.jpg", photo(1)))
    expect(frame(page, "away.jpg")).to_contain_text("Waits until you are online")
    expect(page.get_by_text("You are offline.")).to_be_visible()
    shoot(page, "offline")
    line.is_()
    expect(frame(page, "away.jpg")).to_have_attribute("data-look", "fixed")
    expect(page.get_by_text("You are offline.")).to_be_hidden()


def test_a_server_that_is_gone_is_told_and_found_again(page: Page) -> None:
    """A view that can not be fetched, and an upload that nobody takes, say so; both go on once there is an answer."""
    page.route("**/*", lambda route: route.abort("connectionrefused"))
    choose(page, ("nobody.jpg", photo(8)))
    expect(frame(page, "nobody.jpg")).to_contain_text("Safelight does not answer")
    page.get_by_role("link", name="Operations").click()
    expect(page.get_by_role("alert")).to_contain_text("Safelight does not answer")
    page.unroute("**/*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()


def test_a_network_that_goes_in_the_middle_costs_nothing(page: Page, served: Server) -> None:
    """An upload that is cut off begins again for the same job once the network is back."""
    line = Line(page)
    line.is_(speed=SLOW)
    choose(page, ("tunnel.jpg", padded(2, 2_000_000)))
    expect(frame(page, "tunnel.jpg")).to_contain_text("%")
    line.is_(offline=True)
    expect(frame(page, "tunnel.jpg")).to_contain_text("Waits until you are online")
    line.is_()
    expect(frame(page, "tunnel.jpg")).to_have_attribute("data-look", "fixed")
    assert len(jobs_named(served, "tunnel.jpg")) == 1


def test_an_upload_can_be_paused(page: Page) -> None:
    """Pause stops the bytes, Resume sends them; what has arrived can not be paused any more."""
    line = Line(page)
    line.is_(speed=SLOW)
    choose(page, ("pause.jpg", padded(3, 2_000_000)))
    card = frame(page, "pause.jpg")
    expect(card).to_contain_text("%")
    card.get_by_role("button", name="Pause pause.jpg").click()
    expect(card).to_contain_text("Paused at")
    expect(page.locator(".standing")).to_contain_text("Paused")
    shoot(page, "paused")
    line.is_()
    card.get_by_role("button", name="Go on with pause.jpg").click()
    expect(card).to_have_attribute("data-look", "fixed")
    expect(card.get_by_role("button", name="Pause pause.jpg")).to_have_count(0)


def test_an_upload_that_is_given_up_leaves_no_job(page: Page, served: Server) -> None:
    """A photo that is taken off the sheet on its way takes its job with it."""
    line = Line(page)
    line.is_(speed=SLOW)
    choose(page, ("regret.jpg", padded(4, 4_000_000)))
    expect(frame(page, "regret.jpg")).to_contain_text("%")
    assert len(jobs_named(served, "regret.jpg")) == 1
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Give up regret.jpg").click()
    expect(frame(page, "regret.jpg")).to_have_count(0)
    assert jobs_named(served, "regret.jpg") == []


def test_a_reload_in_the_middle_goes_on(page: Page, served: Server) -> None:
    """A page that is closed during an upload comes back with the photo, and finishes the same job."""
    line = Line(page)
    line.is_(speed=SLOW)
    choose(page, ("reload.jpg", padded(5, 3_000_000)))
    expect(frame(page, "reload.jpg")).to_contain_text("%")
    kept_in_the_browser(page)
    line.is_()
    page.reload()
    expect(frame(page, "reload.jpg")).to_have_attribute("data-look", "fixed")
    assert len(jobs_named(served, "reload.jpg")) == 1


def test_the_sheet_outlives_a_reload(page: Page) -> None:
    """Photos that are done are still on the sheet after a reload, with their pictures."""
    choose(page, ("stays.jpg", photo(6)))
    expect(frame(page, "stays.jpg")).to_have_attribute("data-look", "fixed")
    pictured(frame(page, "stays.jpg"))
    page.reload()
    expect(frame(page, "stays.jpg")).to_have_attribute("data-look", "fixed")
    pictured(frame(page, "stays.jpg"))


def kept_in_the_browser(page: Page) -> None:
    """Wait until the browser has the file and the state of its upload in its own database."""
    look = """async () => {
        const open = indexedDB.open("uppy-blobs")
        const database = await new Promise((done) => { open.onsuccess = () => done(open.result) })
        const all = (store) => new Promise((done) => {
            const asked = database.transaction(store).objectStore(store).getAll()
            asked.onsuccess = () => done(asked.result)
        })
        const [blobs, states] = [await all("files"), await all("metadata")]
        database.close()
        return blobs.length > 0 && JSON.stringify(states).includes("jobId")
    }"""
    until(lambda: page.evaluate(look))  # not by wait_for_function, which the page's policy forbids


def test_a_large_file_goes_in_parts_and_on_after_a_reload(page: Page, served: Server, tmp_path: Path) -> None:
    """200 MB are sent in parts; a reload in the middle sends only those that were missing."""
    large = tmp_path / "in-parts.jpg"
    large.write_bytes(padded(7, 200_000_000))
    puts: list[Request] = []
    page.on("requestfinished", lambda request: puts.append(request) if request.method == "PUT" else None)
    line = Line(page)
    line.is_(speed=60_000_000)
    page.locator("input[type=file]").first.set_input_files(large)
    expect(frame(page, "in-parts.jpg")).to_contain_text("%")
    with page.expect_event("requestfinished", lambda request: request.method == "PUT"):
        pass
    kept_in_the_browser(page)
    before = len(puts)
    page.reload()
    line.is_()
    expect(frame(page, "in-parts.jpg")).to_have_attribute("data-look", "fixed", timeout=50_000)
    [job_id] = jobs_named(served, "in-parts.jpg")
    job = httpx.get(f"{served.url}/jobs/{job_id}", trust_env=False).json()
    assert job["source"]["bytes"] == 200_000_000
    assert before > 0
    # A part that was under way when the page went may be sent again; none of the others is.
    assert len(puts) <= PARTS + AT_ONCE
