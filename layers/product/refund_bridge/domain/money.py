"""Amounts: integers in a currency's minor unit, and the decimal strings that processors read.

The whole product uses one table of exponents, which is Stripe's
(https://docs.stripe.com/currencies, "zero-decimal", "three-decimal" and "special cases").
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext

# fmt: off
ZERO_DECIMAL_CURRENCIES = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
    "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
})
# fmt: on
THREE_DECIMAL_CURRENCIES = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})

# Stripe takes these only in multiples: a three-decimal amount must end in 0, and amounts in ISK and
# UGX have two decimals that are always 00 (https://docs.stripe.com/currencies, special cases).
STEP_OF_THREE_DECIMALS = 10
STEP_OF_WHOLE_UNITS = 100
WHOLE_UNIT_CURRENCIES = frozenset({"isk", "ugx"})

# Stripe's amounts have at most twelve digits; nothing larger can be a real amount.
AMOUNT_MAX = 999_999_999_999

# More decimals, or a larger exponent, than any processor prints. Without this limit a short text
# such as 1E-99999999999 would make exact arithmetic unbounded.
PLACES_MAX = 40

_CURRENCY = re.compile(r"[a-z]{3}", re.ASCII)


class AmountNotRepresentableError(ValueError):
    """An amount cannot be written or read exactly; it is refused, never rounded."""


@dataclass(frozen=True, slots=True)
class Money:
    """``amount`` minor units of ``currency`` (lowercase ISO 4217).

    >>> Money(5000, "sgd").decimal_string()
    '50.00'
    >>> Money(5000, "jpy").decimal_string()
    '5000'
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise TypeError(f"an amount is an int of minor units, not {self.amount!r}")
        if not is_currency(self.currency):
            raise ValueError(f"a currency is three lowercase letters, not {self.currency!r}")

    def for_people(self) -> str:
        """The amount as people read it, with its currency in front.

        >>> Money(5000, "sgd").for_people()
        'SGD 50.00'
        """
        return f"{self.currency.upper()} {self.decimal_string()}"

    def decimal_string(self, *, zero_decimals_as_integer: bool = True) -> str:
        """The amount in the major unit, with exactly as many decimals as the currency has.

        With ``zero_decimals_as_integer=False`` a currency without minor units is printed with
        ``.00``: another form of the same value, for a processor that wants it.
        """
        exponent = exponent_of(self.currency)
        if exponent == 0 and not zero_decimals_as_integer:
            return f"{self.amount}.00"
        return f"{Decimal(self.amount).scaleb(-exponent):.{exponent}f}"


def is_currency(text: str) -> bool:
    """Whether ``text`` has the form of a currency code as this product writes it."""
    return _CURRENCY.fullmatch(text) is not None


def exponent_of(currency: str) -> int:
    """How many decimals the currency's major unit has: 0, 2 or 3."""
    if currency in ZERO_DECIMAL_CURRENCIES:
        return 0
    if currency in THREE_DECIMAL_CURRENCIES:
        return 3
    return 2


def step_of(currency: str) -> int:
    """The smallest difference between two amounts that Stripe accepts, in minor units."""
    if currency in THREE_DECIMAL_CURRENCIES:
        return STEP_OF_THREE_DECIMALS
    if currency in WHOLE_UNIT_CURRENCIES:
        return STEP_OF_WHOLE_UNITS
    return 1


def require_representable(money: Money) -> None:
    """Refuse an amount that Stripe does not take.

    Raises:
        AmountNotRepresentableError: the amount is not a multiple of the currency's step.
    """
    step = step_of(money.currency)
    if money.amount % step:
        raise AmountNotRepresentableError(
            f"Amounts in {money.currency} must be multiples of {step} minor units."
        )


def money_from_major(value: Decimal | str, currency: str) -> Money:
    """The exact minor units of a major-unit decimal, as a processor prints it.

    Raises:
        AmountNotRepresentableError: not a finite number, out of range, or with a fraction of a
            minor unit.
    """
    lowered = currency.lower()
    if not is_currency(lowered):
        raise AmountNotRepresentableError(f"{currency!r} is not a currency code.")
    try:
        decimal = Decimal(value)
    except InvalidOperation as error:
        raise AmountNotRepresentableError(f"{value!r} is not a decimal number.") from error
    exponent = decimal.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > PLACES_MAX or abs(decimal) > AMOUNT_MAX:
        raise AmountNotRepresentableError(f"{value!r} is not an amount.")
    with localcontext() as context:
        context.prec = 60
        minor = decimal.scaleb(exponent_of(lowered))
        if minor != minor.to_integral_value():
            raise AmountNotRepresentableError(
                f"{value} {lowered} has a fraction of the minor unit."
            )
    return Money(int(minor), lowered)
