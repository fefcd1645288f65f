"""Operations: what they say about a picture before any pixel is read, and where a watermark stands."""

import os
import subprocess
import sys
import unicodedata
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from safelight import operations
from safelight.lettering import FONTS, font_file, missing
from safelight.operations import Coarse, Mark, Region, Size, Turn, catalogue
from safelight.operations.auto_orient import AutoOrient
from safelight.operations.pixelate import Pixelate
from safelight.operations.watermark import Watermark
from safelight.parameters import Area, Gravity

GRAVITIES = get_args(Gravity)
TEXT = "© Amodhbh Media"


def mark_on(watermark: Watermark, width: int, height: int) -> Mark:
    (mark,) = watermark.edits(Size(width, height))
    assert isinstance(mark, Mark)
    return mark


def ink(mark: Mark) -> Region:
    """Where the text's own layer, the upper one, is not clear: its rectangle in the picture."""
    where, alpha = mark.region, mark.layers[-1].alpha
    rows = [alpha[row * where.width : (row + 1) * where.width] for row in range(where.height)]
    lines = [at for at, row in enumerate(rows) if any(row)]
    columns = [at for at in range(where.width) if any(row[at] for row in rows)]
    return Region(
        where.left + columns[0],
        where.top + lines[0],
        columns[-1] - columns[0] + 1,
        lines[-1] - lines[0] + 1,
    )


def test_one_file_is_one_operation() -> None:
    """Every module of the package is in the catalogue under its own name, with nothing to be edited."""
    files = {path.stem for path in Path(operations.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(catalogue()) == files


def test_every_parameter_is_explained() -> None:
    """Every field of every operation has a docstring under it."""
    for name, operation in catalogue().items():
        source = (Path(operations.__file__).parent / f"{name}.py").read_text()
        for field in operation.__annotations__:
            after = source.split(f"\n    {field}: ", 1)[1]
            assert '"""' in after.split("\n\n")[0], f"{name}.{field}"


def test_a_photo_on_its_side_swaps_width_and_height() -> None:
    """Orientations 5 to 8 lie on their side; afterwards there is nothing left to turn."""
    for orientation in range(1, 9):
        expected = Size(30, 40) if orientation >= 5 else Size(40, 30)
        assert AutoOrient().size(Size(40, 30, orientation)) == expected


def test_an_upright_photo_is_not_touched() -> None:
    """What stands upright is left alone; anything else is one turn of every pixel."""
    assert AutoOrient().touches(Size(40, 30)) == ()
    assert AutoOrient().edits(Size(40, 30, 6)) == (Turn(6),)
    assert AutoOrient().touches(Size(40, 30, 6)) is None


def test_blocks_are_edits_unless_they_are_most_of_the_picture() -> None:
    """Parts are told one by one, clipped; what is more than half of the picture, or than four megapixels, is not."""
    step = Pixelate(regions=(Area(10, 20, 30, 40), Area("90%", 0, "50%", 9)), block="5%")
    regions = Region(10, 20, 30, 40), Region(360, 0, 40, 9)
    assert step.edits(Size(400, 300)) == tuple(Coarse(region, 15) for region in regions)
    assert step.touches(Size(400, 300)) == regions
    assert Pixelate(regions=(Area(500, 0, 9, 9),)).edits(Size(400, 300)) == ()
    assert Pixelate().edits(Size(400, 300)) is None
    assert Pixelate(regions=(Area(0, 0, "100%", "50%"),)).edits(Size(400, 300)) is not None
    assert Pixelate(regions=(Area(0, 0, "100%", "51%"),)).edits(Size(400, 300)) is None
    assert Pixelate(regions=(Area(0, 0, 2001, 2000),)).edits(Size(10_000, 10_000)) is None


def test_a_watermark_touches_its_region_only() -> None:
    """Size stays, and all that changes lies in the mark's region, with one byte of opacity a pixel."""
    watermark = Watermark(text=TEXT)
    mark = mark_on(watermark, 400, 300)
    assert watermark.size(Size(400, 300)) == Size(400, 300)
    assert watermark.touches(Size(400, 300)) == (mark.region,)
    for layer in mark.layers:
        assert len(layer.alpha) == mark.region.width * mark.region.height


@pytest.mark.parametrize("gravity", GRAVITIES)
def test_gravity_and_margin_place_the_text(gravity: Gravity) -> None:
    """The ink keeps exactly the margin from the edges that gravity names, and is centred between the others."""
    found = ink(mark_on(Watermark(text=TEXT, gravity=gravity, margin=15), 600, 400))
    right, bottom = 600 - found.left - found.width, 400 - found.top - found.height
    if "west" in gravity:
        assert abs(found.left - 15) <= 1
    elif "east" in gravity:
        assert abs(right - 15) <= 1
    else:
        assert abs(found.left - right) <= 2
    if "north" in gravity:
        assert abs(found.top - 15) <= 1
    elif "south" in gravity:
        assert abs(bottom - 15) <= 1
    else:
        assert abs(found.top - bottom) <= 2


def test_percentages_are_of_the_shorter_side() -> None:
    """Portrait and landscape get marks of the same size; twice the picture gets twice the mark."""
    landscape, portrait = (ink(mark_on(Watermark(text=TEXT), *size)) for size in ((1200, 800), (800, 1200)))
    double = ink(mark_on(Watermark(text=TEXT), 2400, 1600))
    assert (landscape.width, landscape.height) == (portrait.width, portrait.height)
    assert double.width == pytest.approx(2 * landscape.width, rel=0.03)


def test_pixels_are_pixels() -> None:
    """A size in pixels does not depend on the picture."""
    watermark = Watermark(text=TEXT, font_size=24)
    assert ink(mark_on(watermark, 800, 600)).width == ink(mark_on(watermark, 4000, 3000)).width


def test_opacity_is_the_strongest_alpha() -> None:
    """The text covers by its opacity, the shadow by four fifths of that at most."""
    shadow, text = mark_on(Watermark(text=TEXT, opacity=0.5), 1200, 800).layers
    assert max(text.alpha) == 128
    assert 0 < max(shadow.alpha) <= 102
    assert (shadow.colour, text.colour) == ((0, 0, 0), (255, 255, 255))


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    gravity=st.sampled_from(GRAVITIES),
    size=st.integers(1, 10_000) | st.just("99%"),
    margin=st.integers(0, 10_000) | st.just("50%"),
    text=st.sampled_from(["©", TEXT, "W" * 200, ".", "Οδύσσεια", "Москва"]),
)
def test_a_mark_lies_inside_however_small_the_picture(
    width: int, height: int, gravity: Gravity, size: int | str, margin: int | str, text: str
) -> None:
    """Down to one pixel, whatever size and margin ask for, the mark is inside and not empty."""
    watermark = Watermark(text=text, gravity=gravity, font_size=size, margin=margin)
    where = mark_on(watermark, width, height).region
    assert 0 <= where.left < where.left + where.width <= width
    assert 0 <= where.top < where.top + where.height <= height


@pytest.mark.parametrize("text", ["Amodhbh", "Οδύσσεια", "Москва", "©®™€", "ÄÖÜßéñçøł"])
def test_the_font_has_latin_greek_and_cyrillic(text: str) -> None:
    """No letter of these scripts is drawn as the box that stands for a missing one."""
    box = mark_on(Watermark(text="\U0010fffe", font_size=40), 800, 200).layers[-1].alpha
    for letter in text:
        assert mark_on(Watermark(text=letter, font_size=40), 800, 200).layers[-1].alpha != box


@pytest.mark.parametrize("name", FONTS)
def test_missing_letters_are_exactly_those_that_freetype_lacks(name: str) -> None:
    """What the font's table says, read by us, is what FreeType draws as the box that stands for a missing letter."""
    font = ImageFont.truetype(BytesIO(font_file(name)), 12, layout_engine=ImageFont.Layout.BASIC)
    box = bytes(font.getmask("\U0010fffe"))
    codes = [code for code in range(0x20, 0x3400) if not 0xD800 <= code < 0xE000]
    codes = [code for code in codes if unicodedata.normalize("NFC", chr(code)) == chr(code)]
    lacking = {chr(code) for code in codes if bytes(font.getmask(chr(code))) == box}
    assert set(missing(name, "".join(map(chr, codes)))) == lacking


def test_what_can_not_be_written_is_told() -> None:
    """Letters that the font lacks are named; so are those that have to be joined, or are written from the right."""
    assert not list(Watermark(text="Amodhbh Οδύσσεια Москва ©®™€").faults())
    assert list(Watermark(text="写真").faults()) == [("text", "the font has no letters for '写', '真'")]
    ((field, complaint),) = Watermark(text="صورة", font="mono").faults()
    assert field == "text"
    assert complaint.endswith("is not done here; use an image of the text")
    ((_, complaint),) = Watermark(text="a\nb" * 20).faults()
    assert complaint == "expected at most 20 lines, received 21"
    ((_, complaint),) = Watermark().faults()
    assert complaint == "expected either a text or an image, and neither is given"


def test_checking_a_text_loads_no_codec() -> None:
    """Recipes are checked where no picture is drawn: neither Pillow nor libvips is needed for it."""
    script = (
        "import sys\n"
        "from safelight.recipes import default\n"
        "default('©')\n"
        "print([name for name in ('PIL', 'pyvips') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout == "[]\n"


def test_no_font_of_the_system_is_needed(tmp_path: Path) -> None:
    """Without any font or home the same mark is drawn, nothing is written and nothing is said on standard error."""
    empty = tmp_path / "fonts.conf"
    empty.write_text("<?xml version='1.0'?><!DOCTYPE fontconfig SYSTEM 'fonts.dtd'><fontconfig></fontconfig>")
    script = (
        "import hashlib\n"
        "from safelight.operations import Size\n"
        "from safelight.operations.watermark import Watermark\n"
        f"(mark,) = Watermark(text={TEXT!r}).edits(Size(400, 300))\n"
        "print(mark.region, hashlib.sha256(mark.layers[-1].alpha).hexdigest())\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=tmp_path)
        for env in (
            {"PYTHONPATH": os.pathsep.join(sys.path)},
            {"PYTHONPATH": os.pathsep.join(sys.path), "FONTCONFIG_FILE": str(empty), "HOME": str(tmp_path)},
        )
    ]
    assert runs[0].stdout == runs[1].stdout != ""
    assert runs[1].stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["fonts.conf"]
