"""What the API says about itself: its recipes, its description, its health."""

from functools import cache

import msgspec
from litestar import Controller, Response, delete, get, put
from litestar.params import FromPath, RawBody

from safelight import __version__, recipes
from safelight.entrypoints.api.auth import OPEN
from safelight.entrypoints.api.context import Call, answer
from safelight.entrypoints.api.problems import refuse
from safelight.entrypoints.api.views import AboutView, HealthView, RecipesView, RecipeView
from safelight.errors import UnknownRecipe
from safelight.recipes import Recipe


@get("/", opt=OPEN, sync_to_thread=False)
def get_about() -> Response[bytes]:
    """What answers here, and where to read on."""
    return answer(
        AboutView(
            name="Safelight",
            version=__version__,
            about="Ask for an upload with POST /uploads, send the file to its uploadUrl, then GET /jobs/{jobId}.",
            openapi="/openapi.json",
            docs="docs/quickstart.md",
        ),
        headers={"Vary": "Accept"},  # a browser gets the console here
    )


class Recipes(Controller):
    """The recipes that requests may name."""

    path = "/recipes"

    @get("/", sync_to_thread=True)
    def list_recipes(self, request: Call) -> Response[bytes]:
        """The recipes that requests may name: the operator's, and the caller's own."""
        service = request.service
        found = service.shelf.all(request.owner).items()
        items = tuple(_view(name, recipe, own=own) for name, (recipe, own) in found)
        return answer(RecipesView(items=items, default=service.settings.default_recipe))

    @get("/{name:str}", sync_to_thread=True)
    def get_recipe(self, request: Call, name: FromPath[str]) -> Response[bytes]:
        """One recipe, with every default written out."""
        service = request.service
        try:
            recipe = service.shelf.get(request.owner, name)
        except UnknownRecipe as error:
            # In a body an unknown name makes the request unprocessable; here it is the address that leads nowhere.
            return refuse(request, error, status=404)
        return answer(_view(name, recipe, own=name not in service.book.names()))

    @put("/{name:str}", status_code=200, sync_to_thread=True)
    def put_recipe(self, request: Call, name: FromPath[str], body: RawBody) -> Response[bytes]:
        """Give a recipe a name of the caller's own, new or in place of what it meant. YAML is read, too.

        Jobs run what the name meant when they were made. The operator's names can not be taken.
        """
        recipe, new = request.service.shelf.put(request.owner, name, body)
        return answer(_view(name, recipe, own=True), status=201 if new else 200)

    @delete("/{name:str}", status_code=204, sync_to_thread=True)
    def delete_recipe(self, request: Call, name: FromPath[str]) -> Response[None]:
        """Take a name of the caller's own away. Jobs made by it go on. Deleting twice is the same."""
        request.service.shelf.remove(request.owner, name)
        return Response(None, status_code=204)

    @get("/schema.json", sync_to_thread=False)
    def get_recipe_schema(self) -> Response[bytes]:
        """The JSON Schema of recipes."""
        return answer(_schema())


@get("/openapi.json", opt=OPEN, sync_to_thread=False)
def get_openapi(request: Call) -> Response[bytes]:
    """This description: OpenAPI 3.1."""
    from safelight.entrypoints.api.openapi import document  # only who asks for it pays for it

    return answer(document(request.app, request.service.settings.auth))


@get("/health", opt=OPEN, sync_to_thread=True)
def get_health(request: Call) -> Response[bytes]:
    """Whether the parts that requests need answer: 200 if all do, 503 naming those that do not."""
    parts = request.context.health()
    well = all(parts.values())
    view = HealthView(
        status="ok" if well else "failing",
        parts={name: "ok" if answers else "does not answer" for name, answers in parts.items()},
    )
    return answer(view, status=200 if well else 503, headers={"Cache-Control": "no-store"})


def _view(name: str, recipe: Recipe, *, own: bool) -> RecipeView:
    content = msgspec.json.decode(recipes.canonical(recipe))
    return RecipeView(name=name, digest=recipes.digest(recipe), recipe=content, own=own)


@cache
def _schema() -> bytes:
    return msgspec.json.encode(recipes.schema())
