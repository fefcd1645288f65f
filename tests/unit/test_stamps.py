"""Marks of more than a line of text: images, lines, turns, repetition; and what recipes take in from the folder."""

import base64
from pathlib import Path
from typing import Any

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.pictures import encoded, jpeg, likeness, upright, vips
from tests.unit.imaging.conftest import content, render_with

from safelight import assets
from safelight.config import Settings
from safelight.edits import merged
from safelight.errors import AssetUnusable, RecipeInvalid
from safelight.imaging import SandboxedRenderer
from safelight.operations import Mark, Size
from safelight.operations.watermark import Watermark, lay_out
from safelight.recipes import Book, build, canonical, parse

TEXT = "© Amodhbh Media"


def logo(colour: tuple[int, int, int] | None = None, width: int = 40, height: int = 20) -> Image.Image:
    """A clear image with an ellipse: of one colour, or of many."""
    mask = Image.radial_gradient("L").resize((width, height)).point(lambda value: 255 * (value < 128))
    image = Image.new("RGB", (width, height), colour) if colour else upright(4, width, height)
    image.putalpha(mask)
    return image


def url(image: Image.Image) -> str:
    """The image as a recipe holds it."""
    return "data:image/png;base64," + base64.b64encode(encoded(image, "PNG")).decode()


def marks(width: int, height: int, **parameters: Any) -> tuple[Mark, ...]:
    """The marks of a watermark on a picture of that size."""
    return lay_out(Watermark(**parameters), width, height)


def recipe(**parameters: Any) -> bytes:
    """A recipe of one watermark."""
    step = {"op": "watermark"} | parameters
    return canonical(build({"version": 1, "steps": {"m": step}, "outputs": {"o": {"use": "m"}}}))


@pytest.fixture(params=["auto", "off"])
def renderer(request: pytest.FixtureRequest) -> Any:
    """With and without the accelerator."""
    renderer = SandboxedRenderer(Settings(splice=request.param))
    yield renderer
    renderer.close()


# --- images -----------------------------------------------------------------------------------------------


def test_an_image_of_one_colour_is_a_mask() -> None:
    """So a photo can take it without being decoded; an image of many colours brings one for each pixel."""
    (plain,) = marks(400, 300, image=url(logo((255, 0, 0))))
    assert plain.layers[0].colour == (255, 0, 0)
    assert plain.layers[0].pixels is None
    (many,) = marks(400, 300, image=url(logo()))
    where = many.region
    assert where.width == 80
    assert many.layers[0].pixels is not None
    assert len(many.layers[0].pixels) == 3 * len(many.layers[0].alpha) == 3 * where.width * where.height


def test_an_image_looks_as_it_is(renderer: SandboxedRenderer) -> None:
    """At full opacity and its own size its pixels are there, at the place that gravity and margin say."""
    image = logo()
    made = recipe(image=url(image), width=40, opacity=1, gravity="north_west", margin=10)
    for data, near in ((jpeg(), 0.97), (encoded(upright(), "PNG"), 0.999)):
        rendering = render_with(renderer, data, made)
        found = Image.open(rendering.outputs[0].file).convert("RGB")
        expected = upright()
        expected.paste(image, (10, 10), image)
        assert likeness(found, expected) >= near
        rendering.close()


def test_a_grey_photo_gets_an_image_in_colour(renderer: SandboxedRenderer) -> None:
    """It becomes a photo in colour."""
    grey = encoded(upright().convert("L"), "JPEG", quality=95)
    rendering = render_with(renderer, grey, recipe(image=url(logo((255, 0, 0))), opacity=1, width="50%"))
    assert Image.open(rendering.outputs[0].file).mode == "RGB"
    rendering.close()


def test_a_damaged_image_fails_the_job_at_once(renderer: SandboxedRenderer) -> None:
    """What no header shows comes out where it is decoded, and the upload is not blamed for it."""
    whole = encoded(logo(), "PNG")
    broken = whole[:80] + bytes(60) + whole[140:]
    damaged = "data:image/png;base64," + base64.b64encode(broken).decode()
    with pytest.raises(AssetUnusable):
        render_with(renderer, jpeg(), recipe(image=damaged))


def test_images_that_are_none_are_refused() -> None:
    """Before any picture is there, with the reason."""
    for data, reason in (
        (b"GIF89a", "expected a PNG"),
        (encoded(Image.new("L", (3000, 2000)), "PNG"), "the image has 3000 × 2000 pixels"),
    ):
        said = "data:image/png;base64," + base64.b64encode(data).decode()
        with pytest.raises(RecipeInvalid, match=rf"^steps\.m\.image: {reason}"):
            recipe(image=said)
    with pytest.raises(RecipeInvalid, match=r"expected a TrueType or OpenType font"):
        recipe(text="x", font="data:font/ttf;base64,AAAA")
    with pytest.raises(RecipeInvalid, match=r"both are given"):
        recipe(text="x", image=url(logo()))
    with pytest.raises(RecipeInvalid, match="SAFELIGHT_ASSETS names one"):
        recipe(image="logo.png")


# --- lines, turns, repetition -----------------------------------------------------------------------------


def test_lines_stand_below_each_other() -> None:
    """Each line is as far below the last as the font is high and a little; `align` moves the shorter ones."""
    (one,) = marks(800, 600, text="Wide line", font_size=40, shadow=0)
    (two,) = marks(800, 600, text="Wide line\nx", font_size=40, shadow=0)
    assert 45 <= two.region.height - one.region.height <= 60
    assert two.region.width == one.region.width

    def last_ink(align: str) -> int:
        (mark,) = marks(800, 600, text="Wide line\nx", font_size=40, shadow=0, align=align)
        row = [
            max(mark.layers[0].alpha[at :: mark.region.width][-20:]) > 0 for at in range(mark.region.width)
        ]
        return row.index(True)

    assert last_ink("left") < last_ink("center") < last_ink("right")


def test_without_shadow_there_is_one_layer() -> None:
    """And its region is the ink's."""
    (plain,) = marks(800, 600, text=TEXT, shadow=0)
    (soft,) = marks(800, 600, text=TEXT)
    assert (len(plain.layers), len(soft.layers)) == (1, 2)
    assert plain.region.width < soft.region.width


def test_fonts_differ() -> None:
    """Each font of the product draws its own letters."""
    drawn = {marks(800, 600, text=TEXT, font=font)[0].layers[-1].alpha for font in ("sans", "serif", "mono")}
    assert len(drawn) == 3


def test_a_turned_mark_is_the_mark_turned() -> None:
    """By a right angle its box lies on its side; by any angle its ink stays, give or take the edges."""
    (flat,) = marks(800, 600, text=TEXT, shadow=0)
    (steep,) = marks(800, 600, text=TEXT, shadow=0, angle=90)
    (slanted,) = marks(800, 600, text=TEXT, shadow=0, angle=-30)
    assert (steep.region.width, steep.region.height) == (flat.region.height, flat.region.width)
    assert sum(slanted.layers[0].alpha) == pytest.approx(sum(flat.layers[0].alpha), rel=0.03)
    assert slanted.region.height > 3 * flat.region.height


def test_repeated_marks_cover_the_picture_and_do_not_overlap() -> None:
    """Every part of the picture as large as two steps has one; one of them stands where a single one would."""
    (single,) = marks(640, 480, text="©", font_size=30, tile=False)
    many = marks(640, 480, text="©", font_size=30, tile=True, gap=20)
    assert single.region in [mark.region for mark in many]
    taken = Image.new("L", (640, 480))
    for mark in many:
        where = mark.region
        box = (where.left, where.top, where.left + where.width, where.top + where.height)
        assert not taken.crop(box).getbbox()
        taken.paste(255, box)
    step = 2 * (single.region.width + 20)
    for left in range(0, 640 - step, 40):
        for top in range(0, 480 - step, 40):
            assert taken.crop((left, top, left + step, top + step)).getbbox()


@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    angle=st.integers(-360, 360),
    tile=st.booleans(),
    gap=st.sampled_from([0, 3, "10%"]),
    what=st.sampled_from([{"text": TEXT}, {"text": "a\nbb\nc"}, {"image": url(logo())}]),
)
def test_marks_lie_inside(
    width: int, height: int, angle: int, tile: bool, gap: int | str, what: dict[str, Any]
) -> None:
    """However small the picture and however turned the mark; never more than a thousand of them."""
    found = marks(width, height, angle=angle, tile=tile, gap=gap, **what)
    assert 1 <= len(found) <= 1000
    for mark in found:
        where = mark.region
        assert 0 <= where.left < where.left + where.width <= width
        assert 0 <= where.top < where.top + where.height <= height
        assert all(len(layer.alpha) == where.width * where.height for layer in mark.layers)


@pytest.mark.parametrize("what", [{"text": "©\nx"}, {"image": url(logo())}])
def test_many_marks_are_blended_like_one_by_one(what: dict[str, Any]) -> None:
    """The short cut for many marks gives the very pixels."""
    picture = vips(upright(0, 320, 240))
    watermark = Watermark(tile=True, gap=10, **what)
    found = watermark.edits(Size(320, 240))
    assert len(found) > 4
    one_by_one = picture
    for mark in found:
        one_by_one = mark.draw(one_by_one)
    assert (watermark.draw(picture, Size(320, 240)) - one_by_one).abs().max() == 0
    assert merged([mark for mark in found if isinstance(mark, Mark)]).region.width == 320


def test_every_way_of_drawing_gives_the_same(renderer: SandboxedRenderer) -> None:
    """Turned and repeated marks, on a photo that may be spliced, and on one that never is."""
    for parameters in ({"tile": True, "angle": -30}, {"angle": 45, "font": "serif", "gravity": "center"}):
        made = recipe(text=TEXT, **parameters)
        photo = render_with(renderer, jpeg(), made)
        pixels = render_with(renderer, encoded(upright(), "PNG"), made)
        one, other = (Image.open(each.outputs[0].file).convert("RGB") for each in (photo, pixels))
        assert likeness(one, other) >= 0.97
        photo.close()
        pixels.close()


# --- the folder -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of assets with a logo and a font."""
    (tmp_path / "assets").mkdir()
    logo().save(tmp_path / "assets/logo.png")
    font = Path(pyvips.__file__).parent  # any bytes that are no font
    (tmp_path / "assets/broken.ttf").write_bytes(next(font.glob("*.py")).read_bytes()[:1000])
    (tmp_path / "assets/notes.txt").write_text("no asset")
    return tmp_path


STEP = "version: 1\nsteps: {m: {op: watermark, image: logo.png}}\noutputs: {o: {use: m}}\n"


def test_a_recipe_takes_its_image_in(folder: Path) -> None:
    """What is read with the folder needs it no more, and has another digest once the image is another."""
    (folder / "house.yaml").write_text(STEP)
    settings = Settings(recipes=str(folder), assets=str(folder / "assets"))
    before = canonical(Book(settings).get("house"))
    assert canonical(parse(before)) == before
    logo((0, 0, 9)).save(folder / "assets/logo.png")
    assert canonical(Book(settings).get("house")) != before
    (folder / "assets/logo.png").unlink()
    assert canonical(parse(before)) == before


def test_what_is_not_in_the_folder_is_told(folder: Path) -> None:
    """With what is; paths lead nowhere."""
    where = str(folder / "assets")
    assert assets.names(where) == ["broken.ttf", "logo.png"]
    with pytest.raises(
        RecipeInvalid, match=r"no asset 'mark.png' in the folder of SAFELIGHT_ASSETS; there are: "
    ):
        parse(STEP.replace("logo", "mark").encode(), where)
    for path in ("../assets/logo.png", "/etc/logo.png", "assets/logo.png"):
        with pytest.raises(RecipeInvalid, match=r"steps\.m\.image: "):
            parse(STEP.replace("logo.png", path).encode(), where)
    (folder / "assets/logo.png").write_bytes(bytes(assets.MAX_BYTES + 1))
    with pytest.raises(RecipeInvalid, match=r"and 150000 are allowed"):
        parse(STEP.encode(), where)


def test_a_font_of_the_folder_is_used(folder: Path) -> None:
    """It draws as the same font does that comes along; what is no font is refused."""
    from safelight.lettering import font_file

    where = str(folder / "assets")
    (folder / "assets/house.ttf").write_bytes(font_file("sans")[:10])
    text = STEP.replace("image: logo.png", "text: x, font: house.ttf")
    with pytest.raises(RecipeInvalid, match=r"steps\.m\.font: expected a TrueType or OpenType font"):
        parse(text.encode(), where)


def test_a_rendering_with_an_own_font(renderer: SandboxedRenderer) -> None:
    """A font inside the recipe, here a small one, is drawn where strangers' files are."""
    from safelight.lettering import font_file

    small = base64.b64encode(subset(font_file("sans"))).decode()
    rendering = render_with(renderer, jpeg(), recipe(text="AB", font=f"data:font/ttf;base64,{small}"))
    assert content(rendering)[:2] == b"\xff\xd8"
    rendering.close()


def subset(font: bytes) -> bytes:
    """The font without what is not needed to draw letters: kerning, substitutions, signatures."""
    import struct

    (count,) = struct.unpack_from(">H", font, 4)
    keep = []
    for number in range(count):
        tag, checksum, offset, length = struct.unpack_from(">4sIII", font, 12 + 16 * number)
        if tag in (b"cmap", b"glyf", b"head", b"hhea", b"hmtx", b"loca", b"maxp"):
            keep.append((tag, checksum, font[offset : offset + length]))
    head = struct.pack(">IHHHH", 0x00010000, len(keep), 64, 2, 16 * len(keep) - 64)
    at = len(head) + 16 * len(keep)
    table, body = b"", b""
    for tag, checksum, part in keep:
        table += struct.pack(">4sIII", tag, checksum, at + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    return head + table + body
