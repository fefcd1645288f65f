"""The recipes of jobs: chosen by name or brought along, and kept by their digest where every worker finds them.

What a job records is the digest, so an edit of a recipe changes no job that was asked for before it.
"""

import json
from typing import Final

from safelight.config import Settings
from safelight.errors import InvalidRequest, PublicOutputsOff, StorageUnavailable
from safelight.model import RecipeRef
from safelight.ports import Ports
from safelight.recipes import Book, Recipe, canonical, digest, parse
from safelight.shelf import INLINE, Shelf
from safelight.uploads import RecipeChoice

RECIPES: Final = "recipes"
"""The partition of the records: recipes by digest."""

RECIPES_KEPT: Final = 256
"""How many recipes a process remembers."""


class Catalogue:
    """Resolves what clients choose, and keeps what their jobs will run."""

    def __init__(self, settings: Settings, ports: Ports, book: Book, shelf: Shelf) -> None:
        self._settings = settings
        self._records = ports.records
        self._clock = ports.clock
        self._links = ports.links
        self._book = book
        self._shelf = shelf
        self._published: set[str] = set()
        self._contents: dict[str, tuple[bytes, frozenset[str]]] = {}

    def chosen(self, owner: str, choice: RecipeChoice) -> Recipe:
        """The recipe that a client chose: the operator's, the owner's own, or one inside the request.

        Raise UnknownRecipe, RecipeInvalid; InvalidRequest where clients may bring none of their own.
        """
        if not isinstance(choice, dict):
            return self._shelf.get(owner, choice or self._settings.default_recipe)
        if not self._settings.inline_recipes:
            raise InvalidRequest("Recipes inside a request are turned off here; name one of GET /recipes.")
        return parse(json.dumps(choice).encode(), self._settings.assets)

    def publish(self, owner: str, choice: RecipeChoice) -> RecipeRef:
        """Resolve the recipe that a client chose, and keep its content where every worker finds it. Raise also
        PublicOutputsOff."""
        recipe = self.chosen(owner, choice)
        if recipe.public_files() and not self._links.publishes:
            raise PublicOutputsOff
        name = INLINE if isinstance(choice, dict) else choice or self._settings.default_recipe
        reference = RecipeRef(name=name, digest=digest(recipe))
        if name not in self._book.names():
            self._keep_for_a_while(reference.digest, canonical(recipe))
        elif reference.digest not in self._published:
            self._records.put(RECIPES, reference.digest, canonical(recipe))
            if len(self._published) >= RECIPES_KEPT:
                self._published.clear()
            self._published.add(reference.digest)
        return reference

    def _keep_for_a_while(self, address: str, recipe: bytes) -> None:
        """Keep a recipe that has no name until no job can need it any more; each use makes that later."""
        now = self._clock()
        kept = self._records.get(RECIPES, address)
        if kept is not None and (
            kept.expires_at is None or kept.expires_at > now + 2 * self._settings.retention_seconds
        ):
            return
        self._records.put(RECIPES, address, recipe, expires_at=now + 3 * self._settings.retention_seconds)

    def content(self, reference: RecipeRef) -> tuple[bytes, frozenset[str]]:
        """The recipe that a job recorded, in its canonical form, and the names of the files that it makes public.

        Raise StorageUnavailable if it is not there.
        """
        recipe = self._contents.get(reference.digest)
        if recipe is None:
            record = self._records.get(RECIPES, reference.digest)
            if record is None:
                raise StorageUnavailable(f"The recipe {reference.digest} is not there.")
            if len(self._contents) >= RECIPES_KEPT:
                self._contents.clear()
            # Addressed by content: it never changes.
            recipe = self._contents[reference.digest] = (record.value, _public_files(record.value))
        return recipe


def _public_files(recipe: bytes) -> frozenset[str]:
    """The names of the files that a recipe makes public. Most make none, and need not be parsed to know."""
    return parse(recipe).public_files() if b'"public"' in recipe else frozenset()
