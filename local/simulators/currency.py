"""How many decimals each currency has, as Stripe counts them.

Deliberately not the product's table: with one table for both, no test could find a mistake in it.
"""

from decimal import Decimal

# fmt: off
_NONE = frozenset([
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA",
    "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF",
])
# fmt: on
_THREE = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])


def exponent(currency: str) -> int:
    """Return the number of decimals of a currency, in either case of letters."""
    code = currency.upper()
    if code in _NONE:
        return 0
    return 3 if code in _THREE else 2


def major(minor: int, currency: str) -> Decimal:
    """Return the decimal amount of a count of minor units: 9999 SGD is 99.99."""
    return Decimal(minor).scaleb(-exponent(currency))


def representable(amount: Decimal, currency: str) -> bool:
    """Say whether an amount is a whole number of the currency's minor units."""
    scaled = amount.scaleb(exponent(currency))
    return scaled == scaled.to_integral_value()
