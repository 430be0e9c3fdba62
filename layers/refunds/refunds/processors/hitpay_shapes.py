"""HitPay's objects, read as its documents describe them and no more freely.

Amounts are JSON numbers in the major unit (or strings of one), ids and statuses strings. Members
that the product does not use are not looked at; of those that it uses, a wrong type makes the
whole answer unreadable. Facts: https://docs.hitpayapp.com (refunds, charges, payment requests).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from refunds.money import AmountNotRepresentableError, Money, money_from_major
from refunds.ports import (
    MOVEMENTS_MAX,
    Charge,
    ChargePage,
    ChargeStatus,
    ListedCharge,
    Movement,
    MovementStatus,
    UnreadableAnswerError,
)
from refunds.processors.hitpay_arrival import arrival_of

# The parameters by which the two forms of a list lead on.
CURSOR: Final = "cursor"
PAGE: Final = "page"
# A time without an offset is Singapore's, which has had no other offset since 1982.
SINGAPORE: Final = timezone(timedelta(hours=8))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AMOUNT: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,8})?", re.ASCII)
_CHARGE_STATUS: Final = {
    "succeeded": ChargeStatus.REFUNDABLE,
    "partially_refunded": ChargeStatus.REFUNDABLE,
    "refunded": ChargeStatus.REFUNDED,
}
# Not documented for refunds, but each can mean only that no money goes to the customer. A word
# that is not here is not final: the refund stays pending until HitPay says something known.
_FAILED: Final = frozenset({"failed", "canceled", "cancelled"})


def read_movement(source: Any, *, within: Charge | None = None) -> Movement:
    """A refund object, or an item of a charge's ``refunds``, which may be a part of one.

    ``within`` is the charge of an item: it gives the payment id and the currency where the item
    leaves them out. A status that is null or absent means success if ``refunded_at`` is there (the
    older samples), and pending if not.

    Raises:
        UnreadableAnswerError: no id, payment, amount or currency, or not of their types.
    """
    source = _object(source)
    payment_id = _optional_text(source, "payment_id") or (within.id if within else None)
    currency = _optional_text(source, "currency") or (within.money.currency if within else None)
    if payment_id is None or currency is None:
        raise UnreadableAnswerError("a refund of HitPay's names no payment or no currency")
    member = "amount" if source.get("amount_refunded") is None else "amount_refunded"
    money = _money(source.get(member), currency)
    if money.amount <= 0:
        raise UnreadableAnswerError("a refund of HitPay's has no positive amount")
    word = _optional_text(source, "status")
    refunded_at_ms = _time_ms(source, "refunded_at")
    return Movement(
        id=_text(source, "id"),
        payment_id=payment_id,
        money=money,
        status=_movement_status(word, refunded_at_ms),
        processor_status=word,
        refunded_at_ms=refunded_at_ms,
        created_at_ms=_time_ms(source, "created_at"),
    )


def read_charge(source: Any) -> Charge:
    """A charge object.

    Its ``movements`` are ``None`` unless the ``refunds`` are listed, every item can be read, and
    together they account for what the charge says was refunded: from a list with a gap nobody could
    tell that a refund is *not* there.

    Raises:
        UnreadableAnswerError: an id, amount, currency or status is missing or of a wrong type, or
            it was refunded in part and does not say how much.
    """
    source = _object(source)
    word = _text(source, "status")
    status = _CHARGE_STATUS.get(word.lower(), ChargeStatus.NOT_REFUNDABLE)
    money = _money(source.get("amount"), _text(source, "currency"))
    method = _method(source.get("payment_method"))
    bare = Charge(
        id=_text(source, "id"),
        status=status,
        processor_status=word,
        money=money,
        refunded=0,
        movements=None,
        method=method,
        arrival=arrival_of(method),
        request_id=_optional_text(source, "payment_request_id"),
    )
    movements = _movements(source.get("refunds"), bare)
    listed = sum(m.money.amount for m in movements or () if m.status is not MovementStatus.FAILED)
    refunded = _refunded(source.get("refunded_amount"), bare, None if movements is None else listed)
    return Charge(
        id=bare.id,
        status=status,
        processor_status=word,
        money=money,
        refunded=refunded,
        movements=None if listed < refunded else movements,
        method=bare.method,
        arrival=bare.arrival,
        request_id=bare.request_id,
    )


def read_page(source: Any) -> ChargePage:
    """A page of charges, in either of the forms that are known of Laravel's paginators.

    HitPay's reference has ``meta.next_cursor``; a numbered page says ``current_page`` and has a
    ``next_page_url`` unless it is the last. The cursor says which, since the next page is asked for
    by another parameter. A charge that cannot be read is listed all the same, by its id.

    Raises:
        UnreadableAnswerError: it is neither.
    """
    source = _object(source)
    items = source.get("data")
    if not isinstance(items, list):
        raise UnreadableAnswerError("HitPay's list of charges has no data")
    charges = tuple(_listed(_object(item)) for item in items)
    meta = source.get("meta")
    if isinstance(meta, dict):
        following = _optional_text(meta, "next_cursor")
        return ChargePage(charges, following and urlencode({CURSOR: following}))
    number = source.get("current_page")
    if type(number) is not int:
        raise UnreadableAnswerError("HitPay's list of charges does not say which page it is")
    more = source.get("next_page_url") is not None
    return ChargePage(charges, f"{PAGE}={number + 1}" if more else None)


def _listed(item: dict[str, Any]) -> ListedCharge:
    try:
        charge = read_charge(item)
    except UnreadableAnswerError:
        return ListedCharge(_text(item, "id"), None)
    return ListedCharge.of(charge)


def read_reference_number(source: Any) -> str | None:
    """The merchant's own reference of a payment request; text of an odd form is none."""
    reference = _object(source).get("reference_number")
    is_text = isinstance(reference, str) and 0 < len(reference) <= 255 and reference.isprintable()
    return reference if is_text else None


def read_succeeded_payments(source: Any) -> list[str]:
    """The ids of a payment request's payments that were captured, refunded since or not.

    Raises:
        UnreadableAnswerError: ``payments`` is no list of objects with an id and a status.
    """
    payments = _object(source).get("payments")
    if payments is None:
        return []
    if not isinstance(payments, list):
        raise UnreadableAnswerError("payments of a HitPay payment request is not a list")
    items = [_object(payment) for payment in payments]
    return [_text(item, "id") for item in items if _text(item, "status").lower() in _CHARGE_STATUS]


def _movements(listed: Any, charge: Charge) -> tuple[Movement, ...] | None:
    if not isinstance(listed, list) or len(listed) > MOVEMENTS_MAX:
        return None
    try:
        movements = tuple(read_movement(item, within=charge) for item in listed)
    except UnreadableAnswerError:
        return None
    elsewhere = any(
        (item.payment_id, item.money.currency) != (charge.id, charge.money.currency)
        for item in movements
    )
    twice = len({item.id for item in movements}) < len(movements)
    return None if elsewhere or twice else movements


def _refunded(value: Any, charge: Charge, listed: int | None) -> int:
    """What was refunded in all; documented, but where it is left out the list says it."""
    if value is not None:
        return _money(value, charge.money.currency).amount
    if charge.status is ChargeStatus.REFUNDED:
        return charge.money.amount
    if listed is not None:
        return listed
    if charge.processor_status.lower() == "partially_refunded":
        raise UnreadableAnswerError("a HitPay charge does not say how much of it was refunded")
    return 0


def _movement_status(word: str | None, refunded_at_ms: int | None) -> MovementStatus:
    if word is None:
        return MovementStatus.PENDING if refunded_at_ms is None else MovementStatus.SUCCEEDED
    if word.lower() == "succeeded":
        return MovementStatus.SUCCEEDED
    return MovementStatus.FAILED if word.lower() in _FAILED else MovementStatus.PENDING


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableAnswerError("HitPay answered with something that is no JSON object")
    return value


def _text(source: dict[str, Any], name: str) -> str:
    text = _optional_text(source, name)
    if text is None:
        raise UnreadableAnswerError(f"HitPay's answer has no {name}")
    return text


def _optional_text(source: dict[str, Any], name: str) -> str | None:
    """A member that is a string; null, absent and empty are alike."""
    value = source.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        raise UnreadableAnswerError(f"{name} in HitPay's answer is not a short text")
    return value


def _money(value: Any, currency: str) -> Money:
    written = str(value) if type(value) is int else value
    if isinstance(written, str):
        # Decimal() alone would also take "1_0", " 5 ", "NaN" and other scripts' digits.
        written = Decimal(written) if _AMOUNT.fullmatch(written) else None
    # JSON allows 1e99999999999, on which arithmetic overflows, and 1e-99999999999, which it rounds.
    if not isinstance(written, Decimal) or abs(written.adjusted()) > 20 or written < 0:
        raise UnreadableAnswerError("an amount in HitPay's answer is no decimal number")
    try:
        return money_from_major(written, currency)
    except AmountNotRepresentableError as error:
        raise UnreadableAnswerError(f"an amount in HitPay's answer is none: {error}") from error


def _method(value: Any) -> str | None:
    """The method's name; HitPay gives it plainly or as an object with a name. Never decisive."""
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) and name else None


def _time_ms(source: dict[str, Any], name: str) -> int | None:
    """A time as Unix milliseconds. Text that is no time counts as absent: no money hangs on it."""
    text = _optional_text(source, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=SINGAPORE)
    return (aware - _EPOCH) // timedelta(milliseconds=1)
