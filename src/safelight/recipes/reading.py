"""From text to a checked recipe: every mistake is found, and each names its place."""

import reprlib
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal

import msgspec
import msgspec.inspect

from safelight.assets import MAX_BYTES_IN_ALL, AssetError, found, is_name
from safelight.decoding import known
from safelight.errors import RecipeInvalid
from safelight.notation import read
from safelight.operations import ORIGINAL, Operation, StepName, catalogue
from safelight.recipes.recipe import MAX_FILE, MAX_NAMES, Limits, Metadata, Recipe, Rendition

MAX_MISTAKES: Final = 50
"""The most mistakes that are told at once."""

ALONE: Final = "main"
"""The output of a recipe in the short form that names none."""

ASSETS: Final = frozenset({"image", "font"})
"""The parameters that can name an asset."""

_LONGEST_GUESS: Final = 40
"""Nobody meant one of our words by a longer one, and comparing takes time."""

_UNITS: Final = {"k": 1_000, "M": 1_000_000}


def parse(text: bytes, assets: str = "", *, as_json: bool = False) -> Recipe:
    """A recipe from YAML, of which JSON is a part, or from nothing but JSON. Images and fonts that it names are looked
    for in the folder of `assets`.

    Raise RecipeInvalid, naming the place, for anything that is not right.
    """
    return build(read(text, as_json=as_json), assets)


def mistakes(text: bytes, assets: str = "", *, as_json: bool = False) -> tuple[RecipeInvalid, ...]:
    """All that `parse` would complain about, in the order of the text as far as that goes."""
    try:
        reading = _Reading(read(text, as_json=as_json), assets)
    except RecipeInvalid as error:
        return (error,)
    return tuple(reading.mistakes)


def build(content: Any, assets: str = "") -> Recipe:
    """A recipe from plain dicts, strings and numbers. Raise RecipeInvalid."""
    reading = _Reading(content, assets)
    if reading.mistakes:
        first, count = reading.mistakes[0], len(reading.mistakes)
        if count == 1:
            raise first
        many = f"at least {count}" if count == MAX_MISTAKES else count
        raise RecipeInvalid(
            f"{first.message} (the first of {many} mistakes; `safelight recipe lint` lists them all)"
        )
    assert reading.recipe is not None
    return reading.recipe


class _EnoughError(Exception):
    """So many mistakes were found that nobody wants to hear of more."""


class _Reading:
    """One recipe being read. A part with a mistake is left out, so that the rest can be looked at all the same."""

    def __init__(self, content: Any, assets: str) -> None:
        self._assets = assets
        self._room = MAX_BYTES_IN_ALL
        self.mistakes: list[RecipeInvalid] = []
        self.recipe: Recipe | None = None
        try:
            self._recipe(content)
        except _EnoughError:
            pass
        except RecipeInvalid as error:
            self.mistakes.append(error)

    def complain(self, message: str, path: str) -> None:
        self.mistakes.append(RecipeInvalid(message, path=path))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise _EnoughError  # a short text can name the same wrong part in thousands of places

    def _recipe(self, content: Any) -> None:
        if isinstance(content, dict) and "chain" in content:
            content = _long_form(content)
        content = self._fields(content, Recipe, "")
        if content is None:
            return
        steps, uses = {}, {}
        for name, step, path in self._named(content.get("steps", {}), "steps", 0):
            steps[name] = self._operation(step, path)
            uses[name] = step.get("use", ORIGINAL) if isinstance(step, dict) else ORIGINAL
        outputs = {
            name: self._rendition(output, path)
            for name, output, path in self._named(content.get("outputs", {}), "outputs", 1)
            if "outputs" in content
        }
        sanitize = self._value(content.get("sanitize", "auto"), Literal["auto", "pixels"], "sanitize")
        if "version" in content:
            self._value(content["version"], Literal[1], "version")
        limits = self._limits(content.get("limits", {}))
        metadata = self._metadata(content.get("metadata", {}))
        self._graph(
            uses, {name: made.use for name, made in outputs.items() if made}, whole=all(outputs.values())
        )
        if self.mistakes or limits is None or metadata is None:
            return
        made = {
            name: step for name, step in steps.items() if step is not None
        }  # without a mistake, that is all
        recipe = Recipe(
            version=1, steps=made, outputs=outputs, limits=limits, metadata=metadata, sanitize=sanitize
        )
        self._primary(recipe)
        self._names(recipe)
        self._sense(recipe)
        if not self.mistakes:
            self.recipe = _with_primary(recipe)

    # --- what leads where ---

    def _graph(self, steps: dict[str, Any], outputs: dict[str, str], *, whole: bool) -> None:
        """`steps` and `outputs` by what each uses; without the `whole` of the outputs, nobody knows what is unused."""
        known = ", ".join([ORIGINAL, *steps])
        if ORIGINAL in steps:
            self.complain(f"{ORIGINAL!r} means the uploaded picture; call the step otherwise", "steps")
            return
        users = {f"steps.{name}": use for name, use in steps.items()}
        users |= {f"outputs.{name}": use for name, use in outputs.items()}
        astray = False
        for path, use in users.items():
            if isinstance(use, str) and use != ORIGINAL and use not in steps:
                self.complain(f"there is no step {_short(use)}; there are: {known}", f"{path}.use")
                astray = True
        used: set[str] = set()
        for last in outputs.values():
            step: Any = last
            while isinstance(step, str) and step in steps and step not in used:
                used.add(step)
                step = steps[step]
        if self._circle(steps) or astray or not whole or not outputs:
            return
        for name in steps:
            if name not in used:
                self.complain("no output uses this step", f"steps.{name}")

    def _circle(self, steps: dict[str, Any]) -> bool:
        done: set[str] = set()
        for start in steps:
            way: list[str] = []
            name: Any = start
            while isinstance(name, str) and name in steps and name not in done:
                if name in way:
                    loop = " → ".join([*way[way.index(name) :], name])
                    self.complain(f"steps that use each other in a circle: {loop}", f"steps.{name}.use")
                    return True
                way.append(name)
                name = steps[name]
            done |= set(way)
        return False

    def _primary(self, recipe: Recipe) -> None:
        primary = [name for name, output in recipe.outputs.items() if output.primary]
        for name in primary[1:]:
            self.complain(f"only one output can be primary, and {primary[0]!r} is", f"outputs.{name}.primary")

    def _names(self, recipe: Recipe) -> None:
        """Files must not get the same name, and not be too many."""
        files = recipe.files()
        if len(files) > MAX_NAMES:
            self.complain(f"expected at most {MAX_NAMES} files in all, received {len(files)}", "outputs")
        names = [file.name for file in files]
        for name, output in recipe.outputs.items():
            if len(set(output.kinds)) < len(output.kinds):
                self.complain("a format is named twice", f"outputs.{name}.format")
            elif not isinstance(output.format, str) and any(
                names.count(f"{name}-{kind}") > 1 for kind in output.kinds
            ):
                self.complain(
                    "one of its files would be called as another output is", f"outputs.{name}.format"
                )

    def _sense(self, recipe: Recipe) -> None:
        """What can be written down and means nothing."""
        for name, output in recipe.outputs.items():
            plain = [kind for kind in output.kinds if kind in ("png", "gif")]
            if plain and output.max_bytes is not None:
                self.complain(
                    f"{plain[0]} has no quality that could be lowered; resize instead",
                    f"outputs.{name}.max_bytes",
                )

    # --- one value ---

    def _operation(self, step: Any, path: str) -> Operation | None:
        operations = catalogue()
        if not isinstance(step, dict):
            self.complain(f"expected fields such as op: auto_orient, received {_short(step)}", path)
            return None
        name = step.get("op")
        if not isinstance(name, str) or name not in operations:
            hint = _meant_operation(step, list(operations))
            self.complain(
                f"expected one of {', '.join(operations)}, received {_short(name)}{hint}", f"{path}.op"
            )
            return None
        parameters = {
            key: self._whole(value, f"{path}.{key}") if key in ASSETS else value
            for key, value in step.items()
            if key != "op"
        }
        if any(value is _WRONG for value in parameters.values()):
            return None
        operation: Operation | None = self._struct(parameters, operations[name], path)
        if operation is not None:
            for field, complaint in operation.faults():
                self.complain(complaint, _below(path, field))
        return operation

    def _whole(self, value: Any, path: str) -> Any:
        """The asset itself, where one of the folder's is named."""
        if not isinstance(value, str):
            return value
        try:
            if self._assets and is_name(value):
                value = found(self._assets, value)
            self._room -= len(value) * 3 // 4
            if self._room < 0:
                raise AssetError(f"the assets of a recipe may have {MAX_BYTES_IN_ALL} bytes in all")
        except AssetError as error:
            self.complain(str(error), path)
            return _WRONG
        return value

    def _rendition(self, content: Any, path: str) -> Any:
        made: Rendition | None = self._struct(content, Rendition, path)
        if made is None or not isinstance(made.max_bytes, str):
            return made
        most = _number(made.max_bytes.removesuffix("B"))
        if not 1 <= most <= MAX_FILE:
            self.complain(f"expected 1 to {MAX_FILE} bytes, received {made.max_bytes!r}", f"{path}.max_bytes")
        return msgspec.structs.replace(made, max_bytes=most)

    def _limits(self, content: Any) -> Limits | None:
        limits: Limits | None = self._struct(content, Limits, "limits")
        if limits is None or not isinstance(limits.pixels, str):
            return limits
        pixels = _number(limits.pixels)
        if pixels < 1:
            self.complain(f"expected 1 or more, received {limits.pixels!r}", "limits.pixels")
        return msgspec.structs.replace(limits, pixels=pixels)

    def _metadata(self, content: Any) -> Metadata | None:
        metadata: Metadata | None = self._struct(content, Metadata, "metadata")
        if metadata is None:
            return None
        # Sets, in truth: the same recipe however they are written.
        keep, read = (tuple(sorted(set(names))) for names in (metadata.keep, metadata.read))
        return msgspec.structs.replace(metadata, keep=keep, read=read)

    def _named(self, content: Any, path: str, least: int) -> Iterator[tuple[str, Any, str]]:
        """Name, value and path of each entry of a mapping whose keys are names."""
        if not isinstance(content, dict):
            self.complain(f"expected names with a value each, received {_short(content)}", path)
            return
        if not least <= len(content) <= MAX_NAMES:
            if not (path == "outputs" and not content and self.mistakes):
                self.complain(f"expected {least} to {MAX_NAMES} entries, received {len(content)}", path)
            return
        for name, value in content.items():
            where = _below(path, name)
            if self._value(name, StepName, where) is not _WRONG:
                yield name, value, where

    def _struct(self, content: Any, kind: type[msgspec.Struct], path: str) -> Any:
        """A struct, each of its fields checked on its own; None if one of them is wrong."""
        given = self._fields(content, kind, path)
        if given is None:
            return None
        before = len(self.mistakes)
        values = {
            field.name: self._value(given[name], field.type, f"{path}.{name}")
            for name, field in _declared(kind).items()
            if name in given
        }
        missing = any(field.required and name not in given for name, field in _declared(kind).items())
        strange = any(name not in _declared(kind) for name in given)
        return None if missing or strange or len(self.mistakes) > before else kind(**values)

    def _fields(self, content: Any, kind: type[msgspec.Struct], path: str) -> dict[str, Any] | None:
        """`content`, if it is a mapping; what is too much in it and what is missing is complained about."""
        fields = _declared(kind)
        if kind is Recipe:  # `chain` is a way to write steps, and no field of what comes of it
            fields = {
                "version": fields["version"],
                "steps": fields["steps"],
                "chain": fields["steps"],
                **fields,
            }
        if content is None and kind is Recipe:
            self.complain(f"the recipe is empty; expected the fields {', '.join(fields)}", path)
            return None
        if not isinstance(content, dict):
            self.complain(f"expected the fields {', '.join(fields)}, received {_short(content)}", path)
            return None
        for name in content:
            if name not in fields:
                self.complain(f"there is no such field; there are: {', '.join(fields)}", _below(path, name))
        for name, field in fields.items():
            if field.required and name not in content:
                self.complain(f"expected {expected(field.type)}, but it is missing", _below(path, name))
        return content

    def _value(self, value: Any, kind: Any, path: str) -> Any:
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, ValueError):  # the latter for a number too long to be written out
            if self._items(value, kind, path):
                return _WRONG
            hint = _meant(value, msgspec.inspect.type_info(kind))
            self.complain(f"expected {expected(kind)}, received {_short(value)}{hint}", path)
            return _WRONG

    def _items(self, value: Any, kind: Any, path: str) -> bool:
        """Whether one of a list's structs is wrong; each is complained about at its own place."""
        listed = _list_of_structs(msgspec.inspect.type_info(kind))
        if listed is None or not isinstance(value, list):
            return False
        struct, most = listed
        if len(value) > most:
            return False
        before = len(self.mistakes)
        for number, content in enumerate(value, 1):
            self._struct(content, struct, f"{path}.{number}")
        return len(self.mistakes) > before


_WRONG: Final = object()


def _long_form(content: dict[Any, Any]) -> dict[Any, Any]:
    """The same recipe with a name for each step of its chain. Raise RecipeInvalid."""
    if "steps" in content:
        raise RecipeInvalid("expected either steps or a chain, and both are given", path="chain")
    chain = content["chain"]
    if not isinstance(chain, list) or not 1 <= len(chain) <= MAX_NAMES:
        raise RecipeInvalid(
            f"expected a list of 1 to {MAX_NAMES} steps, received {_short(chain)}", path="chain"
        )
    steps, last = {}, ORIGINAL
    for number, said in enumerate(chain, 1):
        step = {"op": said} if isinstance(said, str) else said  # `auto_orient` may be all there is to say
        if not isinstance(step, dict) or "use" in step:
            raise RecipeInvalid(
                f"expected an operation without use, such as auto_orient, received {_short(step)}",
                path=f"chain.{number}",
            )
        steps[f"step{number}"] = step | {"use": last}
        last = f"step{number}"
    outputs = content.get("outputs", {ALONE: {}})
    if isinstance(outputs, dict):
        outputs = {
            name: {"use": last} | output if isinstance(output, dict) else output
            for name, output in outputs.items()
        }
    rest = {key: value for key, value in content.items() if key != "chain"}
    return rest | {"steps": steps, "outputs": outputs}


def _with_primary(recipe: Recipe) -> Recipe:
    """The recipe with its primary output named."""
    if any(output.primary for output in recipe.outputs.values()):
        return recipe
    first = next(iter(recipe.outputs))
    chosen = msgspec.structs.replace(recipe.outputs[first], primary=True)
    return msgspec.structs.replace(recipe, outputs=recipe.outputs | {first: chosen})


@cache
def _declared(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a struct, by the names that recipes have for them."""
    return {field.encode_name: field for field in msgspec.structs.fields(known(kind))}


# --- words ------------------------------------------------------------------------------------------------


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


def expected(kind: Any) -> str:
    """A type in words: `an integer from 1 to 100`, `same, jpeg or png`."""
    return _words(msgspec.inspect.type_info(kind))


def _words(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.Metadata(type=inner, extra_json_schema=extra):
            return str((extra or {}).get("title") or _words(inner))
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_words(one) for one in types if not isinstance(one, msgspec.inspect.NoneType))
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
        case msgspec.inspect.VarTupleType(item_type=item):
            return f"a list of {_words(item)}"
    return "text"


def _list_of_structs(kind: msgspec.inspect.Type) -> tuple[type[msgspec.Struct], int] | None:
    """The struct that this is a list of, and how many there may be; None if it is no such list."""
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            return _list_of_structs(inner)
        case msgspec.inspect.VarTupleType(
            item_type=msgspec.inspect.StructType(cls=struct), max_length=int(most)
        ):
            return struct, most
    return None


def _meant(value: Any, kind: msgspec.inspect.Type) -> str:
    """A question after a word that is nearly one of those there are, in a list too."""
    known = list(_choices(kind))
    for word in value[:MAX_NAMES] if isinstance(value, list) else (value,):
        if not isinstance(word, str) or len(word) > _LONGEST_GUESS or word in known:
            continue
        if close := get_close_matches(word, known, 1):
            return f"; did you mean {close[0]}?"
    return ""


def _meant_operation(step: dict[Any, Any], known: list[str]) -> str:
    """A question after a step without a good `op`: about one that is nearly there, or that was said as a field."""
    name = step.get("op")
    if isinstance(name, str):
        meant = get_close_matches(name, known, 1)
        return f"; did you mean {meant[0]}?" if meant else ""
    field = next((key for key in step if key in known), None)
    return f"; did you mean {{op: {field}, …}}?" if field else ""


def _choices(kind: msgspec.inspect.Type) -> Iterator[str]:
    match kind:
        case msgspec.inspect.Metadata(type=inner) | msgspec.inspect.VarTupleType(item_type=inner):
            yield from _choices(inner)
        case msgspec.inspect.UnionType(types=types):
            for one in types:
                yield from _choices(one)
        case msgspec.inspect.LiteralType(values=values):
            yield from (value for value in values if isinstance(value, str))


def _number(text: str) -> int:
    """`64M` is 64,000,000."""
    return int(text[:-1]) * _UNITS[text[-1]]
