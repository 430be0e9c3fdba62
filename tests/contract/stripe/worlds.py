"""``ports.stripe.StripeReports`` in memory, and as Stripe's simulator over HTTP."""

from collections.abc import Mapping
from typing import Protocol

from local.simulators.client import SimulatorControl
from local.simulators.json_text import JsonObject
from local.simulators.seeding import Seed
from local.simulators.stripe import DEFAULT_TEST_KEY
from refund_bridge.adapters.http.client import Limits
from refund_bridge.adapters.stripe.reports import StripeSdkReports
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import StripeReports
from tests.contract.real_time import FixedKey, RealClock, closed_port_url, wait_until
from tests.descriptions.overseen_http import OverseenHttp
from tests.descriptions.stripe_api import StripeApi
from tests.fakes.stripe_fates import AnswerLost, BookedLate, Fails, ReportLost, TurnedAway
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.stripe_reports import FakeStripeReports
from tests.fakes.virtual_clock import VirtualClock

REPORT = "payment_record.report_refund"


class StripeWorld(Protocol):
    """Stripe, and the hands that reach behind it."""

    @property
    def stripe(self) -> StripeReports: ...

    def now_s(self) -> int: ...

    def deadline(self) -> Deadline: ...

    def add_record(self, record: FakeRecord) -> None: ...

    def add_intent(self, name: str, metadata: Mapping[str, str]) -> None: ...

    def add_invoice(self, name: str, metadata: Mapping[str, str]) -> None: ...

    def unreachable(self) -> StripeReports:
        """Stripe, with nobody listening for the next report."""

    def lose_report(self) -> None: ...

    def lose_answer(self) -> None: ...

    def book_late(self) -> None: ...

    def wait_for_late(self) -> None: ...

    def fail(self, *, booked: bool) -> None: ...

    def turn_away(self, status: int) -> None: ...

    def fail_reads(self) -> None: ...

    def forget_keys(self) -> None: ...

    def references(self, record: str) -> list[str]:
        """The refund references that are booked on a record."""


class MemoryStripeWorld:
    """Stripe in memory, on a clock that stands still."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self._clock = clock or VirtualClock()
        self.stripe = FakeStripeReports(self._clock)

    def now_s(self) -> int:
        return self._clock.now_ms() // 1000

    def deadline(self) -> Deadline:
        return self._clock.deadline()

    def add_record(self, record: FakeRecord) -> None:
        self.stripe.add_record(record)

    def add_intent(self, name: str, metadata: Mapping[str, str]) -> None:
        self.stripe.add_reference(name, metadata)

    def add_invoice(self, name: str, metadata: Mapping[str, str]) -> None:
        self.stripe.add_reference(name, metadata)

    def unreachable(self) -> StripeReports:
        self.lose_report()
        return self.stripe

    def lose_report(self) -> None:
        self.stripe.fates.append(ReportLost())

    def lose_answer(self) -> None:
        self.stripe.fates.append(AnswerLost())

    def book_late(self) -> None:
        self.stripe.fates.append(BookedLate(60_000))

    def wait_for_late(self) -> None:
        self._clock.advance(60_000)
        self.stripe.catch_up()

    def fail(self, *, booked: bool) -> None:
        self.stripe.fates.append(Fails(booked=booked))

    def turn_away(self, status: int) -> None:
        self.stripe.fates.append(TurnedAway(1 if status == 429 else None))

    def fail_reads(self) -> None:
        self.stripe.is_down = True

    def forget_keys(self) -> None:
        self.stripe.forget_keys()

    def references(self, record: str) -> list[str]:
        return [item.parameters.refund_reference for item in self.stripe.books.reports_of(record)]


class SimulatedStripeWorld:
    """The Stripe adapter against Stripe's simulator."""

    def __init__(self, control: SimulatorControl) -> None:
        self._control = control
        self._clock = RealClock()
        limits = Limits(exchange_ms=2_000)
        self._http = OverseenHttp(self._clock, control, StripeApi(), limits=limits)
        self.stripe = self._reports(control.stripe_url)

    def close(self) -> None:
        self._http.close()

    def _reports(self, url: str) -> StripeSdkReports:
        return StripeSdkReports(base_url=url, key=FixedKey(DEFAULT_TEST_KEY), http=self._http)

    def unreachable(self) -> StripeSdkReports:
        return self._reports(closed_port_url())

    def now_s(self) -> int:
        return self._clock.now_ms() // 1000

    def deadline(self) -> Deadline:
        return Deadline.after(self._clock, 10_000)

    def add_record(self, record: FakeRecord) -> None:
        source: JsonObject = {
            "id": record.id,
            "amount": record.requested,
            "guaranteed": record.guaranteed,
            "canceled": record.canceled,
            "currency": record.currency,
            "livemode": record.livemode,
            "metadata": dict(record.metadata),
            "payment_reference": record.payment_reference,
        }
        self._control.seed(Seed(payment_records=(source,)))

    def add_intent(self, name: str, metadata: Mapping[str, str]) -> None:
        self._control.seed(Seed(payment_intents=(_reference(name, metadata),)))

    def add_invoice(self, name: str, metadata: Mapping[str, str]) -> None:
        self._control.seed(Seed(invoices=(_reference(name, metadata),)))

    def lose_report(self) -> None:
        self._control.add_fault("stripe", REPORT, "lost_request")

    def lose_answer(self) -> None:
        self._control.add_fault("stripe", REPORT, "commit_then_reset")

    def book_late(self) -> None:
        self._control.add_fault("stripe", REPORT, "late_commit", seconds=3600, hold_seconds=0)

    def wait_for_late(self) -> None:
        self._control.let_late_arrive("stripe")
        wait_until(lambda: self._control.calls("stripe", REPORT)[-1].processed)

    def fail(self, *, booked: bool) -> None:
        fault = "status_after_commit" if booked else "status"
        self._control.add_fault("stripe", REPORT, fault, status=500)

    def turn_away(self, status: int) -> None:
        self._control.add_fault("stripe", REPORT, "status", status=status)

    def fail_reads(self) -> None:
        for operation in ("payment_record.read", "payment_intent.read", "invoice.read"):
            self._control.add_fault("stripe", operation, "status", times=None, status=503)

    def forget_keys(self) -> None:
        self._control.forget_idempotency_keys()

    def references(self, record: str) -> list[str]:
        return [report.refund_reference for report in self._control.reports(record)]


def _reference(name: str, metadata: Mapping[str, str]) -> JsonObject:
    common: JsonObject = {"amount": 9999, "currency": "sgd", "livemode": False}
    return {"id": name, "metadata": dict(metadata), **common}
