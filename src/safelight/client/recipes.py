"""Recipes as requests say them: by name, whole, or from a file."""

import json
from pathlib import Path
from typing import Any

from safelight.errors import RecipeInvalid
from safelight.notation import is_json, read, read_file


def for_request(recipe: str | Path | dict[str, Any] | None) -> str | dict[str, Any] | None:
    """What a request says: the name or the recipe as it is, a file's content whole, for the server to check.

    Raise RecipeInvalid, naming the file, for one that holds no recipe; OSError if it can not be read.
    """
    if not isinstance(recipe, Path):
        return recipe
    try:
        content = read_file(recipe)
        if not isinstance(content, dict):  # a word alone would be taken for the name of another recipe
            raise RecipeInvalid("expected a recipe, with fields such as version and outputs.")
        if json.loads(json.dumps(content, allow_nan=False)) != content:  # `on` and `1` are no names in YAML
            raise RecipeInvalid("a name in it is no text; put it in quotes.")
    except RecipeInvalid as error:
        raise RecipeInvalid(f"{recipe}: {error.message}") from None
    except (TypeError, ValueError, RecursionError) as error:  # YAML has dates, and circles
        raise RecipeInvalid(f"{recipe}: JSON, by which recipes are sent, can not say it ({error}).") from None
    return content


def to_put(recipe: bytes | Path) -> bytes:
    """A recipe's text as it is. Raise RecipeInvalid, naming the file, for one that is no YAML, or no JSON though it is
    called so; OSError if it can not be read."""
    if not isinstance(recipe, Path):
        return recipe
    text = recipe.read_bytes()
    try:
        read(text, as_json=is_json(recipe))
    except RecipeInvalid as error:
        raise RecipeInvalid(f"{recipe}: {error.message}") from None
    return text
