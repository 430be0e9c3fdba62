"""Routes to operations, and the provider's own kind of answer if there is no route."""

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.simulators.calls import Answer
from local.simulators.exchange import Exchange

Lost = Callable[[int, str, str], Answer]


def add_api_routes(
    app: web.Application, routes: Iterable[tuple[str, str, str]], exchange: Exchange
) -> None:
    """Add (method, path, operation) routes that an exchange carries out."""

    def bound(operation: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await exchange.handle(request, operation)

        return handle

    for method, path, operation in routes:
        app.router.add_route(method, path, bound(operation))


def refusing_middleware(lost: Lost) -> Middleware:
    """Give 404s, 405s and 413s of the router the form of the provider's errors."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPClientError as error:
            answer = lost(error.status, request.method, request.path)
            return web.Response(
                status=answer.status, body=answer.body, content_type=answer.content_type
            )

    return refuse
