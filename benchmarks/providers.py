"""Both providers in a process of their own: the simulators, with one call only for the demo."""

import argparse
import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from deployed import paths
from deployed.polling import wait_for
from local.child_process import ChildProcess, clean_environment
from local.simulators import stripe_credit_notes, stripe_shapes
from local.simulators.calls import ApiCall, View
from local.simulators.client import SimulatorControl
from local.simulators.clock import Clock
from local.simulators.hitpay import DEFAULT_KEY as HITPAY_KEY
from local.simulators.json_text import JsonObject
from local.simulators.routes import add_api_routes
from local.simulators.server import Simulators
from local.simulators.stripe import DEFAULT_TEST_KEY as STRIPE_KEY
from local.simulators.stripe import StripeSimulator

INVOICE_UPDATE = "invoice.update"


@dataclass(frozen=True)
class Latencies:
    """How long the providers take to answer, in milliseconds."""

    stripe: int = 0
    charge: int = 0
    refund: int = 0


FIXED = Latencies(stripe=150, charge=100, refund=600)
AT_ONCE = Latencies()


@dataclass(frozen=True)
class ProviderProcess:
    """The running providers."""

    control: SimulatorControl

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the plain contenders find the providers."""
        return {
            "HITPAY_URL": self.control.hitpay_url,
            "STRIPE_URL": self.control.stripe_url,
            "HITPAY_API_KEY": HITPAY_KEY,
            "STRIPE_SECRET_KEY": STRIPE_KEY,
        }

    def set_latencies(self, latencies: Latencies) -> None:
        """Delay every answer by this time from now on."""
        set_latencies(self.control, latencies)


def set_latencies(control: SimulatorControl, latencies: Latencies) -> None:
    """Delay every answer by this time from now on; all other faults are cleared."""
    control.clear_faults()
    for provider, operation, milliseconds in (
        ("stripe", "*", latencies.stripe),
        ("hitpay", "charge.read", latencies.charge),
        ("hitpay", "refund.create", latencies.refund),
    ):
        if milliseconds:
            control.add_fault(provider, operation, "delay", times=None, seconds=milliseconds / 1000)


@contextmanager
def running_providers(directory: Path) -> Iterator[ProviderProcess]:
    """Start both, empty, answering at once."""
    announcement = directory / "providers.json"
    announcement.unlink(missing_ok=True)
    python = paths.executable(paths.DEV_ENVIRONMENT, "python")
    program = ["benchmarks.providers", "--announce", str(announcement)]
    log = directory / "providers.log"
    with ChildProcess(python, program, clean_environment(directory), log) as child:

        def announced() -> bool:
            if child.exit_code is not None:
                raise RuntimeError(f"the providers ended:\n{child.last_words()}")
            return announcement.is_file()

        wait_for(announced, "the providers", at_most=20)
        control = SimulatorControl.announced(announcement)
        try:
            yield ProviderProcess(control)
        finally:
            control.close()


class _StripeWithInvoices(StripeSimulator):
    """The simulator; it also answers an update of an invoice's metadata, without storing it."""

    def application(self) -> web.Application:
        app = super().application()
        add_api_routes(app, (("POST", "/v1/invoices/{id}", INVOICE_UPDATE),), self._exchange)
        return app

    def _do(self, call: ApiCall, view: View) -> JsonObject:
        if call.operation != INVOICE_UPDATE:
            return super()._do(call, view)
        invoice = self.book.invoice(call.target, livemode=False)
        credited = stripe_credit_notes.credited(self.book, invoice.id)
        return stripe_shapes.invoice_body(invoice, credited)


async def _serve(announce: Path) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    simulators = Simulators()
    known = simulators.stripe
    simulators.stripe = _StripeWithInvoices(known._plan, known._journal, Clock())
    try:
        await simulators.start()
        urls = {"hitpay_url": simulators.hitpay_url, "stripe_url": simulators.stripe_url}
        draft = announce.with_suffix(".draft")
        draft.write_text(json.dumps(urls))
        draft.replace(announce)
        await over.wait()
    finally:
        await simulators.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.providers")
    parser.add_argument("--announce", type=Path, required=True)
    asyncio.run(_serve(parser.parse_args().announce))
