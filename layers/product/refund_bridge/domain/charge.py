"""A processor's payment and its refunds, as a processor shows them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.money import Money

# So many refunds of one charge can be told apart; nobody makes as many by hand.
PROCESSOR_REFUNDS_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorRefund:
    """A refund as the processor shows it.

    Attributes:
        payment_id: the payment that it belongs to; empty for an unlinked refund.
        status: ours: ``succeeded``, ``pending`` or ``failed``; the processor's own word is in
            ``processor_status``.
        refunded_at_ms: when the money moved, Unix milliseconds, if the processor says so.
        created_at_ms: when the processor made the refund, if it says so.
        instruction_id: our refund whose instruction made it, if the processor shows that; no other
            instruction did then.
        payment_method: where the money of an unlinked refund went, by the processor's id.
        failure_code: the processor's code for why it failed, if it gives one.
        failure_message: the processor's sentence on that; one short line, no secret.
        fee: what the processor takes for the refund, in a currency of its own choice; ``None`` if
            it does not say so, or not in a form that can be read exactly.
    """

    id: str
    payment_id: str
    money: Money
    status: "ProcessorRefundStatus"
    processor_status: str | None = None
    refunded_at_ms: int | None = None
    created_at_ms: int | None = None
    instruction_id: str | None = None
    payment_method: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    fee: Money | None = None


class ProcessorRefundStatus(StrEnum):
    """What became of a processor refund, in this product's words."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    FAILED = "failed"


class ChargeStatus(StrEnum):
    """Whether a charge can be refunded, in this product's words."""

    REFUNDABLE = "refundable"
    REFUNDED = "refunded"
    NOT_REFUNDABLE = "not_refundable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A payment as the processor shows it.

    Attributes:
        id: as the processor spells it.
        refunded: what it says was refunded in all, minor units.
        processor_refunds: the refunds it lists, at most ``PROCESSOR_REFUNDS_MAX``; ``None`` if it
            lists none in a form that can be read, or more.
        method: the payment method's name at the processor, if it says so.
        arrival: when a refund's money reaches the customer, if the processor says it of the method.
        request_id: the processor's id of what the customer was asked to pay, if it says so.
        payment_intent: the PaymentIntent that it paid, where Stripe itself took it.
        shared: the member that says that somebody else has a part of the money, so that a refund
            would have to say whose part goes back, too.
    """

    id: str
    status: ChargeStatus
    processor_status: str
    money: Money
    refunded: int
    processor_refunds: tuple[ProcessorRefund, ...] | None
    method: str | None = None
    arrival: Arrival | None = None
    request_id: str | None = None
    payment_intent: str | None = None
    shared: str | None = None

    @property
    def left(self) -> int:
        """What it shows as not refunded yet, minor units; below 0: more went back than was paid.

        What it lists as pending is on its way, whether or not its sum holds it already.
        """
        alive = (
            one
            for one in self.processor_refunds or ()
            if one.status is not ProcessorRefundStatus.FAILED
        )
        return self.money.amount - max(self.refunded, sum(one.money.amount for one in alive))


@dataclass(frozen=True, slots=True)
class ListedCharge:
    """A payment in the processor's list.

    Attributes:
        refunded: what it says was refunded in all, minor units; ``None`` if it does not say that,
            or not in a form that can be read.
        processor_refunds: ids of the refunds that it lists, but for those that failed; none if it
            lists none in a form that can be read.
    """

    id: str
    refunded: int | None
    processor_refunds: tuple[str, ...] = ()

    @classmethod
    def of(cls, charge: Charge) -> "ListedCharge":
        """The charge as the list has it."""
        listed = charge.processor_refunds or ()
        alive = tuple(one.id for one in listed if one.status is not ProcessorRefundStatus.FAILED)
        return cls(charge.id, charge.refunded, alive)
