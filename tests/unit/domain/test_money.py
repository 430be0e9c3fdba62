"""Amounts at the processor's boundary: exact, or refused."""

from decimal import Decimal

import pytest

from refund_bridge.domain.money import (
    AmountNotRepresentableError,
    Money,
    exponent_of,
    money_from_major,
    require_representable,
)


@pytest.mark.parametrize(
    ("minor", "currency", "printed"),
    [
        (5000, "sgd", "50.00"),
        (5, "sgd", "0.05"),
        (5000, "jpy", "5000"),
        (5000, "kwd", "5.000"),
        (1_500_000, "idr", "15000.00"),
        (100, "ugx", "1.00"),
        (999_999_999_999, "usd", "9999999999.99"),
    ],
)
def test_an_amount_is_printed_with_its_currencys_decimals(
    minor: int, currency: str, printed: str
) -> None:
    assert Money(minor, currency).decimal_string() == printed


def test_a_currency_without_minor_units_can_be_printed_with_decimals_that_change_nothing() -> None:
    printed = Money(5000, "jpy").decimal_string(zero_decimals_as_integer=False)
    assert printed == "5000.00"
    assert money_from_major(printed, "jpy") == Money(5000, "jpy")


@pytest.mark.parametrize(
    ("printed", "currency", "minor"),
    [
        ("50.00", "SGD", 5000),
        ("50", "sgd", 5000),
        ("50.0", "sgd", 5000),
        ("5E+3", "jpy", 5000),
        ("5000.00", "jpy", 5000),
        ("5.005", "kwd", 5005),
    ],
)
def test_what_a_processor_prints_is_read_as_the_same_amount(
    printed: str, currency: str, minor: int
) -> None:
    assert money_from_major(Decimal(printed), currency) == Money(minor, currency.lower())


@pytest.mark.parametrize(
    ("printed", "currency"),
    [
        ("50.001", "sgd"),
        ("0.5", "jpy"),
        ("NaN", "sgd"),
        ("Infinity", "sgd"),
        ("1E+40", "sgd"),
        ("1E+99999999999", "sgd"),
        ("1E-99999999999", "sgd"),
        ("sNaN", "sgd"),
        ("fifty", "sgd"),
        ("", "sgd"),
        ("1", "dollars"),
        ("1", ""),
    ],
)
def test_what_is_not_exactly_an_amount_is_refused_not_rounded(printed: str, currency: str) -> None:
    with pytest.raises(AmountNotRepresentableError):
        money_from_major(printed, currency)


@pytest.mark.parametrize("amount", [1.0, "100", True, Decimal(100), None])
def test_an_amount_is_an_int_and_nothing_like_one(amount: object) -> None:
    with pytest.raises(TypeError):
        Money(amount, "sgd")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["SGD", "sg", "sgdx", "s1d", "", "ßgd"])
def test_a_currency_is_three_lowercase_letters(currency: str) -> None:
    with pytest.raises(ValueError, match="currency"):
        Money(1, currency)


@pytest.mark.parametrize(("amount", "currency"), [(5001, "kwd"), (150, "isk"), (199, "ugx")])
def test_an_amount_that_stripe_could_not_be_told_is_refused(amount: int, currency: str) -> None:
    with pytest.raises(AmountNotRepresentableError):
        require_representable(Money(amount, currency))


@pytest.mark.parametrize(
    ("amount", "currency"), [(5010, "kwd"), (200, "isk"), (1, "sgd"), (1, "jpy")]
)
def test_an_amount_that_stripe_can_be_told_passes(amount: int, currency: str) -> None:
    require_representable(Money(amount, currency))


@pytest.mark.parametrize("currency", ["huf", "twd", "idr", "ugx", "isk", "usd"])
def test_currencies_that_look_special_have_two_decimals_at_stripe(currency: str) -> None:
    assert exponent_of(currency) == 2


@pytest.mark.parametrize(
    ("money", "told"),
    [
        (Money(2500, "sgd"), "SGD 25.00"),
        (Money(-300, "sgd"), "SGD -3.00"),
        (Money(2500, "jpy"), "JPY 2500"),
        (Money(2500, "kwd"), "KWD 2.500"),
    ],
)
def test_people_read_an_amount_in_the_major_unit(money: Money, told: str) -> None:
    assert money.for_people() == told
