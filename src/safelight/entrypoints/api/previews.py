"""Previews: a small file and a recipe in, one drawn output back."""

from litestar import Response, Router, post
from litestar.params import RawBody

from safelight.config import Settings
from safelight.entrypoints.api.context import Call
from safelight.entrypoints.api.forms import ROOM, read_preview


@post("/", status_code=200, sync_to_thread=True)
def create_preview(request: Call, body: RawBody) -> Response[bytes]:
    """Draw one output of a recipe from a small file, at once: no job is made, and nothing is kept."""
    asked = read_preview(request.headers.get("content-type", ""), body)
    recipe = request.service.catalogue.chosen(request.owner, asked.recipe)
    drawn = request.context.previews.draw(asked.file, recipe, asked.output)
    return Response(
        drawn.content,
        media_type=drawn.content_type,
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": "inline",
            "X-Image-Output": drawn.output,
            "X-Image-Width": str(drawn.width),
            "X-Image-Height": str(drawn.height),
            "X-Image-Frames": str(drawn.frames),
        },
    )


def route(settings: Settings) -> Router:
    """The route of previews, which alone takes bodies as large as they may be."""
    return Router(
        "/preview", route_handlers=[create_preview], request_max_body_size=settings.preview_bytes + ROOM
    )
