"""Carries out one HTTP call: arrival, faults, processing, and the answer or none."""

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from local.simulators.calls import Answer, ApiCall, Desk, View
from local.simulators.clock import Clock
from local.simulators.faults import FaultPlan, Rule, Strike
from local.simulators.form_text import nest, parse_form
from local.simulators.journal import Entry, Journal
from local.simulators.json_text import JsonObject, decode_object

_POLL_SECONDS = 0.02
_NO_LINGER = struct.pack("ii", 1, 0)


class Exchange:
    """Takes one simulator's calls. A reset ends calls that still wait, and drops late effects."""

    def __init__(self, desk: Desk, plan: FaultPlan, journal: Journal, clock: Clock) -> None:
        self._desk = desk
        self._plan = plan
        self._journal = journal
        self._clock = clock
        self._over = asyncio.Event()
        self._arrived = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """End waiting connections and drop late effects of calls before the reset."""
        self._over.set()
        self._over = asyncio.Event()
        for task in self._late:
            task.cancel()
        self._late.clear()

    def let_late_arrive(self) -> JsonObject:
        """Process now what a late commit keeps back; says how many calls these are."""
        waiting = len(self._late)
        self._arrived.set()
        self._arrived = asyncio.Event()
        return {"arrived": waiting}

    async def handle(self, request: web.Request, operation: str) -> web.StreamResponse:
        """Take one call from its arrival to its end."""
        call = await _read(request, operation)
        entry = self._journal.open(self._desk.provider, call)
        strike = self._plan.strike(self._desk.provider, call)
        entry.fault = strike.label
        try:
            return await self._carry_out(request, call, strike, entry)
        finally:
            if not entry.finished:
                self._journal.close(entry, None)

    async def _carry_out(
        self, request: web.Request, call: ApiCall, strike: Strike, entry: Entry
    ) -> web.StreamResponse:
        rule = strike.decisive
        if rule and rule.fault == "lost_request":
            return _hang_up(request, reset=False)
        if rule and rule.fault == "status" and not self._keeps(rule):
            return self._answer(self._faulty(rule), entry)
        early = self._desk.admit(call)
        if strike.delay and not await self._pause(self._over, strike.delay):
            return _hang_up(request, reset=True)
        return await self._act(request, call, strike, early, entry)

    async def _act(
        self,
        request: web.Request,
        call: ApiCall,
        strike: Strike,
        early: Answer | None,
        entry: Entry,
    ) -> web.StreamResponse:
        """Process an admitted call, now or late; `early` is the answer of `Desk.admit`, if any."""
        rule, view = strike.decisive, strike.view(self._clock.monotonic())
        if rule and rule.fault == "status":
            return self._answer(early or self._kept(call, rule), entry)
        if rule and rule.fault == "late_commit":
            over = self._over
            if early is None:
                self._later(rule.seconds or 0, call, view, entry)
            await self._hold(over, rule.hold_seconds, request)
            return _hang_up(request, reset=True)
        answer = early or self._process(call, view, entry)
        if rule is None:
            return self._answer(answer, entry)
        if rule.fault == "status_after_commit":
            # a replay or a conflict must not overwrite the answer that the key already has
            keeps = early is None and rule.stored is not False
            answer = self._kept(call, rule) if keeps else self._faulty(rule)
        return await self._deliver(request, rule, answer, entry)

    async def _deliver(
        self, request: web.Request, rule: Rule, answer: Answer, entry: Entry
    ) -> web.StreamResponse:
        """Send an existing answer, or break it on its way."""
        over = self._over
        if rule.fault == "commit_then_reset":
            return _hang_up(request, reset=True)
        if rule.fault == "commit_then_timeout":
            if not await self._hold(over, rule.seconds, request):
                return _hang_up(request, reset=True)
        elif rule.fault == "body":
            answer = self._spoiled(answer, rule.variant)
        elif rule.fault == "drip":
            return await self._drip(request, answer, rule.seconds or 0, entry)
        return self._answer(answer, entry)

    def _process(self, call: ApiCall, view: View, entry: Entry) -> Answer:
        answer = self._desk.process(call, view)
        entry.processed = True
        return answer

    def _keeps(self, rule: Rule) -> bool:
        """Whether the desk stores this error: Stripe stores its own 500s under the key; other
        errors come from servers in front of Stripe."""
        return rule.status == 500 if rule.stored is None else rule.stored

    def _kept(self, call: ApiCall, rule: Rule) -> Answer:
        answer = self._faulty(rule)
        self._desk.remember(call, answer)
        return answer

    def _faulty(self, rule: Rule) -> Answer:
        plain = self._desk.failure(rule.status)
        headers = {**plain.headers, **rule.headers}
        if isinstance(rule.body, str):
            kind = "text/html" if rule.body.lstrip().startswith("<") else "text/plain"
            return Answer(rule.status, headers=headers, raw=rule.body.encode(), content_type=kind)
        payload = plain.payload if rule.body is None else rule.body
        return Answer(rule.status, payload, headers)

    def _spoiled(self, answer: Answer, variant: str) -> Answer:
        html = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
        whole = answer.body
        broken = {
            "empty": b"",
            "html": html,
            "truncated": whole[: len(whole) // 2],
            "null": b"null",
        }
        if variant in broken:
            kind = "text/html" if variant == "html" else answer.content_type
            return Answer(answer.status, None, answer.headers, broken[variant], kind)
        if not isinstance(answer.payload, dict):
            return answer
        return Answer(answer.status, self._desk.bend(answer.payload, variant), answer.headers)

    def _answer(self, answer: Answer, entry: Entry) -> web.Response:
        self._journal.close(entry, answer.status)
        entry.replayed = answer.replayed
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers=answer.headers,
            content_type=answer.content_type,
        )

    async def _drip(
        self, request: web.Request, answer: Answer, seconds: float, entry: Entry
    ) -> web.StreamResponse:
        """Send the body byte by byte: every single read succeeds, but the whole takes very long."""
        over = self._over
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_type = answer.content_type
        response.content_length = len(answer.body)
        await response.prepare(request)
        for position in range(len(answer.body)):
            if _gone(request):
                return response
            await response.write(answer.body[position : position + 1])
            if not await self._pause(over, seconds):
                return _hang_up(request, reset=True)
        self._journal.close(entry, answer.status)
        return response

    def _later(self, seconds: float, call: ApiCall, view: View, entry: Entry) -> None:
        arrived = self._arrived

        async def effect() -> None:
            await self._pause(arrived, seconds)
            self._process(call, view, entry)

        task = asyncio.create_task(effect())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _pause(self, over: asyncio.Event, seconds: float) -> bool:
        """Wait; False when the event came meanwhile: a reset, most often."""
        try:
            await asyncio.wait_for(over.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def _hold(self, over: asyncio.Event, seconds: float | None, request: web.Request) -> bool:
        """Keep a caller waiting; False when it gave up or the simulator was reset."""
        end = None if seconds is None else self._clock.monotonic() + seconds
        while not _gone(request):
            left = _POLL_SECONDS
            if end is not None:
                left = min(left, end - self._clock.monotonic())
                if left <= 0:
                    return True
            if not await self._pause(over, left):
                return False
        return False


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _hang_up(request: web.Request, *, reset: bool) -> web.StreamResponse:
    """End the connection without an answer; `reset` sends a TCP RST instead of a FIN."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if reset and connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response()  # never reaches anyone: the transport is closed


async def _read(request: web.Request, operation: str) -> ApiCall:
    raw = await request.read()
    parameters = nest(request.query.items())
    parameters.update(_body(raw, request.content_type))
    info: Mapping[str, str] = request.match_info
    return ApiCall(
        operation=operation,
        method=request.method,
        path=request.path,
        base_url=f"{request.scheme}://{request.host}",
        target=info.get("id", ""),
        parameters=parameters,
        headers=request.headers,
    )


def _body(raw: bytes, content_type: str) -> JsonObject:
    """Read a body as both providers do: what cannot be read counts as absent."""
    try:
        if content_type == "application/json":
            return decode_object(raw) if raw.strip() else {}
        if content_type == "application/x-www-form-urlencoded":
            return parse_form(raw.decode())
    except ValueError:
        return {}
    return {}
