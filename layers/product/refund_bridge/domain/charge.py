"""A processor's payment and its refunds, as a processor shows them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.money import Money

# The most refunds of one charge that are handled one by one; nobody makes as many by hand.
PROCESSOR_REFUNDS_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorRefund:
    """A refund as the processor shows it.

    Attributes:
        payment_id: the payment that it belongs to; empty for an unlinked refund.
        status: in our words: ``succeeded``, ``pending`` or ``failed``; the processor's own word is
            in ``processor_status``.
        refunded_at_ms: when the money moved, Unix milliseconds, if the processor says so.
        created_at_ms: when the processor made the refund, if it says so.
        instruction_id: the id of our refund whose instruction certainly made it; ``None`` if the
            processor does not show that.
        payment_method: where the money of an unlinked refund went, by the processor's id.
        failure_code: the processor's code for why it failed, if it gives one.
        failure_message: the processor's text on that; one short line, no secret.
        fee: what the processor charges for the refund, in a currency that it chooses; ``None`` if
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
        refunded: what the processor says was refunded in all, minor units.
        processor_refunds: the refunds that it lists, at most ``PROCESSOR_REFUNDS_MAX``; ``None`` if
            it lists more, or none in a form that can be read.
        method: the payment method's name at the processor, if it says so.
        arrival: when a refund's money reaches the customer, if the processor says so for the
            method.
        request_id: the id of the processor's payment request, if it says so.
        payment_intent: the PaymentIntent that the charge paid, if Stripe itself took it.
        shared: the member of Stripe's charge which says that somebody else got a part of the money;
            then a refund would also have to say whose part goes back.
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
        """What the charge shows as not refunded yet, minor units; negative if over-refunded.

        Refunds that it lists as pending count as refunded, also if its sum does not include them.
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
        refunded: what the list says was refunded in all, minor units; ``None`` if it does not say
            so, or not in a form that can be read.
        processor_refunds: ids of the refunds that it lists, without those that failed; empty if it
            lists none in a form that can be read.
    """

    id: str
    refunded: int | None
    processor_refunds: tuple[str, ...] = ()

    @classmethod
    def of(cls, charge: Charge) -> "ListedCharge":
        """The charge as an entry of the list."""
        listed = charge.processor_refunds or ()
        alive = tuple(one.id for one in listed if one.status is not ProcessorRefundStatus.FAILED)
        return cls(charge.id, charge.refunded, alive)
