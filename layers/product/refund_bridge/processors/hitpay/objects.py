"""Reads HitPay's refunds and payment requests as its documents describe them.

Members that the product does not use are ignored. A wrong type of a member that it uses makes the
whole answer unreadable. Facts: https://docs.hitpayapp.com (refunds, payment requests).
"""

from typing import Any, Final

from refund_bridge.domain.charge import Charge, ChargeStatus, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.hitpay.members import (
    fee_of,
    money_of,
    object_of,
    optional_text,
    text,
    time_ms,
)

CHARGE_STATUS: Final = {
    "succeeded": ChargeStatus.REFUNDABLE,
    "succeeded_manually": ChargeStatus.REFUNDABLE,
    "partially_refunded": ChargeStatus.REFUNDABLE,
    "refunded": ChargeStatus.REFUNDED,
}
# Not documented for refunds, but each can only mean that no money goes to the customer. With any
# other unknown word the refund stays pending until HitPay says a word that is known.
_FAILED: Final = frozenset({"failed", "canceled", "cancelled"})


def read_processor_refund(source: Any, *, within: Charge | None = None) -> ProcessorRefund:
    """Read a refund object, or an item of a charge's ``refunds``, which may lack some members.

    ``within`` is the charge of an item: it gives the payment id and the currency if the item leaves
    them out. If the status is null or absent, the refund has succeeded if it has ``refunded_at``
    (as in the older samples); if not, it is pending.

    Raises:
        UnreadableAnswerError: an id, payment, amount or currency is missing or of a wrong type.
    """
    source = object_of(source)
    payment_id = optional_text(source, "payment_id") or (within.id if within else None)
    currency = optional_text(source, "currency") or (within.money.currency if within else None)
    if payment_id is None or currency is None:
        raise UnreadableAnswerError("a refund of HitPay's names no payment or no currency")
    member = "amount" if source.get("amount_refunded") is None else "amount_refunded"
    money = money_of(source.get(member), currency)
    if money.amount <= 0:
        raise UnreadableAnswerError("a refund of HitPay's has no positive amount")
    word = optional_text(source, "status")
    refunded_at_ms = time_ms(source, "refunded_at")
    return ProcessorRefund(
        id=text(source, "id"),
        payment_id=payment_id,
        money=money,
        status=_processor_refund_status(word, refunded_at_ms),
        processor_status=word,
        refunded_at_ms=refunded_at_ms,
        created_at_ms=time_ms(source, "created_at"),
        fee=fee_of(source),
    )


def read_reference_number(source: Any) -> str | None:
    """The merchant's own reference of a payment request; text of an odd form is ignored."""
    reference = object_of(source).get("reference_number")
    is_text = isinstance(reference, str) and 0 < len(reference) <= 255 and reference.isprintable()
    return reference if is_text else None


def read_succeeded_payments(source: Any) -> list[str]:
    """The ids of a payment request's captured payments, also of those refunded since.

    Raises:
        UnreadableAnswerError: ``payments`` is no list of objects with an id and a status.
    """
    payments = object_of(source).get("payments")
    if payments is None:
        return []
    if not isinstance(payments, list):
        raise UnreadableAnswerError("payments of a HitPay payment request is not a list")
    items = [object_of(payment) for payment in payments]
    return [text(item, "id") for item in items if text(item, "status").lower() in CHARGE_STATUS]


def _processor_refund_status(word: str | None, refunded_at_ms: int | None) -> ProcessorRefundStatus:
    if word is None:
        return (
            ProcessorRefundStatus.PENDING
            if refunded_at_ms is None
            else ProcessorRefundStatus.SUCCEEDED
        )
    if word.lower() == "succeeded":
        return ProcessorRefundStatus.SUCCEEDED
    return (
        ProcessorRefundStatus.FAILED if word.lower() in _FAILED else ProcessorRefundStatus.PENDING
    )
