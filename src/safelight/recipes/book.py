"""Recipes by name: the built-in one, and the operator's folder."""

from pathlib import Path

from safelight.config import Settings
from safelight.errors import ConfigurationError, RecipeInvalid, UnknownRecipe
from safelight.notation import is_json
from safelight.recipes.reading import build, parse
from safelight.recipes.recipe import Recipe


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
                self._recipes[path.stem] = parse(path.read_bytes(), settings.assets, as_json=is_json(path))
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
