"""`safelight recipe`: the recipes of this machine's settings, and checking one before it is used."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from safelight.entrypoints.cli.terminal import (
    DEFAULT_API,
    GREEN,
    RED,
    Api,
    AsJson,
    AsJsonLines,
    Key,
    UsageError,
    columns,
    note,
    paint,
    say,
    say_json,
)
from safelight.errors import RecipeInvalid, UnknownRecipe

if TYPE_CHECKING:
    from safelight.recipes import Recipe

AnApi = Annotated[
    str | None,
    Parameter(
        env_var="SAFELIGHT_API",
        help="The address of a Safelight whose recipes are meant, and not those of this machine's settings.",
        negative="",
        show_default=False,
    ),
]

recipe = App(name="recipe", help="Look at recipes, and check them.")
SUFFIXES = (".yaml", ".yml", ".json")


@recipe.command(name="ls")
def list_(*, api: AnApi = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the recipes that there are by name: those of the Safelight at an address, with your own; without an address
    the built-in ones and those in SAFELIGHT_RECIPES.
    """
    from safelight import config, recipes

    if api is not None:
        _list_of(api, key, as_json=as_json)
        return
    settings = config.load()
    book = recipes.Book(settings)
    if as_json:
        say_json(list(book.names()))
        return
    rows = [[name, ", ".join(book.get(name).outputs)] for name in book.names()]
    for line in columns([["RECIPE", "OUTPUTS"], *rows]):
        say(line)
    if sys.stdout.isatty():
        note("These are this machine's; `safelight recipe ls --api URL` lists those of a server.")


def _list_of(api: str, key: str | None, *, as_json: bool) -> None:
    from safelight.client import Client

    with Client(api, key=key) as client:
        found = client.recipes()["items"]
    if as_json:
        say_json(found)
        return
    rows = [
        [item["name"], ", ".join(item["recipe"]["outputs"]), "own" if item["own"] else ""] for item in found
    ]
    for line in columns([["RECIPE", "OUTPUTS", ""], *rows]):
        say(line)


@recipe.command
def put(
    name: str, file: Path, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False
) -> None:
    """Give a recipe a name of your own at a Safelight, new or in place of what it meant.

    Jobs run what the name meant when they were made.

    Parameters
    ----------
    name
        What requests will call it: a-z, 0-9, - and _, 40 at most.
    file
        YAML or JSON.
    """
    from safelight.client import Client

    with Client(api, key=key) as client:
        try:
            digest = client.put_recipe(name, file)["digest"]
        except OSError as error:
            raise _unreadable(file, error) from None
    if as_json:
        say_json({"name": name, "digest": digest})
    else:
        say(f"{paint('ok', GREEN)}  {name} is {digest}")


@recipe.command
def rm(name: str, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False) -> None:
    """Take a name of your own away at a Safelight. Jobs made by it go on; once more is the same.

    Parameters
    ----------
    name
        The name.
    """
    from safelight.client import Client

    with Client(api, key=key) as client:
        client.delete_recipe(name)
    if as_json:
        say_json({"name": name, "deleted": True})
    else:
        say(f"{name} is removed.")


@recipe.command
def show(name: str, /, *, api: AnApi = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show a recipe whole, as YAML to start from, with everything that it leaves to defaults.

    A Safelight keeps the canonical form of a recipe: from an address, and with --json, names come in alphabetical order
    and not as they were written.

    Parameters
    ----------
    name
        One of `safelight recipe ls`, or a file.
    """
    import json

    import msgspec
    import yaml

    from safelight import recipes

    found = chosen(name) if api is None or is_file(name) else _at(api, key, name)
    if as_json:
        say_json(json.loads(recipes.canonical(found)))
        return
    content = msgspec.to_builtins(found)
    steps = {step: {"op": said["op"], "use": said["use"]} | said for step, said in content["steps"].items()}
    ordered = {"version": content["version"], "steps": steps, "outputs": content["outputs"]}
    if limits := {name: limit for name, limit in content["limits"].items() if limit is not None}:
        ordered["limits"] = limits
    if content["metadata"] != msgspec.to_builtins(recipes.Metadata()):
        ordered["metadata"] = content["metadata"]
    if content["sanitize"] != "auto":
        ordered["sanitize"] = content["sanitize"]
    say(yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True).rstrip())


@recipe.command
def lint(files: Annotated[list[Path], Parameter(negative="")], /, *, as_json: AsJsonLines = False) -> int:
    """Check recipe files: exit code 0, or 1 and every place that is wrong, or 2 if one of them can not be read.

    Parameters
    ----------
    files
        YAML, or JSON where its name ends with .json. A mistake has its line, where that can be told.
    """
    return max([_lint(file, as_json=as_json) for file in files])


def _lint(file: Path, *, as_json: bool) -> int:
    from safelight import config, recipes
    from safelight.notation import is_json

    assets = config.load().assets
    try:
        text = file.read_bytes()
        mistakes = recipes.mistakes(text, assets, as_json=is_json(file))
        wrong, lines = [mistake.message for mistake in mistakes], recipes.lines_of(text, mistakes)
        code = 1 if wrong else 0
    except OSError as error:  # a mistake of this file: the others are checked all the same
        why = "There is no such file." if isinstance(error, FileNotFoundError) else ""
        why = why or f"The file can not be read: {error.strerror}."
        text, wrong, lines, code = b"", [why], [None], 2
    if as_json:
        say_json({"file": str(file), "good": not wrong, "mistakes": wrong, "lines": lines}, whole=False)
        return code
    for message, line in zip(wrong, lines, strict=True):
        say(f"{paint('wrong', RED)}  {file}{f':{line}' if line else ''}: {message}")
    if not wrong:
        found = recipes.parse(text, assets, as_json=is_json(file))
        steps = f"{len(found.steps)} step{'s' if len(found.steps) != 1 else ''}"
        say(f"{paint('ok', GREEN)}  {file}: {steps}, outputs {', '.join(found.outputs)}")
    return code


@recipe.command
def ops(name: str | None = None, /, *, as_json: AsJson = False) -> None:
    """List the operations that steps can name, each in a sentence, or show one of them with its parameters.

    Parameters
    ----------
    name
        The operation to show. With --json: its JSON Schema.
    """
    import inspect

    from safelight.operations import catalogue

    if name is not None:
        _show_operation(name, as_json=as_json)
        return
    told = {
        name: " ".join(inspect.cleandoc(operation.__doc__ or "").partition("\n\n")[0].split())
        for name, operation in catalogue().items()
    }
    if as_json:
        say_json(told)
        return
    for line in columns([["OPERATION", ""], *([name, meaning] for name, meaning in told.items())]):
        say(line)


def _show_operation(name: str, *, as_json: bool) -> None:
    import inspect
    from difflib import get_close_matches

    import msgspec

    from safelight import recipes
    from safelight.operations import catalogue

    operations = catalogue()
    if name not in operations:
        close = get_close_matches(name, operations, 1)
        hint = f" did you mean {close[0]}?" if close else " `safelight recipe ops` lists them."
        raise UsageError(f"There is no operation {name!r};{hint}")
    operation = operations[name]
    if as_json:
        say_json(recipes.schema()["$defs"][operation.__name__])
        return
    say(inspect.cleandoc(operation.__doc__ or ""))
    rows = [["PARAMETER", "DEFAULT", "TAKES"]]
    for field in msgspec.structs.fields(operation):
        default = "required" if field.required else _plainly(field.default)
        rows.append([field.encode_name, default, recipes.expected(field.type)])
    say()
    for line in columns(rows):
        say(line)


def _plainly(value: Any) -> str:
    """A default as a recipe would say it."""
    import json

    if value is None or value == ():
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


@recipe.command
def schema() -> None:
    """Print the JSON Schema of recipes, for editors that check while one writes."""
    from safelight import recipes

    say_json(recipes.schema())


def canonical(choice: str | None) -> bytes:
    """The recipe of that name or in that file, or the default one, as the renderer takes it."""
    from safelight import recipes

    return recipes.canonical(chosen(choice))


def chosen(choice: str | None) -> "Recipe":
    """The recipe of that name or in that file, or the default one. Raise RecipeInvalid, naming the file."""
    from safelight import config, recipes

    if choice is not None and is_file(choice):
        return _parse(Path(choice))
    settings = config.load()
    try:
        return recipes.Book(settings).get(choice or settings.default_recipe)
    except UnknownRecipe as error:
        raise UsageError(
            f"{error.message} These are this machine's; `safelight recipe ls --api URL` lists those of a server, "
            "and `recipe show NAME --api URL` shows one."
        ) from None


def _at(api: str, key: str | None, name: str) -> "Recipe":
    """The recipe that a name means at a Safelight. Raise UsageError."""
    from safelight import recipes
    from safelight.client import Client

    with Client(api, key=key) as client:
        found = {item["name"]: item["recipe"] for item in client.recipes()["items"]}
    if name not in found:
        raise UsageError(f"There is no recipe {name!r} at {api}; there are: {', '.join(found)}.")
    return recipes.build(found[name])


def for_request(choice: str | None) -> str | dict[str, Any] | None:
    """What a request says: the name as it is, for the server to know; a file's content whole."""
    import json

    if choice is None or not is_file(choice):
        return choice
    document: dict[str, Any] = json.loads(canonical(choice))
    return document


def is_file(choice: str) -> bool:
    """Whether a recipe is given as a file: names of recipes have neither folders nor suffixes."""
    return choice.endswith(SUFFIXES) or "/" in choice


def _parse(file: Path) -> "Recipe":
    from safelight import config, recipes
    from safelight.notation import is_json

    try:
        return recipes.parse(_read(file), config.load().assets, as_json=is_json(file))
    except RecipeInvalid as error:
        raise RecipeInvalid(f"{file}: {error.message}") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: OSError) -> UsageError:
    return UsageError(f"The recipe {file} can not be read: {error.strerror}.")
