"""Both simulators on free ports of 127.0.0.1, in this process or behind a context manager."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

from local.simulators import fields
from local.simulators.client import SimulatorControl
from local.simulators.clock import Clock
from local.simulators.control import Handler
from local.simulators.faults import FaultPlan
from local.simulators.hitpay import HitPaySimulator
from local.simulators.journal import Journal
from local.simulators.json_text import decode_object, encode
from local.simulators.stripe import StripeSimulator

HOST = "127.0.0.1"  # the control routes know no keys: never reachable from elsewhere


class Simulators:
    """Both servers in the running event loop, over one journal and one fault plan."""

    def __init__(self) -> None:
        plan, journal = FaultPlan(), Journal(Clock())
        self.hitpay = HitPaySimulator(plan, journal, Clock())
        self.stripe = StripeSimulator(plan, journal, Clock())
        self.hitpay_url = ""
        self.stripe_url = ""
        self._runners: dict[str, web.AppRunner] = {}
        self._sites: dict[str, web.TCPSite] = {}

    async def start(self, hitpay_port: int = 0, stripe_port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        self.hitpay_url = await self._serve("hitpay", self.hitpay.application(), hitpay_port)
        self.stripe_url = await self._serve("stripe", self.stripe.application(), stripe_port)
        self.hitpay.webhooks.start()

    async def stop(self) -> None:
        """Let go of every caller and close."""
        self.hitpay.reset()
        self.stripe.reset()
        await self.hitpay.webhooks.stop()
        for runner in self._runners.values():
            await runner.cleanup()

    async def set_listening(self, provider: str, on: bool) -> None:
        """Close a port, so that connections are refused, or open the same port again."""
        runner, site = self._runners[provider], self._sites.get(provider)
        if on and site is None:
            await self._listen(provider, int(self._url(provider).rpartition(":")[2]))
        if not on and site is not None:
            await site.stop()
            del self._sites[provider]
            for connection in runner.server.connections if runner.server else ():
                connection.force_close()

    async def _serve(self, provider: str, app: web.Application, port: int) -> str:
        other = "stripe" if provider == "hitpay" else "hitpay"
        # nobody could reopen a port through itself, so each one does it for the other
        app.router.add_post("/_control/listening", self._listening_route(other))
        # a short goodbye: held connections were let go of before
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runners[provider] = runner
        await self._listen(provider, port)
        return f"http://{HOST}:{runner.addresses[0][1]}"

    async def _listen(self, provider: str, port: int) -> None:
        site = web.TCPSite(self._runners[provider], HOST, port)
        await site.start()
        self._sites[provider] = site

    def _url(self, provider: str) -> str:
        return self.hitpay_url if provider == "hitpay" else self.stripe_url

    def _listening_route(self, provider: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                on = fields.flag(decode_object(await request.read()), "on")
            except ValueError as error:
                return web.Response(status=400, text=str(error))
            await self.set_listening(provider, on)
            return web.Response(
                text=encode({"provider": provider, "on": on}), content_type="application/json"
            )

        return handle


class RunningSimulators:
    """Context manager: both servers in a thread of their own, for in-process tests."""

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
        self.control = SimulatorControl(self.hitpay_url, self.stripe_url)
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

    def _close(self) -> None:
        try:
            stopped = self._simulators.stop()
            asyncio.run_coroutine_threadsafe(stopped, self._loop).result(10)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
