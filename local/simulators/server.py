"""All simulators on free ports of 127.0.0.1, in the running loop or in a thread of their own."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

from deployed.loopback_gate import refusal
from local.simulators import fields
from local.simulators.ccg import CcgSimulator
from local.simulators.client import SimulatorControl
from local.simulators.clock import Clock
from local.simulators.control import Handler
from local.simulators.faults import FaultPlan
from local.simulators.gateway import GatewaySimulator
from local.simulators.hedge import HedgeSimulator
from local.simulators.hitpay import HitPaySimulator
from local.simulators.hyperswitch import HyperswitchSimulator
from local.simulators.journal import Journal
from local.simulators.json_text import decode_object, encode
from local.simulators.stripe import StripeSimulator

HOST = "127.0.0.1"  # the control routes need no key, so other machines must not reach them


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer only requests to this server's own address."""
    listening_at = request.transport.get_extra_info("sockname") if request.transport else None
    if listening_at is None:
        raise web.HTTPBadRequest(text="The caller has gone.\n")
    refused = refusal(request.headers.items(), listening_at[1])
    if refused is not None:
        return web.Response(status=refused.status, text=f"{refused.sentence}\n")
    return await handler(request)


class Simulators:
    """All servers in the running event loop, over one journal and one fault plan.

    Attributes:
        urls: each server's address, by the provider's name.
    """

    def __init__(self) -> None:
        plan, journal = FaultPlan(), Journal(Clock())
        self.hitpay = HitPaySimulator(plan, journal, Clock())
        self.stripe = StripeSimulator(plan, journal, Clock())
        self.others: tuple[GatewaySimulator, ...] = (
            HyperswitchSimulator(plan, journal, Clock()),
            HedgeSimulator(plan, journal, Clock()),
            CcgSimulator(plan, journal, Clock()),
        )
        self.urls: dict[str, str] = {}
        self._runners: dict[str, web.AppRunner] = {}
        self._sites: dict[str, web.TCPSite] = {}

    @property
    def hitpay_url(self) -> str:
        """The base URL of HitPay."""
        return self.urls["hitpay"]

    @property
    def stripe_url(self) -> str:
        """The base URL of Stripe."""
        return self.urls["stripe"]

    async def start(self, hitpay_port: int = 0, stripe_port: int = 0) -> None:
        """Listen; port 0 takes a free one, as the other processors always do."""
        await self._serve("hitpay", self.hitpay.application(), hitpay_port)
        await self._serve("stripe", self.stripe.application(), stripe_port)
        for other in self.others:
            await self._serve(other.provider, other.application(), 0)
        self.hitpay.webhooks.start()

    async def stop(self) -> None:
        """End all waiting calls and close."""
        self.hitpay.reset()
        self.stripe.reset()
        for other in self.others:
            other.reset()
        await self.hitpay.webhooks.stop()
        for runner in self._runners.values():
            await runner.cleanup()

    async def set_listening(self, provider: str, on: bool) -> None:
        """Close a port, so that connections are refused, or open the same port again."""
        runner, site = self._runners[provider], self._sites.get(provider)
        if on and site is None:
            await self._listen(provider, int(self.urls[provider].rpartition(":")[2]))
        if not on and site is not None:
            await site.stop()
            del self._sites[provider]
            for connection in runner.server.connections if runner.server else ():
                connection.force_close()

    async def _serve(self, provider: str, app: web.Application, port: int) -> None:
        app.middlewares.insert(0, guarded)
        app.router.add_post("/_control/listening", self._listening_route(provider))
        # a short timeout is enough: waiting connections were ended before
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runners[provider] = runner
        await self._listen(provider, port)
        self.urls[provider] = f"http://{HOST}:{runner.addresses[0][1]}"

    async def _listen(self, provider: str, port: int) -> None:
        site = web.TCPSite(self._runners[provider], HOST, port)
        await site.start()
        self._sites[provider] = site

    def _listening_route(self, asked: str) -> Handler:
        """Close or open another provider's port: a closed one cannot be reopened through itself."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = decode_object(await request.read())
                provider, on = fields.text(body, "provider"), fields.flag(body, "on")
            except ValueError as error:
                return web.Response(status=400, text=str(error))
            if provider == asked or provider not in self._runners:
                return web.Response(status=400, text=f"{provider} is not reached through {asked}")
            await self.set_listening(provider, on)
            return web.Response(
                text=encode({"provider": provider, "on": on}), content_type="application/json"
            )

        return handle


class RunningSimulators:
    """Context manager: all servers in a thread of their own, for in-process tests."""

    def __init__(self, hitpay_port: int = 0, stripe_port: int = 0) -> None:
        self._ports = (hitpay_port, stripe_port)
        self._simulators = Simulators()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="simulators", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        started = self._simulators.start(*self._ports)
        try:
            asyncio.run_coroutine_threadsafe(started, self._loop).result(10)
        except BaseException:
            self._close()
            raise
        self.control = SimulatorControl(self.hitpay_url, self.stripe_url, self._other_urls())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.control.close()
        self._close()

    @property
    def hitpay_url(self) -> str:
        """The base URL of HitPay."""
        return self._simulators.hitpay_url

    @property
    def stripe_url(self) -> str:
        """The base URL of Stripe."""
        return self._simulators.stripe_url

    def _other_urls(self) -> dict[str, str]:
        others = {other.provider for other in self._simulators.others}
        return {name: url for name, url in self._simulators.urls.items() if name in others}

    def _close(self) -> None:
        try:
            stopped = self._simulators.stop()
            asyncio.run_coroutine_threadsafe(stopped, self._loop).result(10)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
