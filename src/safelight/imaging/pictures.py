"""Pictures decoded, and written to files.

libvips decodes JPEG, PNG, WebP, GIF and TIFF and works on the pixels. Pillow decodes AVIF (its dav1d is more than twice
as fast as the decoder in libvips' wheel) and writes JPEG (it takes the original's own tables), WebP and AVIF. HEIC is
decoded by pillow-heif, where it is installed. Every
loader is called by its name: no library may guess what a file is. Each frame of an animation is a picture of its own.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from mmap import mmap
from typing import IO, Any, Final, Literal, cast

import msgspec
import pyvips
from PIL import AvifImagePlugin, Image, ImageSequence, JpegImagePlugin

from safelight.imaging import heic, profiles, strips
from safelight.imaging.headers import Header, ImageFormat
from safelight.operations import Size

pyvips.cache_set_max(0)
pyvips.operation_block_set("VipsForeignLoad", True)
for _loader in ("Jpeg", "Png", "Webp", "Nsgif"):
    pyvips.operation_block_set(f"VipsForeignLoad{_loader}", False)
Image.init()  # Pillow imports its plugins late, and where pictures are rendered nothing can be imported any more

Quality = int | Literal["keep"]

KEEP: Final = {"jpeg": 90, "webp": 85, "avif": 70}
"""What `quality: keep` means where the original has no tables to keep. WebP and AVIF files do not tell the quality
they were written with; these lose little against a source of any usual quality."""

AVIF_SPEED: Final = 9
"""55 times as fast as speed 5 at the same visible quality, for 7 % more bytes."""

WEBP_EFFORT: Final = 2
PNG_LEVEL: Final = 3

DENSE: Final = 0.25
"""Bytes a pixel, in the file, from which a picture is taken for a photo and not for a drawing, a gradient or a page of
text. PNG's filter "sub" is the fastest, and good on photos; drawings grow by it, gradients more than tenfold. They get
"paeth", which keeps them small, and which would cost photos a quarter more time and 4 % more bytes."""

GIF_EFFORT: Final = 3

_EXIF, _ICC = 1, 8
"""Flags of libvips for what to keep (VipsForeignKeep)."""

WHITE: Final = 255.0

PROFILE: Final = "icc-profile-data"
EXIF: Final = "exif-data"
"""What libvips calls them."""

ORIENTATION: Final = 0x0112
"""The EXIF tag."""

MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}


class Tables(msgspec.Struct, frozen=True):
    """How a JPEG was quantised: its tables by number, and its chroma subsampling as Pillow numbers it."""

    quantisation: dict[int, list[int]]
    subsampling: int

    @classmethod
    def of(cls, image: JpegImagePlugin.JpegImageFile) -> "Tables":
        """The tables of an opened JPEG."""
        return cls(image.quantization, JpegImagePlugin.get_sampling(image))

    def turned(self) -> "Tables":
        """The tables for the picture lying on its side: rows of coefficients become columns."""
        flipped = {
            number: [table[8 * (i % 8) + i // 8] for i in range(64)]
            for number, table in self.quantisation.items()
        }
        return Tables(flipped, self.subsampling)


class Picture(msgspec.Struct, kw_only=True):
    """All frames of a decoded file, in its own colours; `icc` says which those are."""

    frames: list[pyvips.Image]
    size: Size
    icc: bytes | None = None
    """A profile of ours."""
    exif: bytes | None = None
    """EXIF of ours, for the files that are made of the picture."""
    delays: list[int] = []
    """How long each frame of an animation is shown, in milliseconds."""
    plays: int = 0
    """How often an animation is played; 0 is for ever."""
    lossless: bool = False
    dense: bool = False
    """Whether the file spends as much on a pixel as photos need."""
    tables: Tables | None = None


# --- decoding ---------------------------------------------------------------------------------------------


def decode(
    data: mmap,
    header: Header,
    *,
    shrink: Callable[[Size], float] = lambda _: 1.0,
    wide: bool = True,
    whole: bool = True,
) -> Picture:
    """The picture. Its pixels are streamed and can be read a single time, from top to bottom.

    `shrink` tells how many times smaller than its size it may come; the size that the picture tells stays the file's.
    It is in a colour space that we know, with our own profile of it (see `profiles`); in sRGB if not `wide`.
    A JPEG that need not be `whole` is decoded down to the last row that is read: what is broken below goes unseen.

    Whatever the libraries raise passes through, now or when the pixels are read.
    """
    if header.format == "avif":
        return _decode_avif(data, wide=wide)
    if header.format == "heic":
        return _decode_heic(data, wide=wide)
    # In memory: what a loader can not stream would, if large, go to a temporary file, which no child can make.
    memory = whole or header.format != "jpeg"
    options: dict[str, Any] = {"access": "sequential", "fail_on": "error", "memory": memory}
    if header.frames > 1:
        options["n"] = -1
    image = _load(data, header, options)
    width, height = image.width, image.height // header.frames
    icc = _field(image, PROFILE, None)
    tag = _field(image, "orientation", 1) if header.frames == 1 else 1
    size = Size(width, height, tag if 1 <= tag <= 8 else 1)
    delays, plays = _field(image, "delay", []), _field(image, "loop", 0)
    if smaller := _smaller(header, shrink(size)):
        image = _load(data, header, options | smaller)
    if image.interpretation == "cmyk":
        # Blending, and every format but JPEG, needs light, not ink.
        image, icc = image.icc_transform("srgb", embedded=True, input_profile="cmyk"), None
    image, icc = in_known_colours(image, icc, wide=wide)
    return Picture(
        frames=[image.crop(0, height * frame, width, height) for frame in range(header.frames)]
        if header.frames > 1
        else [image],
        size=size,
        icc=icc,
        delays=delays if header.frames > 1 else [],
        plays=plays,
        lossless=header.lossless,
        dense=header.format != "tiff"  # whose bytes tell more of its compression than of what it shows
        and len(data) >= DENSE * width * height * header.frames,
        tables=_tables(data) if header.format == "jpeg" else None,
    )


def _load(data: mmap, header: Header, options: dict[str, Any]) -> pyvips.Image:
    if header.format == "tiff":  # its loader stays locked where no TIFF has been let in
        pyvips.operation_block_set("VipsForeignLoadTiff", False)
    source = pyvips.Source.new_from_memory(data)
    return getattr(pyvips.Image, f"{header.format}load_source")(source, **options)


def _smaller(header: Header, shrink: float) -> dict[str, Any]:
    """What has a loader decode that much smaller, as near as it can; nothing if it can not."""
    if header.format == "jpeg" and shrink >= 2:
        return {"shrink": max(step for step in (2, 4, 8) if step <= shrink)}
    if header.format == "webp" and shrink > 1 and header.frames == 1:
        return {"scale": 1 / shrink}
    return {}


def in_known_colours(
    image: pyvips.Image, icc: bytes | None, *, wide: bool
) -> tuple[pyvips.Image, bytes | None]:
    """The picture in a space that we know, converted if it has to be, and our profile of that space."""
    image = image.copy()
    fits, profile = profiles.outgoing(icc, keep=wide)
    if not fits:
        image.set_type(pyvips.GValue.blob_type, PROFILE, icc)
        with suppress(pyvips.Error):  # a profile that nobody can read says nothing
            turned = image.icc_transform("srgb", embedded=True, depth=16 if image.format == "ushort" else 8)
            image = (
                turned.colourspace("b-w" if turned.format == "uchar" else "grey16")
                if image.bands < 3
                else turned
            )
    if image.get_typeof(PROFILE):
        image.remove(PROFILE)
    if profile:
        image.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    return image, profile


def _decode_avif(data: mmap, *, wide: bool) -> Picture:
    data.seek(0)
    with AvifImagePlugin.AvifImageFile(cast("IO[bytes]", data)) as image:
        frames, delays, profile = [], [], None
        icc = image.info.get("icc_profile")
        for frame in ImageSequence.Iterator(image):
            mode = "RGBA" if frame.mode == "RGBA" else "RGB"
            pixels = (frame if frame.mode == mode else frame.convert(mode)).tobytes()
            made = pyvips.Image.new_from_memory(pixels, frame.width, frame.height, len(mode), "uchar")
            made, profile = in_known_colours(made.copy(interpretation="srgb"), icc, wide=wide)
            frames.append(made)
            delays.append(round(frame.info.get("duration", 0)))
        tag = image.getexif().get(ORIENTATION, 1)
        return Picture(
            frames=frames,
            size=Size(image.width, image.height, tag if len(frames) == 1 else 1),
            icc=profile,
            delays=delays if len(frames) > 1 else [],
        )


def _decode_heic(data: mmap, *, wide: bool) -> Picture:
    """Turned already: what EXIF says of its orientation, it says again."""
    image, icc = heic.picture(data)
    pixels = pyvips.Image.new_from_memory(
        image.tobytes(), image.width, image.height, len(image.mode), "uchar"
    )
    made, profile = in_known_colours(pixels.copy(interpretation="srgb"), icc, wide=wide)
    return Picture(frames=[made], size=Size(image.width, image.height), icc=profile)


def _field(image: pyvips.Image, name: str, otherwise: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else otherwise


def _tables(data: mmap) -> Tables:
    data.seek(0)
    with JpegImagePlugin.JpegImageFile(cast("IO[bytes]", data)) as image:
        return Tables.of(image)


# --- encoding ---------------------------------------------------------------------------------------------


def encode(
    picture: Picture, target: ImageFormat, quality: Quality, file: IO[bytes], *, threads: int = 1
) -> None:
    """Write the picture to `file`, one with a descriptor or in memory: all frames where the format can hold them, else
    the first. With two `threads`, both work on a large JPEG.

    Of metadata only the picture's own colour profile and EXIF go along; a GIF holds neither, and becomes sRGB.
    """
    if target in ("png", "gif"):
        _encode_by_vips(picture, target, file)
        return
    images = [to_pillow(frame, alpha=target != "jpeg") for frame in picture.frames]
    options: dict[str, Any] = {"icc_profile": picture.icc} | ({"exif": picture.exif} if picture.exif else {})
    if target == "jpeg":
        image = images[0]
        told = jpeg_options(image, quality, picture.tables, picture.icc, picture.exif)
        strips.save(image, file, told, threads)
        return
    options["quality"] = KEEP[target] if quality == "keep" else quality
    if target == "webp":
        options |= {"method": WEBP_EFFORT, "lossless": picture.lossless and quality == "keep", "exact": False}
    else:
        options |= {"speed": AVIF_SPEED, "max_threads": 1}
    if len(images) > 1:
        options |= {
            "save_all": True,
            "append_images": images[1:],
            "duration": picture.delays,
            "loop": picture.plays,
        }
    images[0].save(file, target, **options)


def jpeg_options(
    image: Image.Image, quality: Quality, tables: Tables | None, icc: bytes | None, exif: bytes | None
) -> dict[str, Any]:
    """How Pillow is to write a JPEG: with `keep` by the given tables, else with 4:2:0 at every quality."""
    options: dict[str, Any] = {"icc_profile": icc} | ({"exif": exif} if exif else {})
    if quality == "keep" and tables and len(tables.quantisation) >= min(2, len(image.getbands())):
        return options | {"qtables": tables.quantisation, "subsampling": tables.subsampling}
    return options | {"quality": KEEP["jpeg"] if quality == "keep" else quality, "subsampling": "4:2:0"}


def to_pillow(frame: pyvips.Image, *, alpha: bool) -> Image.Image:
    """One frame with 8 bits a sample; without `alpha` what is transparent becomes white."""
    if frame.format != "uchar":
        frame = frame.colourspace("srgb" if frame.bands > 2 else "b-w")
    if frame.hasalpha() and not alpha:
        frame = frame.flatten(background=[WHITE])
    if frame.bands == 2:
        frame = frame.colourspace("srgb")
    return Image.frombuffer(
        MODES[frame.bands],
        (frame.width, frame.height),
        frame.write_to_memory(),
        "raw",
        MODES[frame.bands],
        0,
        1,
    )


def _encode_by_vips(picture: Picture, target: ImageFormat, file: IO[bytes]) -> None:
    frames = picture.frames if target == "gif" else picture.frames[:1]
    if target == "gif" and picture.icc:
        frames = [frame.icc_transform("srgb", embedded=True) for frame in frames]
    image = frames[0] if len(frames) == 1 else pyvips.Image.arrayjoin(frames, across=1)
    image = image.copy()
    if target == "png":
        chosen = "sub" if picture.dense else "paeth"
        for field in [name for name in image.get_fields() if name.startswith("exif-")]:
            image.remove(field)  # libvips would write what it has read back into the EXIF
        kept = _ICC  # asked to keep EXIF where there is none, libvips writes some of its own
        if picture.exif:
            image.set_type(pyvips.GValue.blob_type, EXIF, picture.exif)
            kept |= _EXIF
        save = partial(image.pngsave_target, compression=PNG_LEVEL, filter=chosen, keep=kept)
    else:
        save = partial(image.gifsave_target, effort=GIF_EFFORT, keep="none")
    if len(frames) > 1:
        image.set_type(pyvips.GValue.gint_type, "page-height", frames[0].height)
        image.set_type(pyvips.GValue.array_int_type, "delay", picture.delays)
        image.set_type(pyvips.GValue.gint_type, "loop", picture.plays)
    if isinstance(file, io.BytesIO):
        sink = pyvips.Target.new_to_memory()
        save(sink)
        file.write(sink.get("blob"))
    else:
        save(pyvips.Target.new_to_descriptor(file.fileno()))
