"""Amounts as people write them: one notation only, so that no amount can be misread."""

import re

from refund_bridge.domain.money import AMOUNT_MAX, exponent_of, is_currency

_FORM = re.compile(r"(0|[1-9]\d{0,11})(?:\.(\d+))?", re.ASCII)


class AmountError(ValueError):
    """The text is not an amount; the error's sentence says why."""


def minor_units(text: str, currency: str) -> int:
    """The minor units of an amount in the currency's major unit, such as 25.00.

    Exact, without a float. A comma, a sign, a space or other decimals than the currency has are
    refused: ``1.000,50`` and ``1.000`` mean different amounts to different people.

    Raises:
        AmountError: the text is not such an amount.
    """
    if not is_currency(currency):
        raise AmountError(f"{currency!r} is no currency of three letters")
    places = exponent_of(currency)
    example = "2500" if places == 0 else "25." + "0" * places
    found = _FORM.fullmatch(text)
    decimals = found[2] if found else None
    if found is None or (decimals is not None and len(decimals) != places):
        raise AmountError(f"{text!r} is no amount in {currency.upper()}: write {example}")
    amount: int = int(found[1]) * 10**places + int(decimals or 0)
    if not 1 <= amount <= AMOUNT_MAX:
        raise AmountError(f"{text!r} is not from the smallest unit to {AMOUNT_MAX} of them")
    return amount
