"""Reads the members of HitPay's JSON objects, strictly as its documents describe them.

Amounts are numbers in the major unit, or strings of such numbers; times come in three forms. A
member of another type makes the whole answer unreadable (``UnreadableAnswerError``). Facts:
https://docs.hitpayapp.com.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from refund_bridge.domain.money import AmountNotRepresentableError, Money, money_from_major
from refund_bridge.ports.processor import UnreadableAnswerError

# A time without an offset is taken as Singapore's, which has had the same offset since 1982.
SINGAPORE: Final = timezone(timedelta(hours=8))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Grouped thousands are not documented, but can be read in only one way.
_AMOUNT: Final = re.compile(r"([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3}){1,5})(\.[0-9]{1,8})?", re.ASCII)


def object_of(value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise UnreadableAnswerError("HitPay answered with something that is no JSON object")
    return value


def text(source: dict[str, Any], name: str) -> str:
    """A member that is a short text and is required."""
    found = optional_text(source, name)
    if found is None:
        raise UnreadableAnswerError(f"HitPay's answer has no {name}")
    return found


def optional_text(source: dict[str, Any], name: str) -> str | None:
    """A member that is a string; null, absent and empty are alike."""
    value = source.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        raise UnreadableAnswerError(f"{name} in HitPay's answer is not a short text")
    return value


def money_of(value: Any, currency: str) -> Money:
    """An amount in the major unit: a JSON number, or a string of one."""
    written = str(value) if type(value) is int else value
    if isinstance(written, str):
        # Decimal() alone would also take "1_0", " 5 ", "NaN" and other scripts' digits.
        written = Decimal(written.replace(",", "")) if _AMOUNT.fullmatch(written) else None
    # JSON allows 1e99999999999, on which arithmetic overflows, and 1e-99999999999, which it rounds.
    if not isinstance(written, Decimal) or abs(written.adjusted()) > 20 or written < 0:
        raise UnreadableAnswerError("an amount in HitPay's answer is no decimal number")
    try:
        return money_from_major(written, currency)
    except AmountNotRepresentableError as error:
        raise UnreadableAnswerError(f"an amount in HitPay's answer is none: {error}") from error


def fee_of(source: dict[str, Any]) -> Money | None:
    """HitPay's fee for a refund, in the fee's own currency.

    A refund does not depend on its fee: a fee that is negative, is no exact amount or has no
    currency counts as missing.
    """
    try:
        currency = optional_text(source, "provider_fee_currency")
        return None if currency is None else money_of(source.get("provider_fee"), currency)
    except UnreadableAnswerError:
        return None


def method_name(value: Any) -> str | None:
    """The payment method's name, given as text or as an object with a name. Decides nothing."""
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) and name else None


def time_ms(source: dict[str, Any], name: str) -> int | None:
    """A time as Unix milliseconds; other text counts as absent, since no money depends on it."""
    found = optional_text(source, name)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=SINGAPORE)
    return (aware - _EPOCH) // timedelta(milliseconds=1)
