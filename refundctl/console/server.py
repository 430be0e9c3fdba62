"""The console's server: GET alone, on this machine's loopback, every answer bounded in time."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlencode

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.refund import PUBLIC_STATUSES
from refund_bridge.http.queries import is_reference
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.reading.listing import ListQuery
from refundctl.console.activity import DEFAULT_WINDOW, WINDOWS, activity
from refundctl.console.find import called, find, saying
from refundctl.console.fresh import Fresh
from refundctl.console.gate import HOST, Gate, Handler, harden
from refundctl.console.monthly import monthly
from refundctl.console.open_now import open_now
from refundctl.console.pages import Pages
from refundctl.console.sources import Sources

REFRESH_MS: Final = 10_000
LIST_LIMIT: Final = 50
ANSWER_SECONDS: Final = 30
_NOW_KEPT_MS: Final = 5_000
_ACTIVITY_KEPT_MS: Final = 15_000
_MONTHLY_KEPT_MS: Final = 300_000
_READERS: Final = 4
_STATIC: Final = Path(__file__).with_name("static")
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Words are looked for in the refunds of this time.
FIND_WINDOW: Final = "30d"
_LIST_PARAMETERS: Final = frozenset(
    {"status", "payment_record", "payment_intent", "invoice", "starting_after"}
)
# Errors that the console answers with a page; any other error is a defect, which aiohttp logs.
TROUBLE: Final = (
    InvalidRequestError,
    LedgerUnavailableError,
    ClientError,
    BotoCoreError,
    TimeoutError,
)
_T = TypeVar("_T")


class Console:
    """The routes. Calls that wait for AWS run in a few threads."""

    def __init__(self, sources: Sources, gate: Gate, refresh_ms: int) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = Pages(
            deployment=sources.deployment,
            line=sources.line,
            base=f"/{gate.token}",
            refresh_ms=refresh_ms,
        )
        self._readers = ThreadPoolExecutor(_READERS, "console")
        fresh = partial(Fresh, executor=self._readers, clock=sources.clock)
        self._now = fresh(
            lambda: (open_now(sources), sources.depths(), sources.webhooks()), keep_ms=_NOW_KEPT_MS
        )
        self._activity = {
            window.name: fresh(partial(activity, sources, window), keep_ms=_ACTIVITY_KEPT_MS)
            for window in WINDOWS.values()
        }
        self._monthly = fresh(partial(monthly, sources), keep_ms=_MONTHLY_KEPT_MS)
        self._files = {
            file.name: (file.read_bytes(), _TYPES[file.suffix]) for file in _STATIC.iterdir()
        }

    def application(self) -> web.Application:
        """The routes behind the gate."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = self._gate.refusal(request)
            if refusal is not None:
                raise refusal
            return await self._answered(request, handler)

        app = web.Application(middlewares=[guarded])
        app.on_response_prepare.append(harden)
        base = f"/{self._gate.token}"
        app.router.add_get(f"{base}/", self._overview)
        app.router.add_get(f"{base}/refunds", self._list)
        app.router.add_get(f"{base}/refunds/{{id}}", self._refund)
        app.router.add_get(f"{base}/months", self._months)
        app.router.add_get(f"{base}/find", self._find)
        app.router.add_get(f"{base}/static/{{name}}", self._file)
        return app

    def close(self) -> None:
        """Start no more reads."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The handler's answer, or a page that says why there is none."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await handler(request)
        except TROUBLE as error:
            return self._message(*_told(error))

    # --- pages --------------------------------------------------------------------------------

    async def _overview(self, request: web.Request) -> web.StreamResponse:
        name = request.query.get("window", DEFAULT_WINDOW.name)
        if name not in WINDOWS:
            return self._message(400, "There is no such window", "Choose one of the overview's.")
        (now, depths, webhooks), what_was = await asyncio.gather(
            self._now.get(), self._activity[name].get()
        )
        return _html(self._pages.overview(now, what_was, depths, webhooks))

    async def _months(self, _request: web.Request) -> web.StreamResponse:
        read = await self._monthly.get()
        return _html(self._pages.months(read, self._sources.clock.now_ms()))

    async def _refund(self, request: web.Request) -> web.StreamResponse:
        refund_id = request.match_info["id"]
        sources = self._sources
        refund = None
        if is_reference(refund_id):
            refund = await self._read(partial(sources.ledger.refund, refund_id))
        if refund is None:
            return self._message(404, "There is no such refund", f"The ledger has no {refund_id}.")
        key = payment_key_of(refund)
        payment = await self._read(partial(sources.ledger.payment, key))
        siblings = await self._read(partial(sources.newest_of, key))
        told = await self._read(partial(sources.told, refund_id))
        now_ms = sources.clock.now_ms()
        page = self._pages.refund(refund, payment, siblings.refunds, now_ms, told)
        return _html(page)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        asked, now_ms = dict(request.query), self._sources.clock.now_ms()
        if {"processor", "charge"} == set(asked):
            key = PaymentKey(asked["processor"], asked["charge"])
            page = await self._read(partial(self._sources.newest_of, key))
            return _html(self._pages.refunds_of_charge(page, key.charge_id, now_ms))
        query = _query(asked)
        page = await self._read(partial(self._sources.list_refunds, query))
        following = None
        if page.has_more:
            asked["starting_after"] = page.refunds[-1].id
            following = f"/{self._gate.token}/refunds?{urlencode(asked)}"
        return _html(self._pages.refunds(page, query, following, now_ms))

    async def _find(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("q", "").strip()
        found = await self._read(partial(find, self._sources, text))
        if not found:
            return await self._find_words(text)
        if len(found) > 1:
            refunds = await self._read(partial(called, self._sources, text))
            return _html(self._pages.refunds_called(refunds, text, self._sources.clock.now_ms()))
        (page,) = found
        query = f"?{urlencode(page.parameters)}" if page.parameters else ""
        raise web.HTTPFound(f"/{self._gate.token}/{page.path}{query}")

    async def _find_words(self, text: str) -> web.StreamResponse:
        """Nothing has this name: then find refunds of 30 days by their reason, metadata or key."""
        recent = await self._activity[FIND_WINDOW].get()
        refunds = await self._read(partial(saying, recent, text))
        if not refunds:
            told = (
                f"No refund or payment has the id or key {text or '(empty)'}, and none of the "
                f"{len(recent.refunds)} newest refunds of {recent.window.words} has it in its "
                "reason or metadata."
            )
            return self._message(404, "Nothing was found", told)
        return _html(self._pages.refunds_saying(refunds, text, self._sources.clock.now_ms()))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(text="Nothing is here.\n")
        body, content_type = found
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    # --- inside -------------------------------------------------------------------------------

    async def _read(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    def _message(self, status: int, title: str, text: str) -> web.Response:
        return _html(self._pages.message(title, text, self._sources.clock.now_ms()), status)


@asynccontextmanager
async def serving(
    sources: Sources, *, port: int = 0, refresh_ms: int = REFRESH_MS
) -> AsyncIterator[str]:
    """Serve while the body runs; yields the address to open, the token in it.

    Args:
        port: of 127.0.0.1; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.create_server((HOST, port))
    gate = Gate(secrets.token_urlsafe(32), listener.getsockname()[1])
    console = Console(sources, gate, refresh_ms)
    runner = web.AppRunner(console.application(), access_log=None, shutdown_timeout=1)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        yield f"http://{HOST}:{gate.port}/{gate.token}/"
    finally:
        await runner.cleanup()
        listener.close()
        console.close()


def _told(error: BaseException) -> tuple[int, str, str]:
    """The status, title and sentence of the page that tells an error."""
    match error:
        case InvalidRequestError():
            return 400, "That cannot be listed", str(error)
        case LedgerUnavailableError():
            return 503, "The ledger gave no answer", str(error)
        case ClientError():
            refusal = error.response.get("Error", {})
            told = f"{refusal.get('Code')}: {refusal.get('Message')}"
            return 503, "AWS refused", told
        case TimeoutError():
            told = f"Nothing came within {ANSWER_SECONDS} s. The next look asks again."
            return 504, "The ledger is slow", told
        case _:
            return 503, "AWS could not be asked", str(error)


def _query(asked: dict[str, str]) -> ListQuery:
    """The list that the address names.

    Raises:
        InvalidRequestError: the parameters name no valid list.
    """
    if set(asked) - _LIST_PARAMETERS or not all(map(is_reference, asked.values())):
        raise InvalidRequestError("The address names something that lists have not.")
    if asked.get("status", "pending") not in PUBLIC_STATUSES:
        raise InvalidRequestError("There is no such status.")
    if sum(one in asked for one in ("payment_record", "payment_intent", "invoice")) > 1:
        raise InvalidRequestError("A list is of one payment.")
    status = asked.pop("status", None)
    statuses = () if status is None else (status,)
    return ListQuery(limit=LIST_LIMIT, statuses=statuses, **asked)  # type: ignore[arg-type]


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
