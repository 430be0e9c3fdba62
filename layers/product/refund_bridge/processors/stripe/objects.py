"""Reads Stripe's charge and its refunds as its documents describe them.

Facts: https://docs.stripe.com/api/charges/object and https://docs.stripe.com/api/refunds/object.
Amounts are integers in the currency's minor unit, times are Unix seconds.
"""

from typing import Any, Final

from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    Charge,
    ChargeStatus,
    ListedCharge,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.money import AMOUNT_MAX, Money
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.shared.accepting import instruction_id_of
from refund_bridge.processors.shared.answer_members import Members

TITLE: Final = "Stripe"
# The metadata key for our refund's id; Stripe shows it wherever it shows the refund.
INSTRUCTION_KEY: Final = "refund_bridge_id"
# Members of a charge which say that a connected account or a platform got a part of the money.
_SHARES: Final = (
    "transfer_data",
    "transfer",
    "destination",
    "application_fee_amount",
    "application_fee",
)
_STATUS: Final = {
    "succeeded": ProcessorRefundStatus.SUCCEEDED,
    # The customer must do something before the money moves.
    "requires_action": ProcessorRefundStatus.PENDING,
    "pending": ProcessorRefundStatus.PENDING,
    "failed": ProcessorRefundStatus.FAILED,
    "canceled": ProcessorRefundStatus.FAILED,
}


def read_charge(source: Any, processor_refunds: tuple[ProcessorRefund, ...] | None) -> Charge:
    """Read a charge, with the refunds that were listed for it.

    They are ``None`` unless together they sum up to at least what the charge says was refunded.
    From an incomplete list nobody could tell that a refund is *not* there.

    Raises:
        UnreadableAnswerError: an id, amount, currency or status is missing or of a wrong type.
    """
    members = Members(source, TITLE)
    word = members.text("status")
    captured = members.value("captured")
    if type(captured) is not bool:
        raise UnreadableAnswerError("Stripe's charge does not say whether it was captured")
    refunded = members.count("amount_refunded")
    listed = sum(
        one.money.amount
        for one in processor_refunds or ()
        if one.status is not ProcessorRefundStatus.FAILED
    )
    return Charge(
        id=members.text("id"),
        status=_status_of(word, captured=captured, fully=members.value("refunded") is True),
        processor_status=word,
        money=Money(members.count("amount_captured"), members.currency()),
        refunded=refunded,
        processor_refunds=None if listed < refunded else processor_refunds,
        payment_intent=members.optional_text("payment_intent"),
        shared=next(filter(members.value, _SHARES), None),
    )


def charges_of(refunds: list[Any]) -> tuple[ListedCharge, ...]:
    """The charges of a page of refunds, in its order; refunds without a charge are left out."""
    found: dict[str, list[str]] = {}
    for refund in refunds:
        charge = refund.get("charge") if isinstance(refund, dict) else None
        if not isinstance(charge, str) or not charge:
            continue
        listed = found.setdefault(charge, [])
        if _STATUS.get(str(refund.get("status"))) is not ProcessorRefundStatus.FAILED:
            listed.append(str(refund.get("id")))
    return tuple(ListedCharge(one, None, tuple(ids)) for one, ids in found.items())


def read_processor_refunds(listed: list[Any]) -> tuple[ProcessorRefund, ...] | None:
    """Read all refunds of a charge; ``None`` if one cannot be read, or there are too many."""
    if len(listed) > PROCESSOR_REFUNDS_MAX:
        return None
    try:
        processor_refunds = tuple(map(read_processor_refund, listed))
    except UnreadableAnswerError:
        return None
    return (
        None
        if len({one.id for one in processor_refunds}) < len(processor_refunds)
        else processor_refunds
    )


def read_processor_refund(source: Any) -> ProcessorRefund:
    """Read a refund.

    If it names no instruction of ours, its own id is set as ``instruction_id``: others made it,
    even if it has the amount of one of ours.

    Raises:
        UnreadableAnswerError: an id, charge, amount, currency or status is missing or of a wrong
            type.
    """
    members = Members(source, TITLE)
    refund_id, word = members.text("id"), members.text("status")
    amount = members.count("amount")
    if amount <= 0:
        raise UnreadableAnswerError("a refund of Stripe's has no positive amount")
    metadata = members.value("metadata")
    instruction = metadata.get(INSTRUCTION_KEY) if isinstance(metadata, dict) else None
    return ProcessorRefund(
        id=refund_id,
        payment_id=members.text("charge"),
        money=Money(amount, members.currency()),
        status=_STATUS.get(word, ProcessorRefundStatus.PENDING),
        processor_status=word,
        created_at_ms=_milliseconds(members.value("created")),
        instruction_id=(instruction_id_of(instruction) if isinstance(instruction, str) else None)
        or refund_id,
        failure_code=members.optional_text("failure_reason"),
    )


def _status_of(word: str, *, captured: bool, fully: bool) -> ChargeStatus:
    if word != "succeeded" or not captured:
        return ChargeStatus.NOT_REFUNDABLE
    return ChargeStatus.REFUNDED if fully else ChargeStatus.REFUNDABLE


def _milliseconds(seconds: Any) -> int | None:
    return seconds * 1000 if type(seconds) is int and 0 < seconds <= AMOUNT_MAX else None
