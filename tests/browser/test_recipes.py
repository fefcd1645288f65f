"""Recipes: checked while they are written, tried on a photo, used for the next upload."""

import json

from playwright.sync_api import Page, expect
from tests.browser.pages import api, developed, frame, jobs_named, payload, shoot, switch, visit
from tests.browser.scenes import photo
from tests.journeys.serving import Server

GOOD = {
    "version": 1,
    "steps": {"small": {"op": "resize", "width": 120}},
    "outputs": {"web": {"use": "small", "format": "webp", "quality": 80}, "wide": {"format": "png"}},
}


def write(page: Page, recipe: object) -> None:
    """Put a text in place of the editor's."""
    text = recipe if isinstance(recipe, str) else json.dumps(recipe, indent=2)
    editor = page.get_by_role("textbox", name="The recipe in JSON")
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    # As a paste, so that the editor adds no brackets of its own.
    editor.evaluate(
        """(element, text) => {
            const data = new DataTransfer()
            data.setData("text/plain", text)
            element.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}))
        }""",
        text,
    )


def test_mistakes_are_told_at_their_lines(page: Page) -> None:
    """Each mistake names its line and what was expected there; once it is mended, nothing is left."""
    visit(page, "Recipes")
    mistakes = page.locator(".mistakes li")
    write(page, GOOD | {"steps": {"small": {"op": "resize", "width": "wide"}}})
    expect(mistakes).to_have_count(1)
    expect(mistakes).to_contain_text("Line 6")
    expect(mistakes).to_contain_text("Expected an integer from 1 to 10000 or a percentage")
    write(page, GOOD | {"steps": {"small": {"op": "rezise", "width": 120}}})
    expect(mistakes).to_contain_text(["Line 5"])
    expect(mistakes).to_contain_text(['"resize"'])
    write(page, GOOD | {"steps": {"small": {"op": "resize", "width": 120, "wdith": 3}}})
    expect(mistakes).to_contain_text(['There is no "wdith" here.'])
    write(page, GOOD | {"outputs": {"web": {"use": "smal"}}})
    expect(mistakes).to_contain_text(['There is no step "smal"'])
    shoot(page, "mistakes")
    write(page, '{\n  "version": 1,\n  "steps": {\n}')
    expect(mistakes).to_contain_text(["Line"])
    write(page, GOOD)
    expect(mistakes).to_have_count(0)
    expect(page.get_by_text("No mistakes")).to_be_visible()


def test_every_recipe_of_the_server_is_found_good(page: Page, served: Server) -> None:
    """What the server itself calls a recipe has no mistake in the editor either."""
    for item in api(served, "/recipes")["items"]:
        page.goto(f"{served.url}/#/recipes/{item['name']}")
        expect(page.get_by_text("No mistakes")).to_be_visible()


def test_a_recipe_of_ones_own_is_kept_and_used(page: Page, served: Server) -> None:
    """A recipe that was written here is there after a reload, and the next upload gets its renditions."""
    visit(page, "Recipes")
    page.get_by_role("link", name="New recipe").click()
    write(page, GOOD)
    page.get_by_label("Name").fill("web-small")
    page.get_by_role("button", name="Keep and use").click()
    expect(page.get_by_text("Used for the next uploads", exact=True)).to_be_visible()
    page.reload()
    visit(page, "Darkroom")
    expect(page.get_by_label("Recipe")).to_have_value("own:web-small")
    developed(page, ("cooked.jpg", photo(1, (480, 320))))
    expect(frame(page, "cooked.jpg")).to_contain_text("2 renditions")
    [job_id] = jobs_named(served, "cooked.jpg")
    outputs = {each["name"]: each for each in api(served, f"/jobs/{job_id}")["outputs"]}
    assert (outputs["web"]["contentType"], outputs["web"]["width"]) == ("image/webp", 120)
    assert outputs["wide"]["contentType"] == "image/png"

    frame(page, "cooked.jpg").get_by_role("link", name="cooked.jpg", exact=True).click()
    switch(page, "wide")
    expect(page.locator(".compare .after")).to_have_attribute("src", outputs["wide"]["url"])
    expect(page.locator(".shell")).to_contain_text('"op":"resize"')


def test_a_recipe_is_tried_on_a_photo_before_anything_is_queued(page: Page, served: Server) -> None:
    """A chosen photo is shown as the recipe makes it; a change of the recipe changes that; no job comes of it."""
    before = len(api(served, "/jobs?limit=100")["items"])
    visit(page, "Recipes")
    page.get_by_role("link", name="New recipe").click()
    page.locator(".preview input[type=file]").set_input_files([payload("try.jpg", photo(2))])
    drawn = page.get_by_role("img", name="After")
    drawn.wait_for()
    write(page, GOOD | {"outputs": {"web": {"use": "small", "format": "png"}, "wide": {"format": "jpeg"}}})
    expect(page.locator(".preview figcaption").last).to_contain_text("png")
    assert drawn.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") == 120
    page.get_by_label("Rendition to show").select_option("wide")
    expect(page.locator(".preview figcaption").last).to_contain_text("jpeg")
    shoot(page, "preview")
    assert len(api(served, "/jobs?limit=100")["items"]) == before


def test_what_is_no_photo_is_said_to_be_none(page: Page) -> None:
    """A text as the photo of a preview is told as that."""
    visit(page, "Recipes")
    page.locator(".preview input[type=file]").set_input_files([payload("notes.jpg", b"only words")])
    expect(page.locator(".preview")).to_contain_text("can not read that file as a picture")
