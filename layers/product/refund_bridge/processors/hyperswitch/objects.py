"""Reads Hyperswitch's objects as its documents describe them.

Facts: https://api-reference.hyperswitch.io (refunds, payments) and, where these are silent, the
source of version 1 at https://github.com/juspay/hyperswitch: a payment without refunds shows null
in place of the list, refunds that are refused come with ``error_code`` and ``error_message``, and
the minor units are ISO 4217's.
"""

from typing import Any, Final

from refund_bridge.adapters.http.api_key import sentence
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

TITLE: Final = "Hyperswitch"
# If the payment went through Stripe, only these words are allowed as reason.
REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
# Stripe writes UGX with two decimals that are always 00 (``money.py``). Hyperswitch counts it in
# whole units, as ISO 4217 does.
_PLACES: Final = {"ugx": 0}
# By its source code, Hyperswitch refuses a refund of a payment in any other state.
_REFUNDABLE: Final = frozenset({"succeeded", "partially_captured"})
# ``review`` waits for a person at Hyperswitch; neither it nor any other word is final.
_PROCESSOR_REFUND_STATUS: Final = {
    "succeeded": ProcessorRefundStatus.SUCCEEDED,
    "failed": ProcessorRefundStatus.FAILED,
}


def written(money: Money) -> int | None:
    """The amount as Hyperswitch counts it; ``None`` if it cannot be written exactly."""
    surplus = exponent_of(money.currency) - _places(money.currency)
    amount, rest = divmod(money.amount, 10**surplus)
    return None if rest else amount


def read_processor_refund(source: Any, *, key_max: int, secret: str = "") -> ProcessorRefund:
    """Read a refund object.

    Once it has succeeded, the time of its last change counts as the time of refund. ``key_max`` is
    the most characters of a key; a key of that length may be ours cut short, so it does not name an
    instruction. ``secret`` is removed from Hyperswitch's messages.

    Raises:
        UnreadableAnswerError: an id, payment, amount, currency or status is missing or of a wrong
            type.
    """
    members = Members(source, TITLE)
    key = members.text("refund_id")
    word = members.text("status")
    status = _PROCESSOR_REFUND_STATUS.get(word.lower(), ProcessorRefundStatus.PENDING)
    done_ms = members.time_ms("updated_at") if status is ProcessorRefundStatus.SUCCEEDED else None
    money = _money(members, "amount")
    if money.amount <= 0:
        raise UnreadableAnswerError("a refund of Hyperswitch's has no positive amount")
    return ProcessorRefund(
        id=key,
        payment_id=members.text("payment_id"),
        money=money,
        status=status,
        processor_status=word,
        refunded_at_ms=done_ms,
        created_at_ms=members.time_ms("created_at"),
        instruction_id=instruction_id_of(key) if len(key) < key_max else None,
        failure_code=sentence(members.words("error_code"), secret=secret) or None,
        failure_message=sentence(members.words("error_message"), secret=secret) or None,
    )


def read_charge(source: Any, *, key_max: int) -> Charge:
    """Read a payment object; its amount is what was captured.

    Hyperswitch shows no sum of what was refunded, so the sum of the listed refunds that have
    succeeded is used.

    Raises:
        UnreadableAnswerError: an id, amount, currency or status is missing or of a wrong type, or
            the refunds cannot be read: then it is not known how much was refunded.
    """
    members = Members(source, TITLE)
    word = members.text("status")
    captured = "amount" if members.value("amount_received") is None else "amount_received"
    money = _money(members, captured)
    payment_id = members.text("payment_id")
    processor_refunds = _processor_refunds(
        members.value("refunds"), payment_id, money.currency, key_max
    )
    refunded = sum(
        item.money.amount
        for item in processor_refunds
        if item.status is ProcessorRefundStatus.SUCCEEDED
    )
    status = ChargeStatus.NOT_REFUNDABLE
    if word.lower() in _REFUNDABLE:
        is_all = refunded >= money.amount > 0
        status = ChargeStatus.REFUNDED if is_all else ChargeStatus.REFUNDABLE
    return Charge(
        id=payment_id,
        status=status,
        processor_status=word,
        money=money,
        refunded=refunded,
        processor_refunds=processor_refunds,
        method=members.words("payment_method") or None,
    )


def _processor_refunds(
    listed: Any, payment_id: str, currency: str, key_max: int
) -> tuple[ProcessorRefund, ...]:
    if listed is None:
        return ()
    if not isinstance(listed, list) or len(listed) > PROCESSOR_REFUNDS_MAX:
        raise UnreadableAnswerError("the refunds of a Hyperswitch payment are no readable list")
    processor_refunds = tuple(read_processor_refund(item, key_max=key_max) for item in listed)
    if any(
        (item.payment_id, item.money.currency) != (payment_id, currency)
        for item in processor_refunds
    ):
        raise UnreadableAnswerError("a Hyperswitch payment lists another payment's refunds")
    if len({item.id for item in processor_refunds}) < len(processor_refunds):
        raise UnreadableAnswerError("a Hyperswitch payment lists a refund twice")
    return processor_refunds


def _money(members: Members, name: str) -> Money:
    currency = members.currency()
    surplus = exponent_of(currency) - _places(currency)
    return Money(members.count(name) * 10**surplus, currency)


def _places(currency: str) -> int:
    return _PLACES.get(currency, exponent_of(currency))
