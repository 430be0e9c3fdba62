"""A colleague: refunds in the processor's dashboard, and reports to Stripe in their own way.

Honest, but not careful: they report each processor refund at most once, with the amount that it
moved, after it has succeeded. But they do not check whether somebody else has reported it or will.
"""

from collections.abc import Callable
from functools import partial
from itertools import count

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.refund import STRIPE
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.stripe import ReportAccepted
from tests.fakes.processor_books import FakeRefund
from tests.simulation.others import Booking, Foreign, Name
from tests.simulation.processor import SimulatedProcessor
from tests.simulation.stage import Stage


class Colleague:
    """Somebody at both dashboards.

    Attributes:
        tickets: the processor refund that each of their own references stands for.
        booked_ms: when they reported each processor refund.
        plans: how many refunds and reports they still plan.
    """

    def __init__(self, stage: Stage) -> None:
        self.tickets: dict[str, str] = {}
        self.plans = 0
        self._stage = stage
        self._numbers = count(4711)
        self.booked_ms: dict[str, int] = {}
        for foreign in stage.options.foreign:
            self._plan(foreign)

    def saw(self, made: FakeRefund) -> None:
        """A processor refund has begun, whoever made it; sometimes the colleague reports it."""
        others, random = self._stage.options.others, self._stage.random
        if others.books and made.processor_refund.payment_id and random.random() < others.books:
            self._later(made, random.choice(others.bookings))

    def _plan(self, foreign: Foreign) -> None:
        stage = self._stage
        home, charge_id = stage.home(foreign.payment), f"charge-{foreign.payment}"
        refund = partial(self._refund, home, foreign)
        if foreign.at_first_sight:
            home.on_first_sight[charge_id] = partial(self._soon, foreign.at_ms, refund)
        else:
            stage.scheduler.at(foreign.at_ms, refund)

    def _soon(self, wait_ms: int, refund: Callable[[], None]) -> None:
        """The world does not end before it."""
        self.plans += 1

        def planned() -> None:
            self.plans -= 1
            refund()

        self._stage.scheduler.after(wait_ms, planned)

    def _refund(self, processor: SimulatedProcessor, foreign: Foreign) -> None:
        made = processor.refund_in_dashboard(
            f"charge-{foreign.payment}", foreign.amount, fails=foreign.fails, age_ms=foreign.age_ms
        )
        how = "" if made else "not possible"
        self._stage.gate.note("dashboard refund", how, made or foreign)
        if made is not None and foreign.booking is not None:
            self._later(made, foreign.booking)

    def _later(self, made: FakeRefund, booking: Booking) -> None:
        if made.processor_refund.id.startswith(STRIPE):
            return  # Stripe made it itself: nobody reports it
        self.plans += 1
        self._stage.scheduler.after(booking.wait_ms, partial(self._book, made, booking))

    def _book(self, made: FakeRefund, booking: Booking) -> None:
        self.plans -= 1
        processor_refund, scheduler = made.processor_refund, self._stage.scheduler
        if processor_refund.id in self.booked_ms:
            return
        if processor_refund.status is not ProcessorRefundStatus.SUCCEEDED:
            if made.last is ProcessorRefundStatus.SUCCEEDED:
                self.plans += 1
                scheduler.at(made.last_ms + booking.wait_ms, partial(self._book, made, booking))
            return
        self.tell_stripe(
            made, booking.name, "pr_" + processor_refund.payment_id.removeprefix("charge-")
        )

    def tell_stripe(self, made: FakeRefund, name: Name, record: str) -> None:
        """Report the processor refund to Stripe, under its own id or a ticket's number."""
        stage, processor_refund = self._stage, made.processor_refund
        ticket = f"ticket-{next(self._numbers)}"
        reference = processor_refund.id if name is Name.PROCESSOR_REFUND else ticket
        self.tickets[reference] = processor_refund.id
        now_s = stage.true_clock.now_ms() // 1000
        outcome = stage.stripe.inner.report_elsewhere(
            ReportParameters(
                payment_record=record,
                amount=processor_refund.money.amount,
                currency=processor_refund.money.currency,
                refund_reference=reference,
                initiated_at_s=now_s,
                refunded_at_s=now_s,
            )
        )
        if isinstance(outcome, ReportAccepted):
            self.booked_ms[processor_refund.id] = stage.scheduler.now_ms
        stage.gate.note(
            "reported elsewhere", type(outcome).__name__, (reference, processor_refund.id)
        )
