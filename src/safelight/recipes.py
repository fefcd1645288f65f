"""Recipes: named steps, and named outputs made of them.

    version: 1
    steps:
      upright: {op: auto_orient}
      mark:    {op: watermark, use: upright, text: "© Amodhbh Media", size: 4%}
    outputs:
      main:    {use: mark, format: same, quality: keep, primary: true}

A step works on the result of the step that it uses, or on the original. A recipe is checked whole before it is
accepted, and every complaint names its place: `steps.mark.opacity: expected a number from 0 to 1, received 7`.
"""

import hashlib
import inspect
import reprlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import msgspec.inspect

from safelight.config import Settings
from safelight.errors import ConfigurationError, RecipeInvalid, UnknownRecipe
from safelight.operations import ORIGINAL, Operation, StepName, catalogue

MAX_BYTES: Final = 100_000
"""The longest recipe file."""

MAX_NAMES: Final = 50
"""The most steps, and the most outputs, of a recipe."""

Format = Literal["same", "jpeg", "png", "webp", "avif", "gif"]


class Rendition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file to be made."""

    use: StepName = ORIGINAL
    """The step whose result it is."""

    format: Format = "same"
    """Its file format; `same` is the original's."""

    quality: Literal["keep"] | Annotated[int, msgspec.Meta(ge=1, le=100)] = "keep"
    """1 to 100 for JPEG, WebP and AVIF; `keep` is as good as the original, for JPEG by its own tables."""

    primary: bool = False
    """Whether a job's `downloadUrl` is this one; where no output says so, it is the first."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is made of an original. Made by `parse`, so always checked."""

    version: Literal[1]
    """The version of this format."""

    steps: Annotated[dict[StepName, Operation], msgspec.Meta(max_length=MAX_NAMES)] = {}
    """Operations by name, each on the result of another one or on the original."""

    outputs: Annotated[dict[StepName, Rendition], msgspec.Meta(min_length=1, max_length=MAX_NAMES)]
    """The files to be made, by name."""

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


def parse(text: bytes) -> Recipe:
    """A recipe from YAML or JSON. Raise RecipeInvalid, naming the place, for anything that is not right."""
    if len(text) > MAX_BYTES:
        raise RecipeInvalid(f"The recipe has {len(text)} bytes and {MAX_BYTES} are allowed.")
    return build(_read(text))


def build(content: Any) -> Recipe:
    """A recipe from plain dicts, strings and numbers. Raise RecipeInvalid."""
    content = _fields(content, Recipe, "")
    steps = {
        name: _operation(step, path) for name, step, path in _named(content.get("steps", {}), "steps", 0)
    }
    outputs = {
        name: Rendition(**_values(output, Rendition, path))
        for name, output, path in _named(content["outputs"], "outputs", 1)
    }
    _value(content["version"], Literal[1], "version")
    return _checked(Recipe(version=1, steps=steps, outputs=outputs))


def canonical(recipe: Recipe) -> bytes:
    """The recipe as JSON, the same bytes for the same meaning: every field written out, names in order."""
    return msgspec.json.encode(recipe, order="sorted")


def digest(recipe: Recipe) -> str:
    """The recipe's address by content: the SHA-256 of its canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(recipe)).hexdigest()


def default(text: str) -> Recipe:
    """The built-in recipe: upright, `text` in the lower right corner, format and quality of the original."""
    return build(
        {
            "version": 1,
            "steps": {
                "upright": {"op": "auto_orient"},
                "mark": {"op": "watermark", "use": "upright", "text": text},
            },
            "outputs": {"main": {"use": "mark"}},
        }
    )


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of recipes, made from the code: every operation with its parameters."""
    operations = tuple(catalogue().values())
    (recipe, *steps), components = msgspec.json.schema_components(
        (Recipe, *operations), ref_template="#/$defs/{name}"
    )
    components.pop("Operation", None)
    for component in components.values():
        component["description"] = inspect.cleandoc(component["description"])
    components["Recipe"]["properties"]["steps"]["additionalProperties"] = {
        "anyOf": steps,
        "discriminator": {
            "propertyName": "op",
            "mapping": {cls.name(): step["$ref"] for cls, step in zip(operations, steps, strict=True)},
        },
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **recipe, "$defs": components}


class Book:
    """The recipes that have a name: `default`, and the files of the operator's folder, which may replace it."""

    def __init__(self, settings: Settings) -> None:
        """Read them all. Raise ConfigurationError, naming the file, if one is not right, and if there is no default."""
        try:
            self._recipes = {"default": default(settings.watermark_text)}
        except RecipeInvalid as error:
            reason = error.message.removeprefix(f"{error.path}: ")
            raise ConfigurationError(f"SAFELIGHT_WATERMARK_TEXT: {reason}") from None
        for path in _files(settings.recipes):
            try:
                self._recipes[path.stem] = parse(path.read_bytes())
            except RecipeInvalid as error:
                raise ConfigurationError(f"{path}: {error.message}") from None
            except OSError as error:
                raise ConfigurationError(f"{path}: the recipe can not be read: {error.strerror}.") from None
        if settings.default_recipe not in self._recipes:
            known = ", ".join(self.names())
            raise ConfigurationError(
                f"SAFELIGHT_DEFAULT_RECIPE: there is no recipe {settings.default_recipe!r}; there are: {known}."
            )

    def get(self, name: str) -> Recipe:
        """The recipe of that name. Raise UnknownRecipe, which says what names there are."""
        try:
            return self._recipes[name]
        except KeyError:
            known = ", ".join(self.names())
            raise UnknownRecipe(f"There is no recipe {name!r}; there are: {known}.") from None

    def names(self) -> tuple[str, ...]:
        """All names, in alphabetical order."""
        return tuple(sorted(self._recipes))


# --- reading and checking ---------------------------------------------------------------------------------


def _files(folder: str) -> list[Path]:
    """The recipe files of the operator's folder, if there is one. Raise ConfigurationError if it can not be read."""
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise ConfigurationError(f"SAFELIGHT_RECIPES: there is no folder {folder!r}.")
    try:
        return sorted(path for path in Path(folder).iterdir() if path.suffix in (".yaml", ".yml", ".json"))
    except OSError as error:
        raise ConfigurationError(
            f"SAFELIGHT_RECIPES: the folder {folder!r} can not be read: {error.strerror}."
        ) from None


def _read(text: bytes) -> Any:
    if text.lstrip().startswith(b"{"):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            pass  # YAML may begin with a brace, too, and says better what is wrong
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise RecipeInvalid(f"The recipe is neither YAML nor JSON: it can not be read{where}.") from None


def _checked(recipe: Recipe) -> Recipe:
    """The recipe with its primary output named, if all its names lead somewhere."""
    known = ", ".join([ORIGINAL, *recipe.steps])
    if ORIGINAL in recipe.steps:
        raise RecipeInvalid(f"{ORIGINAL!r} means the uploaded picture; call the step otherwise", path="steps")
    users: dict[str, Operation | Rendition] = {f"steps.{name}": step for name, step in recipe.steps.items()}
    users |= {f"outputs.{name}": output for name, output in recipe.outputs.items()}
    for path, user in users.items():
        if user.use != ORIGINAL and user.use not in recipe.steps:
            raise RecipeInvalid(f"there is no step {user.use!r}; there are: {known}", path=f"{path}.use")
    for name in recipe.steps:
        recipe.line(name)
    used = {step for output in recipe.outputs.values() for step in recipe.line(output.use)}
    for name in recipe.steps:
        if name not in used:
            raise RecipeInvalid("no output uses this step", path=f"steps.{name}")
    primary = [name for name, output in recipe.outputs.items() if output.primary]
    if len(primary) > 1:
        raise RecipeInvalid(
            f"only one output can be primary, and {primary[0]!r} is", path=f"outputs.{primary[1]}.primary"
        )
    if primary:
        return recipe
    first = next(iter(recipe.outputs))
    chosen = msgspec.structs.replace(recipe.outputs[first], primary=True)
    return msgspec.structs.replace(recipe, outputs=recipe.outputs | {first: chosen})


def _operation(step: Any, path: str) -> Operation:
    operations = catalogue()
    if not isinstance(step, dict):
        raise RecipeInvalid(f"expected fields such as op: auto_orient, received {_short(step)}", path=path)
    name = step.get("op")
    if not isinstance(name, str) or name not in operations:
        raise RecipeInvalid(
            f"expected one of {', '.join(operations)}, received {_short(name)}", path=f"{path}.op"
        )
    parameters = {key: value for key, value in step.items() if key != "op"}
    operation = operations[name](**_values(parameters, operations[name], path))
    for field, complaint in operation.faults():
        raise RecipeInvalid(complaint, path=_below(path, field))
    return operation


def _named(content: Any, path: str, least: int) -> Iterator[tuple[str, Any, str]]:
    """Name, value and path of each entry of a mapping whose keys are names."""
    if not isinstance(content, dict):
        raise RecipeInvalid(f"expected names with a value each, received {_short(content)}", path=path)
    if not least <= len(content) <= MAX_NAMES:
        raise RecipeInvalid(f"expected {least} to {MAX_NAMES} entries, received {len(content)}", path=path)
    for name, value in content.items():
        where = _below(path, name)
        yield _value(name, StepName, where), value, where


def _values(content: Any, kind: type[msgspec.Struct], path: str) -> dict[str, Any]:
    """The fields of a struct, each checked on its own, by the names that Python has for them."""
    given = _fields(content, kind, path)
    return {
        field.name: _value(given[field.encode_name], field.type, f"{path}.{field.encode_name}")
        for field in _declared(kind).values()
        if field.encode_name in given
    }


@cache
def _declared(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a struct, by the names that recipes have for them."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _fields(content: Any, kind: type[msgspec.Struct], path: str) -> dict[str, Any]:
    """`content`, if it is a mapping with no field too many and none missing."""
    fields = _declared(kind)
    if not isinstance(content, dict):
        raise RecipeInvalid(f"expected the fields {', '.join(fields)}, received {_short(content)}", path=path)
    for name in content:
        if name not in fields:
            raise RecipeInvalid(
                f"there is no such field; there are: {', '.join(fields)}", path=_below(path, name)
            )
    for name, field in fields.items():
        if field.required and name not in content:
            raise RecipeInvalid(
                f"expected {_expected(field.type)}, but it is missing", path=_below(path, name)
            )
    return content


def _value(value: Any, kind: Any, path: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError):  # the latter for a number too long to be written out
        raise RecipeInvalid(f"expected {_expected(kind)}, received {_short(value)}", path=path) from None


def _short(value: Any) -> str:
    """A value as a complaint shows it: 80 characters at most, and cheap however much it holds."""
    try:
        return f"{_SHORTENED.repr(value):.80}"
    except ValueError:  # Python writes out no number of more than 4300 digits
        return "a number without end"


def _below(path: str, name: Any) -> str:
    """The place of an entry of a mapping."""
    return f"{path}.{name if isinstance(name, str) else _short(name):.80}".lstrip(".")


_SHORTENED: Final = reprlib.Repr()
_SHORTENED.maxlevel = 3
_SHORTENED.maxstring = _SHORTENED.maxother = _SHORTENED.maxlong = 80


def _expected(kind: Any) -> str:
    """A type in words: `an integer from 1 to 100`, `same, jpeg or png`."""
    return _words(msgspec.inspect.type_info(kind))


def _words(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.Metadata(type=inner, extra_json_schema=extra):
            return str((extra or {}).get("title") or _words(inner))
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_words(one) for one in types)
        case msgspec.inspect.LiteralType(values=values):
            *most, last = [str(value) for value in values]
            return f"{', '.join(most)} or {last}" if most else last
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"an integer from {low} to {high}"
        case msgspec.inspect.FloatType(ge=low, le=high):
            return (
                f"a number from {low:g} to {high:g}" if low is not None and high is not None else "a number"
            )
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.DictType():
            return "names with a value each"
    return "text"
