"""What comes out of the renderer for every kind of good file."""

import hashlib
import io
from typing import Any

import pytest
import pyvips
from PIL import Image, ImageDraw, JpegImagePlugin
from tests.pictures import (
    HEIGHT,
    ORIENTATIONS,
    WIDTH,
    animation,
    encoded,
    frames,
    jpeg,
    likeness,
    upright,
    vips,
)
from tests.unit.imaging.conftest import RECIPE, Render, content

from safelight.imaging.profiles import profile_of
from safelight.model import Source
from safelight.recipes import build, canonical

PLAIN = canonical(build({"version": 1, "outputs": {"copy": {}}}))
CORNER = (WIDTH // 3, HEIGHT * 5 // 6, WIDTH, HEIGHT)
"""Where the default mark lies on the test picture."""


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def outside(image: Image.Image) -> Image.Image:
    """The picture above its mark."""
    return image.convert("RGBA").crop((0, 0, WIDTH, CORNER[1] - 8))


def marked(before: Image.Image, after: Image.Image) -> bool:
    """Whether the corner looks different, and the rest the same."""
    corners = (before.convert("RGBA").crop(CORNER), after.convert("RGBA").crop(CORNER))
    return likeness(*corners) < 0.9 and likeness(outside(before), outside(after)) > 0.9


def outputs(**named: Any) -> bytes:
    """A recipe of the default mark with these outputs."""
    mark = {"op": "watermark", "text": "© Amodhbh Media"}
    return canonical(
        build(
            {
                "version": 1,
                "steps": {"mark": mark},
                "outputs": {name: {"use": "mark"} | output for name, output in named.items()},
            }
        )
    )


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_comes_out_upright(render: Render, orientation: int) -> None:
    """However the camera was held, the photo stands upright, marked at the lower right, and no tag is left."""
    rendering = render(jpeg(orientation=orientation))
    after = opened(content(rendering))
    assert (rendering.outputs[0].width, rendering.outputs[0].height) == after.size == (WIDTH, HEIGHT)
    assert (rendering.source.width, rendering.source.height) == (WIDTH, HEIGHT)
    assert not after.getexif()
    assert marked(upright(), after)


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_orientation_holds_for_png_too(render: Render, orientation: int) -> None:
    """The long way turns as the short one does."""
    image = upright()
    for turn in ORIENTATIONS[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    after = opened(content(render(encoded(image, "PNG", exif=exif))))
    assert after.size == (WIDTH, HEIGHT)
    assert marked(upright(), after)


def test_secrets_of_the_camera_are_gone(render: Render) -> None:
    """No GPS, maker or comment survives, in any format."""
    data = jpeg()
    assert b"SecretCamera" in data
    assert b"<script>" in data
    kinds = {kind: {"format": kind} for kind in ("jpeg", "png", "webp", "avif", "gif")}
    for recipe in (RECIPE, outputs(**kinds)):
        rendering = render(data, recipe)
        for index in range(len(rendering.outputs)):
            assert b"SecretCamera" not in content(rendering, index)
            assert b"<script>" not in content(rendering, index)
            assert b"Exif" not in content(rendering, index)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [60, 97])
def test_quality_keep_keeps_the_tables(render: Render, quality: int, subsampling: str) -> None:
    """A JPEG keeps its own quantisation tables and subsampling, so that it neither grows nor loses."""
    data = jpeg(quality=quality, subsampling=subsampling)
    after = content(render(data))
    assert opened(after).quantization == opened(data).quantization  # type: ignore[attr-defined]
    assert opened(after).layer == opened(data).layer  # type: ignore[attr-defined]
    assert len(after) < len(data) * 1.1


@pytest.mark.parametrize("quality", [80, 92, 98])
def test_a_quality_changes_no_subsampling(render: Render, quality: int) -> None:
    """A quality that is a number means 4:2:0, also where libvips would turn to 4:4:4 by itself: at 90 and above."""
    recipe = {"version": 1, "outputs": {"main": {"format": "jpeg", "quality": quality}}}
    made = opened(content(render(encoded(upright(), "PNG"), canonical(build(recipe)))))
    assert JpegImagePlugin.get_sampling(made) == 2


def test_a_photo_lying_on_its_side_keeps_its_tables_turned(render: Render) -> None:
    """Rows of coefficients become columns, and so do rows of the tables."""
    before = opened(jpeg(orientation=6)).quantization[0]  # type: ignore[attr-defined]
    after = opened(content(render(jpeg(orientation=6)))).quantization[0]  # type: ignore[attr-defined]
    assert after == [before[8 * (i % 8) + i // 8] for i in range(64)]


def test_what_is_not_marked_is_not_changed(render: Render) -> None:
    """A PNG is the same to the bit outside the mark."""
    before, after = upright(), opened(content(render(encoded(upright(), "PNG"))))
    assert outside(before).tobytes() == outside(after).tobytes()
    assert marked(before, after)


def test_short_way_and_long_way_agree(render: Render) -> None:
    """A marked JPEG looks the same whether it was drawn in place or through libvips."""
    short = render(jpeg(), outputs(one={"format": "jpeg"}))
    long = render(jpeg(), outputs(one={"format": "jpeg"}, other={"format": "png"}))
    one, other, third = (
        opened(content(*which)).convert("RGB") for which in ((short, 0), (long, 0), (long, 1))
    )
    assert likeness(one, other) > 0.999
    assert likeness(one, third) > 0.98


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
def test_alpha_stays(render: Render, kind: str) -> None:
    """What was transparent stays so, and a mark shows on it."""
    image = upright()
    image.putalpha(Image.new("L", image.size, 0))
    options: dict[str, Any] = (
        {} if kind in ("PNG", "GIF") else {"lossless": True} if kind == "WEBP" else {"quality": 100}
    )
    after = frames(content(render(encoded(image, kind, **options), outputs(main={}))))[0]
    assert after.getchannel("A").crop((0, 0, WIDTH, HEIGHT // 2)).getextrema() == (0, 0)
    assert max(after.getchannel("A").crop(CORNER).tobytes()) >= 140


def test_alpha_becomes_white_where_there_is_none(render: Render) -> None:
    """A transparent picture that becomes a JPEG lies on white, not on black and not on what was hidden."""
    image = Image.new("RGBA", (WIDTH, HEIGHT), (200, 0, 0, 0))
    after = opened(content(render(encoded(image, "PNG"), outputs(main={"format": "jpeg"}))))
    assert after.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF"])
def test_animations_stay_animations(render: Render, kind: str) -> None:
    """Every frame is kept and marked, each as long as before, and the whole as often."""
    data = animation(kind)
    rendering = render(data)
    before, after = frames(data), frames(content(rendering))
    assert (rendering.source.frames, rendering.outputs[0].frames, len(after)) == (3, 3, 3)
    assert all(marked(*pair) for pair in zip(before, after, strict=True))
    image, durations = opened(content(rendering)), []
    for index in range(3):
        image.seek(index)
        image.load()
        durations.append(image.info["duration"])
    assert durations == [50, 100, 150]
    if kind != "AVIF":
        assert image.info["loop"] == opened(data).info["loop"] == 3


def test_an_animation_becomes_its_first_frame(render: Render) -> None:
    """Formats without animation take the first frame."""
    rendering = render(animation("GIF"), outputs(main={"format": "png"}))
    assert rendering.outputs[0].frames == 1
    assert marked(upright(0), opened(content(rendering)))


def test_cmyk_becomes_rgb(render: Render) -> None:
    """A CMYK JPEG comes out in sRGB with the colours it had, and a white mark is white."""
    data = vips(upright()).icc_transform("cmyk").jpegsave_buffer(Q=97, subsample_mode="off")
    after = opened(content(render(data)))
    assert after.mode == "RGB"
    colours = [image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) for image in (upright(), after)]
    assert colours[1] == pytest.approx(colours[0], abs=14)  # the gamut of ink is smaller


def test_sixteen_bits_stay_sixteen(render: Render) -> None:
    """A 16-bit PNG keeps its depth, its fine steps and a mark as bright as on 8 bits."""
    deep = (vips(upright()).cast("ushort") * 257 + 3).cast("ushort").copy(interpretation="rgb16")
    after = pyvips.Image.pngload_buffer(content(render(deep.pngsave_buffer(bitdepth=16))))
    assert (after.format, after.interpretation) == ("ushort", "rgb16")
    assert (after.crop(0, 0, WIDTH, HEIGHT // 2) - deep.crop(0, 0, WIDTH, HEIGHT // 2)).abs().max() == 0
    shallow = opened(content(render(encoded(upright(), "PNG"))))
    turned = Image.frombytes("RGB", shallow.size, (after / 257).cast("uchar").write_to_memory())
    assert likeness(shallow, turned) > 0.99


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif"])
def test_a_wide_gamut_stays(render: Render, kind: str) -> None:
    """A Display P3 picture keeps its numbers and gets a profile that says what they mean."""
    wide = vips(upright()).icc_transform("p3")
    data = wide.jpegsave_buffer(Q=98, subsample_mode="off")
    profile = profile_of("display-p3")
    after = opened(content(render(data, outputs(main={"format": kind, "quality": 95}))))
    assert after.info["icc_profile"] == profile
    assert likeness(outside(opened(data)), outside(after)) > 0.95


def test_a_wide_gamut_becomes_srgb_where_no_profile_fits(render: Render) -> None:
    """A GIF has no profile, so the colours are converted."""
    wide = vips(Image.new("RGB", (WIDTH, HEIGHT), (200, 60, 60))).icc_transform("p3")
    after = opened(content(render(wide.pngsave_buffer(), outputs(main={"format": "gif"})))).convert("RGB")
    assert after.getpixel((10, 10)) == pytest.approx((200, 60, 60), abs=3)


def drawings() -> dict[str, Image.Image]:
    """Pictures that no camera took: smooth, empty, flat."""
    slope = Image.linear_gradient("L").resize((800, 500))
    shapes = Image.new("RGB", (800, 500), "#eef")
    pen = ImageDraw.Draw(shapes)
    for at in range(40):
        left, top = at * 331 % 740, at * 577 % 460
        (pen.ellipse if at % 2 else pen.rectangle)(
            (left, top, left + 60, top + 40), fill=("#d33", "#35d")[at % 2]
        )
    across = slope.transpose(Image.Transpose.ROTATE_90).resize(slope.size)
    return {
        "gradient": Image.merge("RGBA", (slope, across, slope, Image.new("L", slope.size, 200))),
        "white": Image.new("RGB", (800, 500), "white"),
        "shapes": shapes,
        "photo": Image.effect_noise((800, 500), 40).convert("RGB"),
    }


@pytest.mark.parametrize("name", drawings())
def test_a_png_hardly_grows(render: Render, name: str) -> None:
    """Unmarked, a PNG stays about as large as it was; marked, as large as those pixels need."""
    before = encoded(drawings()[name], "PNG")
    assert len(content(render(before, PLAIN))) < 1.2 * len(before)
    after = content(render(before, outputs(main={})))
    assert len(after) < 1.2 * len(encoded(opened(after), "PNG"))


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 200), (200, 1), (17, 9)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_tiny_pictures(render: Render, size: tuple[int, int], kind: str) -> None:
    """No picture is too small to be marked."""
    rendering = render(encoded(Image.new("RGB", size, (9, 80, 160)), kind))
    assert (
        opened(content(rendering)).size == size == (rendering.outputs[0].width, rendering.outputs[0].height)
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
def test_every_kind_of_png(render: Render, mode: str) -> None:
    """Bilevel, grey, grey with alpha, palette and 16-bit grey all come out, marked."""
    image = Image.new(mode, (WIDTH, HEIGHT)) if mode == "I;16" else upright().convert(mode)
    data = encoded(image, "PNG")
    assert (
        likeness(*(opened(file).convert("RGBA").crop(CORNER) for file in (data, content(render(data)))))
        < 0.95
    )


def test_grey_photos_stay_grey_under_a_grey_mark(render: Render) -> None:
    """White on grey needs no colour; red does."""
    data = encoded(upright().convert("L"), "JPEG", quality=95)
    red = {"op": "watermark", "text": "©", "colour": "#ff0000", "opacity": 1, "size": 60}
    recipe = canonical(build({"version": 1, "steps": {"m": red}, "outputs": {"o": {"use": "m"}}}))
    assert opened(content(render(data))).mode == "L"
    coloured = opened(content(render(data, recipe)))
    assert coloured.mode == "RGB"
    assert any(r > 200 and g < 60 for r, g, _ in coloured.get_flattened_data())  # type: ignore[misc]


def test_lossless_webp_stays_lossless(render: Render) -> None:
    """`keep` on a WebP without loss is without loss."""
    after = opened(content(render(encoded(upright(), "WEBP", lossless=True))))
    assert outside(after).tobytes() == outside(upright()).tobytes()


def test_one_decoding_for_several_outputs(render: Render) -> None:
    """Each output is its own file, in the recipe's order, with its name, type, size and digest; one is primary."""
    kinds = {"a": "jpeg", "b": "png", "c": "webp", "d": "avif", "e": "gif"}
    rendering = render(jpeg(), outputs(**{name: {"format": kind} for name, kind in kinds.items()}))
    assert [output.name for output in rendering.outputs] == list(kinds)
    assert [output.primary for output in rendering.outputs] == [True, False, False, False, False]
    for index, (output, kind) in enumerate(zip(rendering.outputs, kinds.values(), strict=True)):
        data = content(rendering, index)
        assert output.content_type == f"image/{kind}"
        assert output.extension == ("jpg" if kind == "jpeg" else kind)
        assert (output.bytes, output.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert (opened(data).format or "").lower() == kind


def test_a_second_rendering_is_the_same(render: Render) -> None:
    """The same original and recipe give the same bytes."""
    for data in (jpeg(), animation("WEBP"), animation("GIF"), encoded(upright(), "AVIF", max_threads=1)):
        assert render(data).outputs[0].sha256 == render(data).outputs[0].sha256


def test_the_source_tells_what_was_read(render: Render) -> None:
    """Type, size and frames of the original come back as its bytes have them, the rest of the source as it was."""
    data = animation("WEBP")
    assert render(data, PLAIN).source == Source(
        key="uploads/a/beach.jpg",
        version="1",
        bytes=1,
        content_type="image/webp",
        format="webp",
        width=WIDTH,
        height=HEIGHT,
        frames=3,
        sha256=hashlib.sha256(data).hexdigest(),
    )
