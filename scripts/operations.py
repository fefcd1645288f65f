"""Write docs/reference/operations.md and its pictures from the code. With --check, write nothing and fail on drift.

python scripts/operations.py
python scripts/operations.py --check

The page has to be the same letter for letter. The pictures are drawn anew and have to look the same: another version
of a codec writes other bytes.
"""

import ast
import inspect
import io
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import msgspec.inspect
from PIL import Image, ImageChops, ImageOps, ImageStat

from safelight.config import Settings
from safelight.imaging import render_in_process
from safelight.imaging.sample import scene
from safelight.model import Source
from safelight.operations import Operation, catalogue
from safelight.parameters import Area
from safelight.recipes import build, canonical

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "operations.md"
PICTURES: Final = PAGE.parent / "operations"
SIZE: Final = (240, 160)

ALIKE: Final = 4.0
"""How far a channel may be off on average, of 255 levels, in a picture that looks the same."""

Parameters = dict[str, Any]

FACE: Final = [{"left": "35%", "top": "30%", "width": "25%", "height": "35%"}]

EXAMPLES: Final[dict[str, list[Parameters]]] = {
    "auto_orient": [{}],
    "blur": [{"sigma": 4}],
    "border": [{"width": 6, "colour": "orange"}],
    "contrast": [{"amount": 1.8}],
    "crop": [
        {"width": "50%", "height": "50%", "left": "10%", "top": "40%"},
        {"aspect": "1:1", "gravity": "attention"},
        {"aspect": "1:1", "x": "90%", "y": "50%"},
    ],
    "flatten": [{"background": "orange"}],
    "flip": [{}, {"direction": "vertical"}],
    "gamma": [{"exponent": 2}],
    "grayscale": [{}],
    "modulate": [{"saturation": 2}, {"hue": 120}, {"brightness": 0.6}],
    "normalize": [{"clip": 2}],
    "pad": [{"space": 12, "background": "silver"}],
    "pixelate": [{"regions": FACE, "block": 8}],
    "redact": [{"regions": FACE}],
    "resize": [
        {"width": 120, "height": 120},
        {"width": 120, "height": 120, "fit": "cover"},
        {"width": 120, "height": 120, "fit": "contain", "background": "silver"},
        {"width": 120, "height": 120, "fit": "fill"},
        {"width": 120, "height": 120, "fit": "outside"},
    ],
    "rotate": [{"angle": 90}, {"angle": -12, "background": "silver"}],
    "round_corners": [{"radius": "20%"}],
    "sepia": [{}],
    "sharpen": [{"sigma": 1.5, "amount": 2}],
    "tint": [{"colour": "teal"}],
    "trim": [{}],
    "watermark": [
        {"text": "© Rosa Parks Library", "size": "8%"},
        {"text": "Proof\nnot for sale", "font": "serif", "size": "14%", "gravity": "center", "angle": -20},
        {"text": "© RPL", "font": "mono", "size": "9%", "tile": True, "angle": -30, "gap": "14%", "opacity": 0.5},
    ],
}  # fmt: skip
"""What is shown of each operation."""


# --- the pictures -----------------------------------------------------------------------------------------


@cache
def sample() -> Image.Image:
    """The picture that everything is done to."""
    pixels = scene(SIZE[0] * 2, SIZE[1] * 2, seed=5).resize(0.5)
    return Image.frombytes("RGB", SIZE, pixels.write_to_memory())


def before(operation: str) -> bytes:
    """The sample as a file, made so that the operation has something to do."""
    image, exif = sample().copy(), Image.Exif()
    if operation == "auto_orient":
        image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6
    if operation == "trim":
        image = ImageOps.expand(image, 24, "white")
    if operation == "flatten":
        image.putalpha(Image.radial_gradient("L").resize(SIZE).point(lambda value: max(0, 255 - 2 * value)))
    if operation == "normalize":
        image = image.point([round(70 + value * 0.4) for value in range(256)] * 3)
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    return file.getvalue()


def drawn(operation: str, parameters: Parameters) -> bytes:
    """What comes of it, as a WebP."""
    recipe = build(
        {
            "version": 1,
            "steps": {"a": {"op": operation} | parameters},
            "outputs": {"o": {"use": "a", "format": "webp", "quality": 80}},
        }
    )
    with tempfile.TemporaryFile() as file:
        file.write(before(operation))
        file.flush()
        source = Source(key="sample.png", version="1", bytes=0)
        rendering = render_in_process(file, source, canonical(recipe), Settings())
        data: bytes = rendering.outputs[0].file.read()
        rendering.close()
        return data


def pictures() -> Iterator[tuple[Path, bytes]]:
    """Every picture of the page."""
    file = io.BytesIO()
    sample().save(file, "WEBP", quality=80)
    yield PICTURES / "sample.webp", file.getvalue()
    for operation, examples in EXAMPLES.items():
        for number, parameters in enumerate(examples, 1):
            yield PICTURES / _name(operation, number), drawn(operation, parameters)


def looks_like(path: Path, data: bytes) -> bool:
    """Whether the stored picture looks like the new one."""
    if not path.exists():
        return False
    one, other = (Image.open(file).convert("RGBA") for file in (path, io.BytesIO(data)))
    if one.size != other.size:
        return False
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean) <= ALIKE


def _name(operation: str, number: int) -> str:
    return f"{operation}-{number}.webp"


# --- the page ---------------------------------------------------------------------------------------------


def page() -> str:
    """docs/reference/operations.md"""
    lines = [
        "<!-- Made by scripts/operations.py from the code; changes made here are lost. -->",
        "",
        "# Operations",
        "",
        "What steps of a recipe can do to a picture. Lengths may be given in pixels (`120`) or as a percentage (`8%`),",
        "colours as CSS writes them. All frames of an animation are treated alike. The pictures are drawn by Safelight",
        "itself, from this one:",
        "",
        "![The sample: mountains at dusk](operations/sample.webp)",
    ]
    for name, operation in catalogue().items():
        lines += _section(name, operation)
    return "\n".join(lines) + "\n"


def _section(name: str, operation: type[Operation]) -> Iterator[str]:
    yield from ("", f"## {name}", "", inspect.cleandoc(operation.__doc__ or ""), "")
    for number, parameters in enumerate(EXAMPLES[name], 1):
        said = ", ".join([f"op: {name}", *(f"{key}: {_yaml(value)}" for key, value in parameters.items())])
        yield from (f"`{{{said}}}`", "", f"![{name}](operations/{_name(name, number)})", "")
    fields = [field for field in msgspec.structs.fields(operation) if field.name != "use"]
    if not fields:
        yield "It has no parameters."
        return
    meanings = _meanings(operation)
    yield from ("| parameter | takes | default | meaning |", "|---|---|---|---|")
    for field in fields:
        takes = words(msgspec.inspect.type_info(field.type))
        cells = (f"`{field.encode_name}`", takes, _default(field), " ".join(meanings[field.name].split()))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def words(kind: msgspec.inspect.Type) -> str:
    """A type with its unit and range: `1 to 10,000 px or a percentage`."""
    match kind:
        case msgspec.inspect.Metadata(type=inner, extra=extra, extra_json_schema=said):
            if said and "title" in said and not isinstance(inner, msgspec.inspect.IntType):
                return str(said["title"])
            unit = (extra or {}).get("unit")
            return f"{words(inner)} {unit}" if unit else words(inner)
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(words(one) for one in types if not isinstance(one, msgspec.inspect.NoneType))
        case msgspec.inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case msgspec.inspect.IntType(ge=low, le=high) | msgspec.inspect.FloatType(ge=low, le=high):
            return f"{low:,g} to {high:,g}"
        case msgspec.inspect.BoolType():
            return "`true` or `false`"
        case msgspec.inspect.VarTupleType():
            return f"a list of areas, each with {', '.join(f'`{name}`' for name in Area.__struct_fields__)}"
    raise TypeError(f"no words for {kind}")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    return "" if field.default in (None, ()) else f"`{_yaml(field.default)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(one) for one in value) + "]"
    if isinstance(value, str) and not value.replace("_", "").replace("%", "").isalnum():
        return '"' + value.replace("\n", "\\n") + '"'
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meanings(operation: type[Operation]) -> dict[str, str]:
    """The docstring below each field. Python keeps none at run time, so the source is read."""
    (body,) = ast.parse(inspect.getsource(operation)).body
    assert isinstance(body, ast.ClassDef)
    meanings = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                meanings[name] = inspect.cleandoc(text)
    return meanings


# --- running ----------------------------------------------------------------------------------------------


def stale() -> list[Path]:
    """The page, if it is not in step with the code, and the pictures that look otherwise than the code draws them."""
    found = [] if PAGE.exists() and PAGE.read_text() == page() else [PAGE]
    made = dict(pictures())
    found += [path for path, data in made.items() if not looks_like(path, data)]
    return found + [path for path in PICTURES.glob("*") if path not in made]


def main() -> int:
    """Write the page and those pictures that look otherwise, or check them; return the exit code."""
    drifted = stale()
    if "--check" in sys.argv[1:]:
        for path in drifted:
            print(
                f"{path.relative_to(ROOT)} is not in step with the code: run python scripts/operations.py",
                file=sys.stderr,
            )
        return 1 if drifted else 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page())
    made = dict(pictures())
    for path in drifted:
        if path in made:
            path.write_bytes(made[path])
        elif path != PAGE:
            path.unlink()
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
