"""The HTTP API.

app        the factory and its routes
jobs       uploads and jobs: request → use case → answer
events     a job's changes as Server-Sent Events
ops        for operators: figures, and dead letters
previews   a file and a recipe in, a drawn output back
about      recipes, health and the API's description
heads      HEAD, as GET without content
console    the built pages for browsers, beside the API
requests   what clients send, and how it is refused
forms      the same for what comes as a form
views      what clients get
problems   errors as answers; the one table of HTTP statuses
headers    what every answer carries
openapi    the description, made from `requests`, `views` and `problems`
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safelight.entrypoints.api.app import create_app
    from safelight.entrypoints.api.context import Call, Changes, Health, Principal

__all__ = ["Call", "Changes", "Health", "Principal", "create_app"]


def __getattr__(name: str) -> Any:
    """Load the web framework for those who ask for it: the functions that only need `views` do not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from safelight.entrypoints.api import app, context

    return getattr(app if name == "create_app" else context, name)
