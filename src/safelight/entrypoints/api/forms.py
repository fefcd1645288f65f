"""Forms that clients send (multipart/form-data, RFC 7578), read from a body that is there already."""

from typing import Final

import msgspec
from multipart import (  # type: ignore[import-untyped] # it ships no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from safelight import recipes
from safelight.entrypoints.api.requests import read_json_object, refuse_unknown
from safelight.errors import InvalidRequest, RecipeInvalid
from safelight.uploads import RecipeChoice

MAX_FIELDS: Final = 20
"""The most fields of a form."""

ROOM: Final = recipes.MAX_BYTES + 16_384
"""Bytes that a preview's form takes beside its file."""

_KNOWN: Final = ["file", "recipe", "output"]


class PreviewForm(msgspec.Struct, frozen=True, kw_only=True):
    """A small file, and what to make of it. `recipe` is the name of a recipe or a recipe as JSON; without one the
    default recipe is used. `output` names one of its outputs; without a name it is the primary one."""

    file: bytes
    recipe: RecipeChoice = None
    output: str | None = None


def read_preview(content_type: str, body: bytes) -> PreviewForm:
    """The form of a preview. Raise InvalidRequest, naming the field, or RecipeInvalid."""
    fields = read_form(content_type, body)
    for name in fields.keys() - set(_KNOWN):
        refuse_unknown(name, _KNOWN, every=True)
    if "file" not in fields:
        raise InvalidRequest("file: expected the picture's bytes, received nothing.")
    return PreviewForm(
        file=fields["file"],
        recipe=_recipe(_text("recipe", fields.get("recipe", b"")).strip()),
        output=_text("output", fields.get("output", b"")).strip() or None,
    )


def read_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a form by name. Raise InvalidRequest."""
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise InvalidRequest(
            "The body: expected a form (Content-Type: multipart/form-data with a boundary), as `curl -F` sends it."
        )
    fields: dict[str, bytearray] = {}
    content = bytearray()
    try:
        with PushMultipartParser(options["boundary"], max_segment_count=MAX_FIELDS) as parser:
            for event in parser.parse(body):  # whether it is whole is checked at the end of the block
                if isinstance(event, MultipartSegment):
                    name = event.name or ""
                    if name in fields:
                        raise InvalidRequest(f"{name[:60]}: expected one value, received several.")
                    content = fields[name] = bytearray()
                elif event is not None:
                    content += event
    except MultipartError:
        raise InvalidRequest(
            "The body is not a complete form; send multipart/form-data, as `curl -F` does."
        ) from None
    return {name: bytes(value) for name, value in fields.items()}


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name}: expected text in UTF-8.") from None


def _recipe(text: str) -> RecipeChoice:
    """The name of a recipe, or a recipe itself: no name begins with a brace."""
    if not text.startswith("{"):
        return text or None
    try:
        return read_json_object("The recipe", text.encode())
    except InvalidRequest as error:
        raise RecipeInvalid(error.message) from None
