"""HEIC, which has to be asked for and needs a package: recognised, bounded by its own words, and drawn right."""

import io
import random
from collections.abc import Iterator
from struct import pack
from tempfile import TemporaryFile
from typing import Any

import pillow_heif
import pytest
from PIL import Image
from tests.pictures import ORIENTATIONS, likeness, upright
from tests.unit.imaging.conftest import COPY, SOURCE, drawn

from safelight.config import FORMATS, Settings
from safelight.errors import (
    ConfigurationError,
    FileError,
    RenderCrashed,
    TooManyPixels,
    Truncated,
    TypeNotAllowed,
    Unprocessable,
)
from safelight.imaging import SandboxedRenderer, headers, profiles, render_in_process, sandbox
from safelight.recipes import build, canonical

ON = Settings(formats=(*FORMATS, "heic"))
PNG = canonical(build({"version": 1, "outputs": {"copy": {"use": "original", "format": "png"}}}))


@pytest.fixture(scope="module")
def renderer() -> Iterator[SandboxedRenderer]:
    """The sandboxed renderer with HEIC let in."""
    renderer = SandboxedRenderer(ON)
    yield renderer
    renderer.close()


def heic(image: Image.Image | None = None, **options: Any) -> bytes:
    """A HEIC as libheif writes it."""
    file = io.BytesIO()
    pillow_heif.from_pillow(image or upright()).save(file, quality=95, chroma="444", **options)
    return file.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A HEIC whose pictures are all told to have this size."""
    data = heic()
    at = 0
    while (at := data.find(b"ispe", at)) >= 0:
        data = data[: at + 8] + pack(">II", width, height) + data[at + 16 :]
        at += 16
    return data


def test_it_is_off_unless_asked_for() -> None:
    """The refusal says what to do."""
    with pytest.raises(
        TypeNotAllowed,
        match=r"a HEIC photo or sequence; save it as a JPEG; only JPEG, PNG, WebP, GIF and AVIF",
    ):
        headers.read(heic())


def test_it_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing starts that could not draw what it lets in."""
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'safelight\[heic\]'"):
        SandboxedRenderer(ON)
    SandboxedRenderer(Settings()).close()


def test_a_photo(renderer: SandboxedRenderer) -> None:
    """It becomes a JPEG that looks the same."""
    rendering, picture = drawn(renderer, heic())
    _, exact = drawn(renderer, heic(), PNG)
    assert (picture.format, picture.size) == ("JPEG", (160, 120))
    assert (rendering.source.format, rendering.source.width, rendering.source.height) == ("heic", 160, 120)
    assert likeness(picture, upright()) > 0.96
    assert likeness(exact, upright()) > 0.99


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_once(renderer: SandboxedRenderer, orientation: int) -> None:
    """Its boxes turn it; its EXIF, as phones write it, says the same again."""
    image = upright()
    for turn in ORIENTATIONS[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    steps = {"up": {"op": "auto_orient"}}
    outputs = {"copy": {"use": "up", "format": "png"}}
    recipe = canonical(build({"version": 1, "steps": steps, "outputs": outputs}))
    _, picture = drawn(renderer, heic(image, exif=exif.tobytes()), recipe)
    assert likeness(picture, upright()) > 0.99


def test_odd_sides(renderer: SandboxedRenderer) -> None:
    """HEVC codes even sides; the rest is cropped away."""
    _, picture = drawn(renderer, heic(upright().crop((0, 0, 101, 77))))
    assert picture.size == (101, 77)


def test_transparency(renderer: SandboxedRenderer) -> None:
    """It becomes a PNG."""
    clear = upright().convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    _, picture = drawn(renderer, heic(clear))
    assert (picture.format, picture.mode) == ("PNG", "RGBA")
    assert likeness(picture.getchannel("A").convert("RGB"), clear.getchannel("A").convert("RGB")) > 0.97


def test_its_colours_are_kept(renderer: SandboxedRenderer) -> None:
    """Phones write Display P3: the picture stays in it, by a profile of ours."""
    image = upright()
    image.info["icc_profile"] = profiles.profile_of("display-p3")
    _, picture = drawn(renderer, heic(image), PNG)
    assert picture.info["icc_profile"] == image.info["icc_profile"]
    assert likeness(picture, upright()) > 0.99


def test_colours_told_by_a_number(renderer: SandboxedRenderer) -> None:
    """Display P3 without a profile gets ours."""
    image = pillow_heif.from_pillow(upright())
    image.info["nclx_profile"] = {
        "color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1,
    }  # fmt: skip
    file = io.BytesIO()
    image.save(file, quality=95, chroma="444", save_nclx_profile=True)
    _, picture = drawn(renderer, file.getvalue(), PNG)
    assert picture.info["icc_profile"] == profiles.profile_of("display-p3")


@pytest.mark.parametrize("mode", ["I;16", "L"])
def test_grey_of_any_depth(renderer: SandboxedRenderer, mode: str) -> None:
    """It comes out grey, and not white."""
    ramp = Image.linear_gradient("L")
    deep = Image.frombytes("I;16", ramp.size, bytes(byte for value in ramp.tobytes() for byte in (0, value)))
    _, picture = drawn(renderer, heic(deep if mode == "I;16" else ramp), PNG)
    assert likeness(picture.convert("RGB"), ramp.convert("RGB")) > 0.98


def test_a_grid_of_tiles(renderer: SandboxedRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As phones write their photos."""
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 64)
    data = heic()
    assert b"grid" in data
    _, picture = drawn(renderer, data, PNG)
    assert likeness(picture, upright()) > 0.98


def test_a_sequence(renderer: SandboxedRenderer) -> None:
    """It is not drawn, and the message says what to do."""
    samples = pack(">I4sIII", 20, b"stsz", 0, 10, 3)
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        samples = pack(">I4s", 8 + len(samples), kind) + samples
    with pytest.raises(Unprocessable, match="sequence"):
        drawn(renderer, heic() + samples)


def test_its_exif_is_read(renderer: SandboxedRenderer) -> None:
    """As that of any format, and only where it was asked for."""
    exif = Image.Exif()
    exif[0x010F], exif[0x8298] = "A phone", "© Somebody"
    asked = canonical(
        build(
            {
                "version": 1,
                "outputs": {"copy": {"use": "original"}},
                "metadata": {"read": ["exif"], "keep": ["copyright"]},
            }
        )
    )
    rendering, picture = drawn(renderer, heic(exif=exif.tobytes()), asked)
    facts = rendering.source.facts
    assert facts
    assert facts.camera
    assert facts.camera.make == "A phone"
    assert facts.orientation is None
    assert set(picture.getexif()) == {0x8298}
    rendering, picture = drawn(renderer, heic(exif=exif.tobytes()))
    assert rendering.source.facts is None
    assert not picture.getexif()


def test_what_it_says_of_its_size(renderer: SandboxedRenderer) -> None:
    """Too much is refused before a decoder runs, and too little when it has run."""
    with pytest.raises(TooManyPixels):
        headers.check(headers.read(claiming(16_000, 16_000), ON.formats), ON)
    with pytest.raises(Unprocessable):
        drawn(renderer, claiming(16, 16))
    drawn(renderer, heic())


def test_one_that_is_cut(renderer: SandboxedRenderer) -> None:
    """In its boxes or in its pixels."""
    data = heic()
    with pytest.raises(Truncated):
        headers.read(data[:200], ON.formats)
    with pytest.raises(Truncated):
        drawn(renderer, data[:-50])


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Internal error (unexpected C++ exception)", RenderCrashed),
        ("Memory allocation error: Unspecified: Allocating 9 bytes failed", RenderCrashed),
        ("Memory allocation error: Security limit exceeded: 9 pixels", Unprocessable),
        ("Invalid input: Unexpected end of file", Truncated),
        ("Decoder plugin generated an error", Unprocessable),
    ],
)
def test_whose_fault_it_is(monkeypatch: pytest.MonkeyPatch, said: str, error: type[Exception]) -> None:
    """Memory that runs out is ours, what a limit refuses is the file's."""

    def fails(_data: object) -> None:
        raise ValueError(said)

    monkeypatch.setattr(pillow_heif, "open_heif", fails)
    with TemporaryFile() as file:
        file.write(heic())
        file.flush()
        with pytest.raises(error):
            render_in_process(file, SOURCE, COPY, ON)


def test_damage_costs_one_job_at_most(renderer: SandboxedRenderer) -> None:
    """Whatever bytes are wrong, there is a picture or a sentence, and the next file is drawn."""
    whole = heic()
    chance = random.Random(7)
    outcomes = set()
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            drawn(renderer, bytes(broken))
            outcomes.add("drawn")
        except FileError:
            outcomes.add("refused")
    assert outcomes == {"drawn", "refused"}
    drawn(renderer, whole)
