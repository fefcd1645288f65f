"""Recipes that callers gave a name: each owner's own, beside those of the operator.

A name is a pointer that may be moved; what a job runs is the digest that it recorded. The operator's names come first:
nobody can take one, and one that the operator adds later hides an owner's of the same name.
"""

import re
from hashlib import sha256
from typing import Final

from safelight.config import Settings
from safelight.errors import InvalidRequest, RecipeNameTaken, TooManyRecipes, UnknownRecipe
from safelight.ports import Records
from safelight.recipes import Book, Recipe, canonical, parse

PARTITION: Final = "named-recipes"
"""The partition of the records. Keys are the owner's digest and the name; values, the recipe in its canonical form."""

MOST: Final = 100
"""How many names an owner may have, about: who counts while another is added counts one too few."""

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")

INLINE: Final = "inline"
"""What a recipe inside a request is called."""


class Shelf:
    """The recipes that requests may name."""

    def __init__(self, settings: Settings, records: Records, book: Book) -> None:
        self._settings = settings
        self._records = records
        self._book = book

    def get(self, owner: str, name: str) -> Recipe:
        """The recipe that a name means for this owner. Raise UnknownRecipe."""
        if name in self._book.names():
            return self._book.get(name)
        if own := self.own(owner, name):
            return own
        page = self._records.list(PARTITION, prefix=_key(owner, ""), limit=2 * MOST)
        known = sorted({*self._book.names(), *(record.key.rpartition("/")[2] for record in page.items)})
        raise UnknownRecipe(f"There is no recipe {name!r}; there are: {', '.join(known)}.")

    def own(self, owner: str, name: str) -> Recipe | None:
        """The owner's recipe of that name, unless the operator has one of the same."""
        if not NAME.fullmatch(name) or name in self._book.names():
            return None
        record = self._records.get(PARTITION, _key(owner, name))
        return None if record is None else parse(record.value, self._settings.assets)

    def all(self, owner: str) -> dict[str, tuple[Recipe, bool]]:
        """All recipes that this owner can name, and whether each is the owner's own, in alphabetical order."""
        found = {name: (self._book.get(name), False) for name in self._book.names()}
        page = self._records.list(PARTITION, prefix=_key(owner, ""), limit=2 * MOST)
        for record in page.items:
            name = record.key.rpartition("/")[2]
            found.setdefault(name, (parse(record.value, self._settings.assets), True))
        return dict(sorted(found.items()))

    def put(self, owner: str, name: str, text: bytes) -> tuple[Recipe, bool]:
        """Give a recipe, YAML or JSON, a name, new or in place of what it meant. Return it, and whether it is new.

        Raise InvalidRequest for what can be no name, and where clients may bring no recipes; RecipeNameTaken,
        TooManyRecipes, RecipeInvalid.
        """
        self._refuse_name(name)
        if not self._settings.inline_recipes:
            raise InvalidRequest(
                "Recipes of callers are turned off here; GET /recipes lists those there are."
            )
        recipe = parse(text, self._settings.assets)
        key = _key(owner, name)
        new = self._records.get(PARTITION, key) is None
        if new and len(self._records.list(PARTITION, prefix=_key(owner, ""), limit=MOST).items) >= MOST:
            raise TooManyRecipes
        self._records.put(PARTITION, key, canonical(recipe))
        return recipe, new

    def remove(self, owner: str, name: str) -> None:
        """Take a name away; jobs that were made by it go on. Once more is the same. Raise RecipeNameTaken."""
        key = _key(owner, name)
        if name in self._book.names() and self._records.get(PARTITION, key) is None:
            raise RecipeNameTaken
        self._records.delete(PARTITION, key)

    def _refuse_name(self, name: str) -> None:
        if not NAME.fullmatch(name) or name == INLINE:
            raise InvalidRequest(
                f"name: expected a name of a-z, 0-9, - and _, 40 at most, other than {INLINE}, "
                f"received {name[:60]!r}."
            )
        if name in self._book.names():
            raise RecipeNameTaken


def _key(owner: str, name: str) -> str:
    return f"{sha256(owner.encode()).hexdigest()}/{name}"
