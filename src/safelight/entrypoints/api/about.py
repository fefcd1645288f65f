"""What the API says about itself: its recipes, its description, its health."""

from functools import cache

import msgspec
from litestar import Response, get
from litestar.params import FromPath

from safelight import __version__, recipes
from safelight.entrypoints.api.auth import OPEN
from safelight.entrypoints.api.context import Call, answer
from safelight.entrypoints.api.problems import refuse
from safelight.entrypoints.api.views import AboutView, HealthView, RecipesView, RecipeView
from safelight.errors import UnknownRecipe
from safelight.recipes import Book


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


@get("/recipes", sync_to_thread=False)
def list_recipes(request: Call) -> Response[bytes]:
    """The recipes that requests may name."""
    service = request.service
    items = tuple(_view(service.book, name) for name in service.book.names())
    return answer(RecipesView(items=items, default=service.settings.default_recipe))


@get("/recipes/{name:str}", sync_to_thread=False)
def get_recipe(request: Call, name: FromPath[str]) -> Response[bytes]:
    """One recipe, with every default written out."""
    try:
        return answer(_view(request.service.book, name))
    except UnknownRecipe as error:
        # In a body an unknown name makes the request unprocessable; here it is the address that leads nowhere.
        return refuse(request, error, status=404)


@get("/recipes/schema.json", sync_to_thread=False)
def get_recipe_schema() -> Response[bytes]:
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


def _view(book: Book, name: str) -> RecipeView:
    recipe = book.get(name)
    return RecipeView(
        name=name, digest=recipes.digest(recipe), recipe=msgspec.json.decode(recipes.canonical(recipe))
    )


@cache
def _schema() -> bytes:
    return msgspec.json.encode(recipes.schema())
