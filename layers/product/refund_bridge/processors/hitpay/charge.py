"""Reads HitPay's charge and its refunds; a charge that contradicts itself is unreadable.

Facts: https://docs.hitpayapp.com (charges).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    Charge,
    ChargeStatus,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.hitpay.arrival import arrival_of
from refund_bridge.processors.hitpay.members import (
    method_name,
    money_of,
    object_of,
    optional_text,
    text,
)
from refund_bridge.processors.hitpay.objects import CHARGE_STATUS, read_processor_refund


def read_charge(source: Any) -> Charge:
    """Read a charge object.

    Its ``processor_refunds`` are ``None`` unless the ``refunds`` are listed, every item can be read
    and together they sum up to what the charge says was refunded. From an incomplete list nobody
    could tell that a refund is *not* there.

    Raises:
        UnreadableAnswerError: an id, amount, currency or status is missing or of a wrong type, or
            what it says of its refunds contradicts its status.
    """
    source = object_of(source)
    word = text(source, "status")
    status = CHARGE_STATUS.get(word.lower(), ChargeStatus.NOT_REFUNDABLE)
    money = money_of(source.get("amount"), text(source, "currency"))
    method = method_name(source.get("payment_method"))
    bare = Charge(
        id=text(source, "id"),
        status=status,
        processor_status=word,
        money=money,
        refunded=0,
        processor_refunds=None,
        method=method,
        arrival=arrival_of(method),
        request_id=optional_text(source, "payment_request_id"),
    )
    processor_refunds = _processor_refunds(source.get("refunds"), bare)
    alive = [m for m in processor_refunds or () if m.status is not ProcessorRefundStatus.FAILED]
    listed = sum(m.money.amount for m in alive)
    refunded = _refunded(
        source.get("refunded_amount"), bare, None if processor_refunds is None else listed
    )
    _require_consistent(bare, refunded, listed)
    is_whole = processor_refunds is not None and listed >= refunded
    return replace(
        bare,
        refunded=refunded,
        processor_refunds=_with_those_that_happened(processor_refunds, refunded)
        if is_whole
        else None,
    )


def _processor_refunds(listed: Any, charge: Charge) -> tuple[ProcessorRefund, ...] | None:
    if not isinstance(listed, list) or len(listed) > PROCESSOR_REFUNDS_MAX:
        return None
    try:
        processor_refunds = tuple(read_processor_refund(item, within=charge) for item in listed)
    except UnreadableAnswerError:
        return None
    elsewhere = any(
        (item.payment_id, item.money.currency) != (charge.id, charge.money.currency)
        for item in processor_refunds
    )
    twice = len({item.id for item in processor_refunds}) < len(processor_refunds)
    return None if elsewhere or twice else processor_refunds


def _refunded(value: Any, charge: Charge, listed: int | None) -> int:
    """What was refunded in all; if the documented member is missing, the list's sum is used."""
    if value is not None:
        return money_of(value, charge.money.currency).amount
    if charge.status is ChargeStatus.REFUNDED:
        return charge.money.amount
    if listed is not None:
        return listed
    return 0


def _require_consistent(charge: Charge, refunded: int, listed: int) -> None:
    """Refuse a charge whose status and sums cannot both be true: nothing may be sent on it.

    ``listed`` counts pending refunds too, which may or may not be in ``refunded`` yet.
    """
    amount, known = charge.money.amount, max(refunded, listed)
    is_partly = charge.processor_status.lower() == "partially_refunded"
    if (
        # More than was paid is believed only if the listed refunds sum up to it.
        refunded > max(amount, listed)
        or (charge.status is ChargeStatus.REFUNDED and known < amount)
        or (is_partly and not known)
    ):
        raise UnreadableAnswerError(
            f"a HitPay charge is {charge.processor_status} with {refunded} of {amount} refunded"
        )


def _with_those_that_happened(
    processor_refunds: tuple[ProcessorRefund, ...] | None, refunded: int
) -> tuple[ProcessorRefund, ...] | None:
    """The refunds of a charge; for those without status and time, the charge's sum decides.

    HitPay's older samples show such refunds. They have succeeded if the charge's sum includes them.
    """
    undecided = [
        m for m in processor_refunds or () if m.processor_status is None and _is_pending(m)
    ]
    pending = [
        m for m in processor_refunds or () if m.processor_status is not None and _is_pending(m)
    ]
    succeeded = [m for m in processor_refunds or () if m.status is ProcessorRefundStatus.SUCCEEDED]
    rest = refunded - _sum(succeeded)
    # A refund that HitPay calls pending may be in the sum or not. If such refunds can also explain
    # the sum, it decides nothing.
    with_them = rest in (_sum(undecided), _sum(undecided) + _sum(pending))
    if not undecided or not with_them or rest == _sum(pending):
        return processor_refunds
    happened = {m.id for m in undecided}
    return tuple(
        replace(m, status=ProcessorRefundStatus.SUCCEEDED) if m.id in happened else m
        for m in processor_refunds or ()
    )


def _is_pending(processor_refund: ProcessorRefund) -> bool:
    return processor_refund.status is ProcessorRefundStatus.PENDING


def _sum(processor_refunds: Iterable[ProcessorRefund]) -> int:
    return sum(processor_refund.money.amount for processor_refund in processor_refunds)
