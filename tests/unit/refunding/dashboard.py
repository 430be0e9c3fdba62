"""What somebody does in the processor's dashboard and in Stripe's, and what is learnt of it."""

from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_record import StripeReference
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import Source
from refund_bridge.domain.report import ReportParameters
from refund_bridge.observing.observe_payment import Observed
from tests.fakes.world import World

CHARGE = PaymentKey("hitpay", "charge-1")
DAY_MS = 86_400_000
SWEEP_MS = 240_000


def linked_world() -> World:
    """One payment of SGD 99.99 that leads from the charge to ``pr_1`` by its PaymentIntent."""
    made = World()
    made.pay()
    made.processor.references["charge-1"] = "pi_1"
    made.stripe.references["pi_1"] = intent("pr_1")
    return made


def intent(record: str | None) -> StripeReference:
    named = {} if record is None else {"stripe_payment_record_id": record}
    return StripeReference(id="pi_1", livemode=False, metadata=named)


def observe(world: World) -> Observed:
    return world.observe(CHARGE, world.deadline())


def imported(world: World) -> list[Refund]:
    found = [one for one in world.ledger.refunds.values() if one.source is Source.PROCESSOR]
    return sorted(found, key=lambda refund: refund.amount)


def report_elsewhere(world: World, processor_refund: ProcessorRefund) -> None:
    """Somebody tells Stripe of the processor refund, by a reference of their own."""
    world.stripe.report_elsewhere(
        ReportParameters(
            payment_record="pr_1",
            amount=processor_refund.money.amount,
            currency="sgd",
            refund_reference=f"elsewhere-{processor_refund.id}",
            initiated_at_s=1,
            refunded_at_s=world.clock.now_ms() // 1000,
        )
    )
