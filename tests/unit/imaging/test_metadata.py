"""Metadata: nothing goes out as it came in. What may stay is written anew; what is asked for is told on the job."""

import io
import os
import struct
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, TiffImagePlugin
from tests.pictures import animation, encoded, jpeg, likeness, upright, vips
from tests.unit.imaging.conftest import SOURCE, Render, content, render_with

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer, exif, facts, profiles, splice
from safelight.model import Camera, Facts, Place
from safelight.recipes import build, canonical, default

KINDS = ("jpeg", "png", "webp", "avif")
FACTS = Facts(
    taken_at="2026-07-14T18:30:05+02:00",
    camera=Camera(
        make="Nikon",
        model="Z 8",
        lens="50mm f/1.8",
        exposure_seconds=0.004,
        aperture=1.8,
        iso=200,
        focal_length=50.0,
    ),
    artist="Ansel Ödland",
    copyright="© 2026 Amodhbh Media",
    gps=Place(latitude=-33.856784, longitude=151.215297, altitude=4.5),
)


def outputs(metadata: Any = None, **named: Any) -> bytes:
    return canonical(build({"version": 1, "outputs": named or {"a": {}}, "metadata": metadata or {}}))


def exif_of(*, taken: str = "2026:07:14 18:30:05", **more: Any) -> Image.Exif:
    """EXIF as a camera writes it, with what nobody should pass on."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x0110] = 1, "Nikon\0", "Z 8"
    tags[0x013B], tags[0x8298] = (
        "Ansel Ödland".encode(),
        more.get("copyright", "© 2026 Amodhbh Media").encode(),
    )
    tags[0x010E], tags[0x9C9C] = "SECRET description", "SECRET".encode("utf-16-le")
    inner = tags.get_ifd(0x8769)
    inner[0x9003], inner[0x9011], inner[0xA434] = taken, "+02:00", "50mm f/1.8"
    inner[0x829A], inner[0x829D] = TiffImagePlugin.IFDRational(1, 250), TiffImagePlugin.IFDRational(18, 10)
    inner[0x8827], inner[0x920A] = 200, TiffImagePlugin.IFDRational(50, 1)
    inner[0x927C], inner[0x9286], inner[0xA431] = (
        b"SECRET maker note",
        b"ASCII\0\0\0SECRET comment",
        "SECRET serial",
    )
    place = tags.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "S", (33.0, 51.0, 24.4224), "E", (151.0, 12.0, 55.0692)
    place[5], place[6] = b"\0", TiffImagePlugin.IFDRational(45, 10)
    return tags


def photo(kind: str = "jpeg", **options: Any) -> bytes:
    """A picture with all of that."""
    return encoded(upright(), kind.upper(), exif=options.pop("exif", None) or exif_of(), **options)


def tags(data: bytes) -> Facts:
    """What is in a file, read by Pillow and by our words."""
    return exif._facts(Image.open(io.BytesIO(data)).getexif())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_for_is_told(render: Render, kind: str) -> None:
    """Camera, time, rights and place of every format come back on the source, and only those that were asked for."""
    everything = {"read": ["exif", "copyright", "gps"]}
    read = render(photo(kind), outputs(everything)).source.facts
    assert read is not None
    assert (read.camera, read.taken_at, read.artist, read.copyright) == (
        FACTS.camera,
        FACTS.taken_at,
        FACTS.artist,
        FACTS.copyright,
    )
    assert read.orientation == (None if kind == "avif" else 1)  # there it is a property of the picture
    assert read.gps is not None
    assert (read.gps.latitude, read.gps.longitude, read.gps.altitude) == pytest.approx(
        (-33.856784, 151.215297, 4.5)
    )
    part = render(photo(kind), outputs({"read": ["exif"]})).source.facts
    assert part is not None
    assert part.gps is None
    assert part.copyright is None
    assert render(photo(kind), outputs()).source.facts is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_written_anew(render: Render, kind: str) -> None:
    """Outputs carry what the recipe keeps, and no place unless it says so; no secret in any case."""
    named = {one: {"format": one} for one in (*KINDS, "gif")}
    for keep, wanted in (
        (["icc"], Facts()),
        (["copyright"], Facts(artist=FACTS.artist, copyright=FACTS.copyright)),
        (["copyright", "exif"], FACTS.chosen(["copyright", "exif"])),
        (["copyright", "exif", "gps", "icc"], FACTS),
    ):
        rendering = render(photo(kind), outputs({"keep": keep}, **named))
        for index, output in enumerate(rendering.outputs):
            data = content(rendering, index)
            assert b"SECRET" not in data
            assert "SECRET".encode("utf-16-le") not in data
            if output.extension != "gif":
                found = tags(data)
                assert found.chosen(["copyright", "exif", "gps"]) == Facts(
                    **{
                        name: getattr(wanted, name)
                        for name in Facts.__struct_fields__
                        if name != "orientation"
                    }
                    | {"orientation": found.orientation}
                )
                assert found.orientation in (None, 1)


@pytest.mark.parametrize("splicing", ["auto", "off"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_marked_photos_carry_the_same_either_way(splicing: Any, orientation: int) -> None:
    """Spliced or by pixels, a marked photo keeps what the recipe says, no more, and stands upright."""
    if splicing == "auto" and not splice.available():
        pytest.skip("safelight-splice is not installed")
    recipe = default("©")
    step = {"op": "watermark", "use": "up", "text": "©"}
    plan = {"version": 1, "steps": {"up": {"op": "auto_orient"}, "m": step}, "outputs": {"a": {"use": "m"}}}
    kept = canonical(build(plan | {"metadata": {"keep": ["copyright", "icc"]}}))
    camera = exif_of()
    camera[0x0112] = orientation
    wide = vips(upright()).icc_transform("p3")
    profile = bytes(wide.get("icc-profile-data")) + b"SECRET"
    data = encoded(upright(), "JPEG", exif=camera, icc_profile=profile, comment=b"SECRET")
    renderer = SandboxedRenderer(Settings(splice=splicing))
    try:
        for chosen, rights in ((kept, FACTS.copyright), (canonical(recipe), None)):
            rendering = render_with(renderer, data, chosen)
            made = content(rendering)
            assert b"SECRET" not in made
            assert tags(made).copyright == rights
            assert tags(made).gps is None
            assert tags(made).orientation == (
                orientation if splicing == "auto" and orientation != 1 else None
            )
            assert Image.open(io.BytesIO(made)).info["icc_profile"] == profiles.profile_of("display-p3")
            rendering.close()
    finally:
        renderer.close()


@pytest.mark.parametrize("space", profiles.SPACES)
@pytest.mark.parametrize("kind", KINDS)
def test_well_known_colours_keep_their_numbers(render: Render, space: profiles.Space, kind: str) -> None:
    """A picture in a space that we know keeps its numbers, and gets our profile; sRGB gets none."""
    profile = profiles.profile_of(space) or bytes(pyvips.Image.profile_load("srgb"))
    image = Image.new("RGB", (64, 64), (200, 60, 90))
    data = encoded(image, "PNG", icc_profile=profile)
    made = Image.open(io.BytesIO(content(render(data, outputs(a={"format": kind, "quality": 95})))))
    assert made.info.get("icc_profile") == profiles.profile_of(space)
    assert made.convert("RGB").getpixel((30, 30)) == pytest.approx((200, 60, 90), abs=4)
    bare = Image.open(
        io.BytesIO(content(render(data, outputs({"keep": []}, a={"format": kind, "quality": 95}))))
    )
    seen = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert seen is not None
    assert "icc_profile" not in bare.info
    assert bare.convert("RGB").getpixel((30, 30)) == pytest.approx(seen.getpixel((30, 30)), abs=5)


def test_our_profiles_mean_what_others_mean() -> None:
    """Colour management reads them as it reads the profile of another maker."""
    image, srgb = Image.new("RGB", (1, 1), (200, 60, 60)), ImageCms.createProfile("sRGB")
    ours = profiles.profile_of("display-p3")
    assert ours is not None
    theirs = bytes(pyvips.Image.profile_load("p3"))
    assert ours != theirs
    one, other = (
        ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb)
        for profile in (ours, theirs)
    )
    assert one is not None
    assert other is not None
    assert one.getpixel((0, 0)) == pytest.approx(other.getpixel((0, 0)), abs=1)


def gamma(number: float) -> bytes:
    """A profile that no camera writes: sRGB's colours with another tone curve."""
    own = profiles.SPACES["srgb"]
    return profiles._written(own._replace(curve=profiles.Curve(number), name="SECRET"), adapted=True)


def test_other_colours_become_srgb(render: Render) -> None:
    """What a measured display or a printer's table says is done to the pixels, and the profile stays here."""
    image = Image.new("RGB", (64, 64), (128, 128, 128))
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        data = encoded(image, kind, icc_profile=gamma(1.0), quality=95)
        made = content(render(data, outputs(a={"format": "jpeg", "quality": 95})))
        assert b"SECRET" not in made
        opened = Image.open(io.BytesIO(made))
        assert "icc_profile" not in opened.info
        assert opened.convert("RGB").getpixel((30, 30)) == pytest.approx((188, 188, 188), abs=3)


@pytest.mark.parametrize("profile", [b"", b"x" * 200, b"\0" * 5000, gamma(1.8)[:200]])
def test_a_broken_profile_is_as_good_as_none(render: Render, profile: bytes) -> None:
    """It costs neither the job nor the colours."""
    for data in (
        encoded(upright(), "JPEG", icc_profile=profile, quality=95),
        encoded(upright().convert("L"), "JPEG", icc_profile=profile, quality=95),
    ):
        made = Image.open(io.BytesIO(content(render(data, outputs(a={"format": "png"})))))
        assert "icc_profile" not in made.info
        assert likeness(made.convert("RGB"), Image.open(io.BytesIO(data)).convert("RGB")) > 0.99


@pytest.mark.parametrize(
    "curve",
    [
        profiles.Curve(2.4, 0.9, -32767.9),
        profiles.Curve(-1.0, 1.0, -0.5),
        profiles.Curve(32767.0, 32767.0, 32767.0),
    ],
)
def test_a_curve_of_any_numbers_is_no_error(curve: profiles.Curve) -> None:
    """A root of less than nothing, one part of nothing, and more than can be told."""
    assert [curve(x) >= 0 for x in (0.0, 0.5, 1.0)] == [True] * 3


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_profile_hurts(data: st.DataObject) -> None:
    """Whatever bytes are changed, a profile is one of ours or none, and reading it ends."""
    whole = bytearray(profiles.profile_of("display-p3") or b"")
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    assert profiles.space_of(cut) in (None, *profiles.SPACES)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_exif_hurts(data: st.DataObject) -> None:
    """Broken EXIF says less, and never fails a job; what it says is bounded."""
    whole = bytearray(exif_of().tobytes())
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(6, len(whole) - 1))] = data.draw(st.integers(0, 255))
    file = os.fdopen(os.memfd_create("exif"), "w+b")
    file.write(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=bytes(whole)))
    file.flush()
    import mmap

    found = exif.read(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), "jpeg")
    file.close()
    for text in (found.artist, found.copyright, found.camera.make if found.camera else None):
        assert text is None or (len(text) <= exif.LONGEST and text.isprintable())
    exif.build(found)


def test_text_is_for_people(render: Render) -> None:
    """No script, control character or novel goes out as a copyright."""
    hostile = photo(exif=exif_of(copyright="<script>alert(1)</script>\r\n\x1b[31m" + "x" * 5000))
    made = tags(content(render(hostile, outputs({"keep": ["copyright"]}))))
    assert made.copyright is not None
    assert len(made.copyright) <= exif.LONGEST
    assert not set(made.copyright) & set("<>\r\n\x1b")


@pytest.mark.parametrize(
    "taken", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2026:13:01 00:00:00", "yesterday"]
)
def test_a_clock_that_was_never_set_says_nothing(render: Render, taken: str) -> None:
    """What is no time is no time."""
    found = render(photo(exif=exif_of(taken=taken)), outputs({"read": ["exif"]})).source.facts
    assert found is not None
    assert found.taken_at is None


# --- what pixels tell -------------------------------------------------------------------------------------

PIXELS = ("colors", "phash", "placeholder", "sharpness")


def measured(render: Render, data: bytes) -> Facts:
    found = render(data, outputs({"read": list(PIXELS)})).source.facts
    assert found is not None
    return found


def test_colours_are_the_pictures(render: Render) -> None:
    """The commonest come first, and what can not be seen does not count."""
    flag = Image.new("RGBA", (300, 200), "#204080")
    flag.paste((250, 240, 230, 255), (0, 0, 300, 60))
    flag.paste((255, 0, 0, 0), (0, 150, 300, 200))
    found = measured(render, encoded(flag, "PNG")).colors
    assert found is not None
    assert found[:2] == ("#204080", "#faf0e6")
    assert all(not colour.startswith("#ff00") for colour in found)
    assert measured(render, encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")).colors == ()


def test_a_placeholder_is_a_blurhash(render: Render) -> None:
    """It says what other encoders of the format say, and stands on every output."""
    rendering = render(
        encoded(Image.new("RGB", (64, 64), (255, 0, 0)), "PNG"), outputs({"read": ["placeholder"]})
    )
    assert rendering.outputs[0].placeholder == "L9TI:j|cfQ|c|co1fQo1fQfQfQfQ"  # by blurhash-python
    tall = measured(render, encoded(upright(0, 60, 90), "PNG")).placeholder
    wide = measured(render, encoded(upright(0, 90, 60), "PNG")).placeholder
    assert tall is not None
    assert wide is not None
    assert (tall[0], wide[0]) == ("T", "L")


def test_a_perceptual_hash_knows_a_picture_again(render: Render) -> None:
    """Another size, format and quality change a few bits; another picture changes about half of them."""
    one = measured(render, encoded(upright(0, 640, 480), "PNG")).phash
    again = measured(render, encoded(upright(0, 640, 480).resize((320, 240)), "JPEG", quality=50)).phash
    turned = measured(render, jpeg(upright(0, 640, 480), 6)).phash
    other = measured(render, encoded(upright(7, 640, 480), "PNG")).phash
    assert one is not None

    def apart(hash_: str | None) -> int:
        assert hash_ is not None
        return (int(one, 16) ^ int(hash_, 16)).bit_count()

    assert apart(again) <= 6
    assert apart(turned) <= 6
    assert apart(other) >= 16


def test_sharpness_falls_with_blur(render: Render) -> None:
    """The same picture, blurred more and more, is less and less sharp, whatever its size."""
    sharp = pyvips.Image.gaussnoise(1200, 900, mean=128, sigma=40, seed=1).cast("uchar").resize(1)
    values = [
        measured(render, (sharp.gaussblur(radius) if radius else sharp).pngsave_buffer()).sharpness
        for radius in (0, 1, 3)
    ]
    assert all(value is not None for value in values)
    assert values == sorted(values, key=lambda value: -(value or 0))
    assert (values[2] or 0) < 5 < (values[0] or 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (2, 2), (3000, 1)])
def test_every_shape_can_be_measured(render: Render, size: tuple[int, int]) -> None:
    """No picture is too small or too thin."""
    found = measured(render, encoded(Image.new("RGB", size, (10, 200, 30)), "PNG"))
    assert found.colors == ("#0ac81e",)
    assert found.phash is not None


@pytest.mark.parametrize("data", [animation("GIF"), animation("WEBP"), animation("AVIF")])
def test_an_animation_is_measured_by_its_first_frame(render: Render, data: bytes) -> None:
    """The others do not count."""
    first = Image.open(io.BytesIO(data)).convert("RGB")
    assert measured(render, data).phash == facts.phash(first)
    assert SOURCE.facts is None


def test_a_rational_of_nothing_is_nothing() -> None:
    """0/0 is in many a file."""
    assert exif._number(TiffImagePlugin.IFDRational(0, 0), 0, 10) is None
    assert exif._number(struct, 0, 10) is None
