"""Recipes with a name of the caller's own."""

from typing import Any

import pytest
from tests.unit.pipeline import Pipeline

from safelight.errors import InvalidRequest, RecipeInvalid, RecipeNameTaken, TooManyRecipes, UnknownRecipe
from safelight.recipes import digest
from safelight.shelf import MOST

SMALL = b"{version: 1, outputs: {small: {format: webp}}}"
LARGE = b'{"version": 1, "outputs": {"large": {"format": "png"}}}'


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def test_a_name_means_what_its_owner_said_last(pipeline: Pipeline) -> None:
    """New, then replaced: each job runs what the name meant when it was made, also after the name is gone."""
    shelf = pipeline.service.shelf
    first, new = shelf.put("ann", "web", SMALL)
    assert new
    old = pipeline.request("ann", recipe="web")
    second, new = shelf.put("ann", "web", LARGE)
    assert not new
    later = pipeline.request("ann", recipe="web")
    assert (old.recipe.name, later.recipe.name) == ("web", "web")
    assert (old.recipe.digest, later.recipe.digest) == (digest(first), digest(second))
    assert digest(first) != digest(second)
    shelf.remove("ann", "web")
    shelf.remove("ann", "web")
    with pytest.raises(UnknownRecipe):
        pipeline.request("ann", recipe="web")
    pipeline.send(old)
    pipeline.work()
    assert [output.name for output in pipeline.now(old).outputs] == ["small"]


def test_owners_do_not_see_each_others(pipeline: Pipeline) -> None:
    """A name is its owner's alone, whatever the owner is called."""
    shelf = pipeline.service.shelf
    shelf.put("ann", "web", SMALL)
    shelf.put("ann/", "web", LARGE)
    assert list(shelf.all("ann")) == ["default", "web"]
    assert [own for _, own in shelf.all("ann").values()] == [False, True]
    assert list(shelf.all("bob")) == ["default"]
    with pytest.raises(UnknownRecipe, match=r"'web'; there are: default."):
        shelf.get("bob", "web")
    with pytest.raises(UnknownRecipe, match=r"'wep'; there are: default, web."):
        shelf.get("ann", "wep")
    with pytest.raises(UnknownRecipe):
        pipeline.request("bob", recipe="web")
    assert shelf.get("ann", "web") != shelf.get("ann/", "web")


@pytest.mark.parametrize("name", ["", "Web", "a" * 41, "a/b", "../x", "schema.json", "inline", "9", "wéb"])
def test_what_can_be_no_name_is_refused(pipeline: Pipeline, name: str) -> None:
    """And so it never reaches a key."""
    with pytest.raises(InvalidRequest, match="expected a name"):
        pipeline.service.shelf.put("ann", name, SMALL)


def test_the_operators_names_stay(pipeline: Pipeline) -> None:
    """Nobody can change, shadow or remove them."""
    shelf = pipeline.service.shelf
    with pytest.raises(RecipeNameTaken):
        shelf.put("ann", "default", SMALL)
    with pytest.raises(RecipeNameTaken):
        shelf.remove("ann", "default")


def test_one_that_the_operator_adds_later_wins(tmp_path: Any) -> None:
    """Then the owner's can still be removed."""
    pipeline = Pipeline()
    pipeline.service.shelf.put("ann", "web", SMALL)
    (tmp_path / "web.yaml").write_bytes(LARGE)
    later = Pipeline(recipes=str(tmp_path))
    later.service.shelf._records = pipeline.ports.records
    recipe, own = later.service.shelf.all("ann")["web"]
    assert not own
    assert list(recipe.outputs) == ["large"]
    assert list(later.service.shelf.get("ann", "web").outputs) == ["large"]
    later.service.shelf.remove("ann", "web")
    with pytest.raises(RecipeNameTaken):
        later.service.shelf.remove("ann", "web")


def test_only_so_many_are_kept(pipeline: Pipeline) -> None:
    """A new name is refused then; replacing one is not, and removing one makes room."""
    shelf = pipeline.service.shelf
    for number in range(MOST):
        shelf.put("ann", f"r{number}", SMALL)
    with pytest.raises(TooManyRecipes, match=str(MOST)):
        shelf.put("ann", "more", SMALL)
    shelf.put("ann", "r1", LARGE)
    shelf.put("bob", "more", SMALL)
    shelf.remove("ann", "r1")
    shelf.put("ann", "more", SMALL)
    assert len(shelf.all("ann")) == MOST + 1


def test_a_recipe_that_is_wrong_changes_nothing(pipeline: Pipeline) -> None:
    """It is refused with its place, and the name means what it meant."""
    shelf = pipeline.service.shelf
    before, _ = shelf.put("ann", "web", SMALL)
    with pytest.raises(RecipeInvalid, match=r"outputs\.small\.format: expected"):
        shelf.put("ann", "web", b"{version: 1, outputs: {small: {format: bmp}}}")
    assert shelf.get("ann", "web") == before


def test_where_callers_bring_none_they_name_none() -> None:
    """SAFELIGHT_INLINE_RECIPES=false holds here, too."""
    with pytest.raises(InvalidRequest, match="turned off"):
        Pipeline(inline_recipes=False).service.shelf.put("ann", "web", SMALL)
