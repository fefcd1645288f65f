"""The promises of the errors: codes and sentences that clients and people can rely on."""

import re
from collections.abc import Iterator

import pytest

from safelight import errors
from safelight.errors import RecipeInvalid, SafelightError


def every() -> Iterator[type[SafelightError]]:
    """The errors of the core; other modules may add some of their own."""
    yield from (
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, SafelightError)
    )


each = pytest.mark.parametrize("kind", list(every()), ids=lambda kind: kind.__name__)


def test_codes_are_unique() -> None:
    """No two errors share a code."""
    codes = [kind.code for kind in every()]
    assert len(codes) == len(set(codes))


@each
def test_a_code_is_the_name_of_its_error(kind: type[SafelightError]) -> None:
    """The code is the class's name in snake_case, so that neither can drift."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    assert kind.code in (name, name.removesuffix("_error"), name.removeprefix("safelight_"))


@each
def test_an_error_explains_itself(kind: type[SafelightError]) -> None:
    """The docstring is the default message, on one line."""
    message = kind().message
    assert message
    assert "\n" not in message
    assert str(kind()) == message
    assert str(kind("Something else.")) == "Something else."


def test_the_tree_on_top_is_the_tree() -> None:
    """The drawing in the module's docstring shows every class below its base, with its code."""
    drawn: dict[str, str] = {}
    bases: list[str] = []
    for indent, name in re.findall(r"^    ([│├└─ ]*)(\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        bases[depth:] = [name]
        if depth:
            drawn[name] = bases[depth - 1]
    assert drawn == {
        kind.__name__: kind.__mro__[1].__name__ for kind in every() if kind is not SafelightError
    }
    for kind in every():
        line = re.search(rf"── {kind.__name__}\s+(\w+)$", errors.__doc__ or "", re.MULTILINE)
        assert line is None or line[1] == kind.code


def test_a_recipe_error_names_its_place() -> None:
    """The path into the recipe comes first in the message."""
    error = RecipeInvalid("expected a number", path="steps.mark.opacity")
    assert error.message == "steps.mark.opacity: expected a number"
    assert error.path == "steps.mark.opacity"
