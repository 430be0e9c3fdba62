"""Hedge Payments' payment, which carries its refunds, read as its documents describe it.

Facts: https://hedgepayments.com/docs (payments, refunds). Amounts are integers, "in cents".
"""

from typing import Any, Final

from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    Charge,
    ChargeStatus,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.money import Money, exponent_of
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.shared.accepting import instruction_id_of
from refund_bridge.processors.shared.answer_members import Members

TITLE: Final = "Hedge Payments"
# The metadata key for our refund's id. It is not documented whether Hedge shows it again; if it
# does, the refund is certain to be ours.
INSTRUCTION_KEY: Final = "refund_bridge_id"
# Our word for a reason, and Hedge's; any other text is passed on as it is.
REASONS: Final = {"requested_by_customer": "customer_requested"}
CENTS_PLACES: Final = 2
_CHARGE_STATUS: Final = {
    "succeeded": ChargeStatus.REFUNDABLE,
    "partially_refunded": ChargeStatus.REFUNDABLE,
    "refunded": ChargeStatus.REFUNDED,
}
# Only ``succeeded`` is documented. The others here can only mean that no money goes to the
# customer. A refund with any other status is not final.
_PROCESSOR_REFUND_STATUS: Final = {
    "succeeded": ProcessorRefundStatus.SUCCEEDED,
    "failed": ProcessorRefundStatus.FAILED,
    "canceled": ProcessorRefundStatus.FAILED,
    "cancelled": ProcessorRefundStatus.FAILED,
}
# A payment's method is ``card`` both for credit cards (5 to 10 days) and debit cards (3 to 5).
_ARRIVAL: Final = {
    "card": Arrival(3, 10),
    "credit_card": Arrival(5, 10),
    "debit_card": Arrival(3, 5),
    "ach": Arrival(5, 7),
}


def is_in_cents(currency: str) -> bool:
    """Whether the currency's minor unit is the hundredth, so that it is clear what a cent is."""
    return exponent_of(currency) == CENTS_PLACES


def read_charge(source: Any) -> Charge:
    """Read a payment object.

    Its ``processor_refunds`` are ``None`` unless the ``refunds`` are listed, every item can be read
    and together they sum up to at least what the payment says was refunded. From an incomplete list
    nobody could tell that a refund is *not* there.

    Raises:
        UnreadableAnswerError: an id, amount, currency or status is missing or of a wrong type.
    """
    members = Members(source, TITLE)
    word = members.text("status")
    payment_id = members.text("id")
    money = Money(members.count("amount"), members.currency())
    refunded = members.count("refunded_amount")
    processor_refunds = _processor_refunds(members.value("refunds"), payment_id, money.currency)
    listed = sum(
        item.money.amount
        for item in processor_refunds or ()
        if item.status is not ProcessorRefundStatus.FAILED
    )
    method = members.words("payment_method") or None
    return Charge(
        id=payment_id,
        status=_CHARGE_STATUS.get(word.lower(), ChargeStatus.NOT_REFUNDABLE),
        processor_status=word,
        money=money,
        refunded=refunded,
        processor_refunds=None if listed < refunded else processor_refunds,
        method=method,
        arrival=_ARRIVAL.get((method or "").lower()),
    )


def _processor_refunds(
    listed: Any, payment_id: str, currency: str
) -> tuple[ProcessorRefund, ...] | None:
    if not isinstance(listed, list) or len(listed) > PROCESSOR_REFUNDS_MAX:
        return None
    try:
        processor_refunds = tuple(_processor_refund(item, payment_id, currency) for item in listed)
    except UnreadableAnswerError:
        return None
    return (
        None
        if len({item.id for item in processor_refunds}) < len(processor_refunds)
        else processor_refunds
    )


def _processor_refund(source: Any, payment_id: str, currency: str) -> ProcessorRefund:
    """Read an item of a payment's ``refunds``, which names neither payment nor currency."""
    members = Members(source, TITLE)
    word = members.text("status")
    amount = members.count("amount")
    if amount <= 0:
        raise UnreadableAnswerError("a refund of Hedge Payments' has no positive amount")
    metadata = members.value("metadata")
    instruction = metadata.get(INSTRUCTION_KEY) if isinstance(metadata, dict) else None
    return ProcessorRefund(
        id=members.text("id"),
        payment_id=payment_id,
        money=Money(amount, currency),
        status=_PROCESSOR_REFUND_STATUS.get(word.lower(), ProcessorRefundStatus.PENDING),
        processor_status=word,
        created_at_ms=members.time_ms("created_at"),
        instruction_id=instruction_id_of(instruction) if isinstance(instruction, str) else None,
    )
