"""`safelight settings`: every setting, read from the code that reads them."""

import ast
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.entrypoints.cli.terminal import BOLD, DIM, AsJson, paint, say, say_json

if TYPE_CHECKING:
    from safelight.config import Settings


class Setting(NamedTuple):
    """One setting: its variable, its default as one would write it, and what it means."""

    name: str
    variable: str
    default: str
    meaning: str


def settings(*, as_json: AsJson = False) -> None:
    """List every setting: its environment variable, its default, its meaning, and what is set now."""
    from safelight import config

    now = _written(config.load())
    if as_json:
        say_json([setting._asdict() | {"now": now[setting.variable]} for setting in every_setting()])
        return
    for number, setting in enumerate(every_setting()):
        if number:
            say()
        value = now[setting.variable]
        default = (
            "" if value == setting.default else paint(f"   (default: {setting.default or 'empty'})", DIM)
        )
        say(f"{paint(setting.variable, BOLD)}={value}{default}")
        say(f"    {setting.meaning}")


def every_setting() -> list[Setting]:
    """All settings, in the order of the code."""
    from safelight import config

    defaults = _written(config.Settings())
    meanings = _meanings(config.Settings)
    return [
        Setting(name, variable, defaults[variable], meanings[name])
        for name in config.Settings.__struct_fields__
        if (variable := config.PREFIX + name.upper())
    ]


def _written(settings: "Settings") -> dict[str, str]:
    """Each variable as one would write it."""
    from safelight import config

    values = config.to_environ(settings)
    return {name: value.lower() if value in ("True", "False") else value for name, value in values.items()}


def _meanings(settings: type[Any]) -> dict[str, str]:
    """The docstring below each field. Python keeps none at run time, so the source is read."""
    body = ast.parse(inspect.getsource(settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    meanings = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                meanings[name] = inspect.cleandoc(text)
    return meanings
