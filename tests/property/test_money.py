"""Money converts there and back without loss, for every class of currency that Stripe has."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from refund_bridge.domain.money import (
    AMOUNT_MAX,
    THREE_DECIMAL_CURRENCIES,
    ZERO_DECIMAL_CURRENCIES,
    AmountNotRepresentableError,
    Money,
    exponent_of,
    money_from_major,
)

TWO_DECIMAL_CURRENCIES = ("aud", "eur", "gbp", "huf", "idr", "isk", "myr", "sgd", "twd", "ugx")
ANY_CURRENCY = st.sampled_from(
    [*sorted(ZERO_DECIMAL_CURRENCIES), *sorted(THREE_DECIMAL_CURRENCIES), *TWO_DECIMAL_CURRENCIES]
)
AMOUNTS = st.integers(min_value=0, max_value=AMOUNT_MAX)


@given(AMOUNTS, ANY_CURRENCY, st.booleans())
def test_printing_and_reading_give_the_same_amount(
    amount: int, currency: str, as_integer: bool
) -> None:
    # Given any amount of any currency
    money = Money(amount, currency)
    # When it is printed for a processor, in either form, and read back
    printed = money.decimal_string(zero_decimals_as_integer=as_integer)
    # Then it is the same amount
    assert money_from_major(Decimal(printed), currency.upper()) == money


@given(AMOUNTS, ANY_CURRENCY)
def test_the_printed_form_has_exactly_the_currencys_decimals(amount: int, currency: str) -> None:
    printed = Money(amount, currency).decimal_string()
    _, _, fraction = printed.partition(".")
    assert len(fraction) == exponent_of(currency)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5), ANY_CURRENCY)
def test_reading_never_rounds(value: Decimal, currency: str) -> None:
    # Given any decimal, when it is read as an amount
    try:
        money = money_from_major(value, currency)
    # Then it is refused, or exactly the value
    except AmountNotRepresentableError:
        return
    assert Decimal(money.amount).scaleb(-exponent_of(currency)) == value
