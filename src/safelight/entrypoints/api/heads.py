"""HEAD: the answer that GET would have, without its content (RFC 9110, 9.3.2).

It is not a route of its own for each GET: it would be described, guarded and tested twice, to no other end.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[..., Awaitable[None]]


async def answer_head(app: App, scope: Message, send: Send) -> None:
    """Answer a HEAD request with what `app` says to the GET, up to its content. To the app it looks as if the client
    had gone then, so that an answer that goes on, as an event stream does, ends."""
    answered = asyncio.Event()
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            answered.set()

    await app(dict(scope, method="GET"), receive, send_head)
