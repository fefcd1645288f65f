"""What a recipe is, and its address by content. Made by `reading`, so always checked."""

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec

from safelight.errors import RecipeInvalid
from safelight.operations import ORIGINAL, Operation, StepName

MAX_NAMES: Final = 50
"""The most steps, and the most files, of a recipe."""

MAX_FILE: Final = 1_000_000_000
"""The highest `max_bytes`."""

Kind = Literal["jpeg", "png", "webp", "avif", "gif"]
Kinds = Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1, max_length=5)]
Format = Literal["same", "auto", "jpeg", "png", "webp", "avif", "gif"]

# In Python `$` is also before a last line's end; `\Z` is unknown to JavaScript, where the schema is read, too.
Pixels = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}[kM](?!\n)$", title="a number such as '64M'")]
Size = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}[kM]B(?!\n)$", title="a size such as '200kB'")]


class Rendition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file to be made, or one in each of several formats."""

    use: StepName = ORIGINAL
    """The step whose result it is."""

    format: Format | Kinds = "same"
    """Its file format. `same` is the original's; `auto` is the one that takes the fewest bytes to look as good as a
    JPEG of this quality, out of those that can hold the picture, with its transparency and its frames. A list gives a
    file in each, named by output and format, such as `hero-avif`."""

    quality: Literal["keep", "auto"] | Annotated[int, msgspec.Meta(ge=1, le=100)] = "keep"
    """1 to 100 for JPEG, WebP and AVIF; `keep` is as good as the original, for JPEG by its own tables; `auto` is the
    lowest at which the file looks like the picture: a structural similarity of 0.98 at half its size, where it is
    worst."""

    primary: bool = False
    """Whether a job's `downloadUrl` is this one; where no output says so, it is the first."""

    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_FILE)] | Size | None = None
    """The largest file it may become, in bytes or as `200kB` or `2MB`: quality is lowered until it fits. For JPEG,
    WebP and AVIF."""

    animation: Literal["keep", "first"] = "keep"
    """What becomes of an animation: `keep` all frames where the format can hold them, or the `first` one alone."""

    delivery: Literal["private", "public"] = "private"
    """Who gets it: `private` files go to whoever has a signed URL, which ends; a `public` one has besides an address
    that needs no signature and stays the same for as long as the job is kept: the output's `publicUrl`."""

    @property
    def kinds(self) -> tuple[Format, ...]:
        """The formats as they are asked for, one a file."""
        return (self.format,) if isinstance(self.format, str) else self.format

    @property
    def most(self) -> int | None:
        """`max_bytes`, which is a number once it has been read."""
        return self.max_bytes if isinstance(self.max_bytes, int) else None


class Metadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What outputs keep of the original's metadata, and what is told of the original."""

    keep: Annotated[tuple[Literal["icc", "copyright", "exif", "gps"], ...], msgspec.Meta(max_length=4)] = (
        "icc",
    )
    """What outputs carry, written anew from what was read: `icc`, the colour profile, if it is a well-known one
    (without it, and with any other, the picture is converted to sRGB); `copyright`, with the artist; `exif`, camera and
    time; `gps`, the place."""

    read: Annotated[
        tuple[Literal["exif", "copyright", "gps", "colors", "placeholder", "phash", "sharpness"], ...],
        msgspec.Meta(max_length=7),
    ] = ()
    """What the job tells of the original, as `original`: camera and time, copyright, the place; the commonest colours,
    a BlurHash, a perceptual hash, how sharp it is."""

    @property
    def of_file(self) -> bool:
        """Whether any of it is in the file's metadata, besides the profile."""
        return not {"copyright", "exif", "gps"}.isdisjoint((*self.keep, *self.read))


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an original may be at most. The settings' limits hold all the same: these can only be tighter."""

    pixels: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | Pixels | None = None
    """The most pixels, width × height × frames: a number, or one such as 64M."""

    frames: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    """The most frames of an animation."""


class File(msgspec.Struct, frozen=True):
    """One file of a rendering."""

    name: str
    rendition: Rendition
    format: Format
    primary: bool


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is made of an original."""

    version: Literal[1]
    """The version of this format."""

    steps: Annotated[dict[StepName, Operation], msgspec.Meta(max_length=MAX_NAMES)] = {}
    """Operations by name, each on the result of another one or on the original."""

    outputs: Annotated[dict[StepName, Rendition], msgspec.Meta(min_length=1, max_length=MAX_NAMES)]
    """The files to be made, by name."""

    limits: Limits = Limits()
    """What an original may be at most."""

    metadata: Metadata = Metadata()
    """What outputs keep of the original's metadata, and what is told of the original."""

    sanitize: Literal["auto", "pixels"] = "auto"
    """`pixels` has every picture decoded and encoded anew. With `auto`, a JPEG that is only marked may keep its coded
    bits beside the marks, and with them whatever somebody hid in those."""

    def line(self, name: str) -> tuple[str, ...]:
        """The steps from the original to this one, in the order they are done."""
        steps: list[str] = []
        while name != ORIGINAL:
            if name in steps:
                loop = " → ".join([*steps[steps.index(name) :], name])
                raise RecipeInvalid(
                    f"steps that use each other in a circle: {loop}", path=f"steps.{name}.use"
                )
            steps.append(name)
            name = self.steps[name].use
        return tuple(reversed(steps))

    def chain(self, output: str) -> tuple[Operation, ...]:
        """The operations that lead from the original to this output, in the order they are done."""
        return tuple(self.steps[name] for name in self.line(self.outputs[output].use))

    def files(self) -> tuple[File, ...]:
        """The files that come out, in the recipe's order."""
        return tuple(_files(self.outputs))

    def public_files(self) -> frozenset[str]:
        """The names of the files that everybody may have who knows their address."""
        return frozenset(file.name for file in self.files() if file.rendition.delivery == "public")


def _files(outputs: dict[str, Rendition]) -> Iterator[File]:
    for name, output in outputs.items():
        several = not isinstance(output.format, str)
        for index, kind in enumerate(output.kinds):
            yield File(
                name=f"{name}-{kind}" if several else name,
                rendition=output,
                format=kind,
                primary=output.primary and index == 0,
            )


# --- the address ------------------------------------------------------------------------------------------

_FIRST: Final = {
    "recipe": frozenset({"version", "steps", "outputs"}),
    "rendition": frozenset({"use", "format", "quality", "primary"}),
    "auto_orient": frozenset({"op", "use"}),
    "watermark": frozenset({"op", "use", "text", "gravity", "opacity", "size", "margin", "colour"}),
}
"""What the first recipes wrote out. Fields that were added to these later are written only where they are not at their
default, so that a recipe's digest stays what it was. Whatever is younger writes out everything."""


def canonical(recipe: Recipe) -> bytes:
    """The recipe as JSON, the same bytes for the same meaning: fields written out, names in order."""
    content = _kept("recipe", recipe, msgspec.to_builtins(recipe))
    content["outputs"] = {
        name: _kept("rendition", recipe.outputs[name], output) for name, output in content["outputs"].items()
    }
    content["steps"] = {
        name: _kept(step["op"], recipe.steps[name], step) for name, step in content["steps"].items()
    }
    return msgspec.json.encode(content, order="sorted")


def digest(recipe: Recipe) -> str:
    """The recipe's address by content: the SHA-256 of its canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(recipe)).hexdigest()


def _kept(name: str, value: msgspec.Struct, content: dict[str, Any]) -> dict[str, Any]:
    if name not in _FIRST:
        return content
    at_default = {
        encoded for own, encoded, default in _late(name, type(value)) if getattr(value, own) == default
    }
    return {key: said for key, said in content.items() if key not in at_default}


@cache
def _late(name: str, kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """The later fields of a struct: names in Python and in JSON, and defaults. Looked up once: it reads annotations."""
    fields = msgspec.structs.fields(kind)
    return tuple(
        (one.name, one.encode_name, one.default) for one in fields if one.encode_name not in _FIRST[name]
    )
