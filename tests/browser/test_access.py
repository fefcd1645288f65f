"""For everybody: by keyboard, by screen reader, on a phone, in the dark and by day, from right to left, with a key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.pages import ROOT, choose, developed, frame, payload, shoot, visit
from tests.browser.scenes import photo
from tests.journeys.serving import Server, safelight

AXE = ROOT / "console/node_modules/axe-core/axe.min.js"
PAGES = ("Jobs", "Recipes", "Operations", "Darkroom")


def findings(page: Page) -> list[str]:
    """What axe-core finds in the page that keeps people out, each with an element."""
    if not AXE.exists():
        pytest.skip("axe-core is not here: `make test` fetches it with npm.")
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{each['impact']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical", "moderate")
    ]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_nothing_keeps_anybody_out(page: Page, scheme: str) -> None:
    """axe-core finds nothing of weight on any page, in the dark and by day."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    assert findings(page) == []
    developed(page, ("axe.jpg", photo(1, (600, 400))))
    choose(page, ("axe-broken.jpg", b"no picture"))
    expect(frame(page, "axe-broken.jpg")).to_have_attribute("data-look", "spoilt")
    shoot(page, f"sheet-{scheme}")
    for name in PAGES:
        visit(page, name)
        page.wait_for_load_state("networkidle")
        shoot(page, f"{name.lower()}-{scheme}")
        assert findings(page) == []
    frame(page, "axe.jpg").get_by_role("link", name="axe.jpg", exact=True).click()
    page.get_by_role("slider").wait_for()
    shoot(page, f"job-{scheme}")
    assert findings(page) == []
    page.get_by_role("button", name="API key").click()
    assert findings(page) == []


def test_all_of_it_by_keyboard(page: Page) -> None:
    """Choosing, looking, comparing and going back need no pointer, and the focus is always to be seen."""
    page.on(
        "filechooser", lambda _: None
    )  # the browser is told now that somebody listens, and not while a key is pressed
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("input[type=file]").first).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(payload("keys.jpg", photo(2, (600, 400))))
    expect(frame(page, "keys.jpg")).to_have_attribute("data-look", "fixed")

    link = frame(page, "keys.jpg").get_by_role("link", name="keys.jpg", exact=True)
    for _ in range(12):
        if link.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()

    slider = page.get_by_role("slider")
    slider.wait_for()
    for _ in range(12):
        if slider.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("51")
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0% before")

    page.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Delete")).to_be_focused()


def wider_than_the_screen(page: Page) -> int:
    """By how many pixels the page could be scrolled sideways."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


def test_from_right_to_left(page: Page) -> None:
    """In Arabic the page is mirrored, speaks Arabic, keeps to its width, and stays so after a reload."""
    developed(page, ("rtl.jpg", photo(3, (600, 400))))
    page.get_by_label("Language").select_option("ar")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.get_by_role("heading", level=2).first).to_have_text("ورقة الصور")
    brand, key = page.locator(".brand").bounding_box(), page.locator(".settings").bounding_box()
    assert brand is not None
    assert key is not None
    assert brand["x"] > key["x"]
    shoot(page, "arabic")
    assert findings(page) == []
    assert wider_than_the_screen(page) == 0
    frame(page, "rtl.jpg").get_by_role("link", name="rtl.jpg", exact=True).click()
    page.get_by_role("slider").wait_for()
    shoot(page, "arabic-job")
    assert findings(page) == []
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "ar")


def test_on_a_phone(page: Page) -> None:
    """At 360 pixels nothing has to be scrolled sideways, and what is touched is large enough."""
    page.set_viewport_size({"width": 360, "height": 740})
    shoot(page, "phone")
    developed(page, ("a-photo-with-quite-a-long-name-from-a-phone.jpg", photo(4, (600, 800))))
    shoot(page, "phone-sheet")
    for name in PAGES:
        visit(page, name)
        page.wait_for_load_state("networkidle")
        shoot(page, f"phone-{name.lower()}")
        assert wider_than_the_screen(page) == 0, name
    visit(page, "Jobs")
    page.locator(".job a").first.click()
    page.locator(".timeline").wait_for()
    shoot(page, "phone-job")
    assert wider_than_the_screen(page) == 0
    small = page.evaluate(
        """() => [...document.querySelectorAll('a.button, button, select')]
            .filter((each) => each.checkVisibility())
            .map((each) => [each.ariaLabel || each.textContent, each.getBoundingClientRect()])
            .filter(([, box]) => Math.min(box.width, box.height) < 24).map(([name]) => name)"""
    )
    assert small == []


def test_the_light_can_be_turned_on(page: Page) -> None:
    """The button changes between dark and light, and the choice stays."""
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Turn the light on").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    page.get_by_role("heading", level=1).wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Server]:
    """A Safelight that asks for keys."""
    with Server(tmp_path / "data", auth="apikey", workers="1") as server:
        yield server


def test_a_key_is_asked_for_and_kept_in_the_tab(
    context: BrowserContext, locked: Server, tmp_path: Path
) -> None:
    """Where the API wants a key, the page asks, says when it was refused, and keeps it for this tab alone."""
    made = safelight("keys", "create", "--json", settings={"data": str(tmp_path / "data")})
    assert made.returncode == 0, made.stderr
    key = next(word.strip('",') for word in made.stdout.split() if word.strip('",').startswith("sl_"))
    page = context.new_page()
    page.goto(locked.url)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("asks for a key")
    shoot(page, "key")
    dialog.get_by_label("API key").fill("sl_nonsense")
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_contain_text("refused this key")
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_be_hidden()
    developed(page, ("locked.jpg", photo(0, (240, 160))))
    assert page.evaluate("Object.values(sessionStorage).some((each) => each.startsWith('sl_'))")
    assert not page.evaluate("JSON.stringify(localStorage).includes('sl_')")
    frame(page, "locked.jpg").get_by_role("link", name="locked.jpg", exact=True).click()
    expect(page.locator(".shell")).to_contain_text("$SAFELIGHT_KEY")
    assert key not in page.content()


def test_no_style_and_no_script_is_written_into_the_page(chromium: Browser, served: Server) -> None:
    """The page works under a policy that allows nothing inline; a script written into it does not run."""
    page = chromium.new_page()
    page.goto(served.url)
    page.get_by_role("heading", level=1).wait_for()
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    assert page.evaluate("window.ran") is None
    page.close()
