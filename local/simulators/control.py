"""The control routes under /_control/, which all simulators have."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from local.simulators.calls import Refusal
from local.simulators.faults import FaultPlan
from local.simulators.journal import Journal, as_json
from local.simulators.json_text import JsonObject, decode_object, encode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Action = Callable[[web.Request, JsonObject], object]


class Side(Protocol):
    """What the control routes need of a simulator."""

    provider: str

    def reset(self) -> None:
        """Return to the state of a fresh start."""

    def seed(self, source: JsonObject) -> None:
        """Add objects to the books."""

    def state(self) -> JsonObject:
        """Return the books and settings."""

    def change_settings(self, changes: JsonObject) -> JsonObject:
        """Change settings and return all of them."""

    def set_keys(self, keys: list[str]) -> None:
        """Replace the valid API keys."""


def add_control_routes(app: web.Application, side: Side, plan: FaultPlan, journal: Journal) -> None:
    """Add the routes that do not depend on the provider."""

    def reset(_: web.Request, __: JsonObject) -> object:
        side.reset()
        plan.clear(side.provider)
        journal.clear(side.provider)
        return {"reset": side.provider}

    def seed(_: web.Request, body: JsonObject) -> object:
        side.seed(body)
        return {"seeded": side.provider}

    def calls(request: web.Request, _: JsonObject) -> object:
        query = request.query
        entries = journal.entries(query.get("provider"), query.get("operation"))
        return {"data": [as_json(entry) for entry in entries]}

    def clear_faults(request: web.Request, _: JsonObject) -> object:
        plan.clear(request.query.get("provider"))
        return {"data": plan.shown()}

    def keys(_: web.Request, body: JsonObject) -> object:
        given = body.get("keys")
        if not isinstance(given, list) or not all(isinstance(key, str) for key in given):
            raise ValueError("keys must be a list of strings")
        side.set_keys(given)
        return {"keys": len(given)}

    app.router.add_post("/_control/reset", control(reset))
    app.router.add_post("/_control/seed", control(seed))
    app.router.add_get("/_control/state", control(lambda _, __: side.state()))
    app.router.add_get("/_control/calls", control(calls))
    app.router.add_get("/_control/faults", control(lambda _, __: {"data": plan.shown()}))
    app.router.add_post("/_control/faults", control(lambda _, body: {"id": plan.add(body).number}))
    app.router.add_delete("/_control/faults", control(clear_faults))
    app.router.add_post("/_control/keys", control(keys))
    app.router.add_post("/_control/settings", control(lambda _, body: side.change_settings(body)))


def control(action: Action) -> Handler:
    """Make a handler of a control action: JSON in, JSON out, 400 with a sentence if it is wrong."""

    async def handle(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        try:
            result = action(request, decode_object(raw) if raw.strip() else {})
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        except Refusal as refusal:
            return _json({"error": refusal.answer.payload}, refusal.answer.status)
        return _json(result, 200)

    return handle


def _json(value: object, status: int) -> web.Response:
    return web.Response(text=encode(value), status=status, content_type="application/json")
