"""HitPay's methods, however they are spelt, and how long their refunds travel."""

import pytest

from refund_bridge.domain.arrival import Arrival
from refund_bridge.processors.hitpay.arrival import arrival_of


@pytest.mark.parametrize(
    "method", ["card", "Cards", "card_present", "credit_card", "Debit Card", "VISA", "mastercard"]
)
def test_cards_take_3_to_5_business_days(method: str) -> None:
    assert arrival_of(method) == Arrival(3, 5)


@pytest.mark.parametrize(
    "method",
    [
        "paynow_online", "PayNow", "PayNow QR", "grabpay", "grabpay_direct", "grabpay_paylater",
        "GrabPay PayLater", "PayLater by Grab", "shopee_pay", "ShopeePay", "SPayLater", "atome",
        "wechat", "wechat_pay", "WeChatPay", "alipay", "alipay_plus", "Alipay+", "ShopBack Pay",
    ],
)  # fmt: skip
def test_what_comes_from_the_hitpay_balance_arrives_at_once(method: str) -> None:
    assert arrival_of(method) == Arrival(0, 0)


@pytest.mark.parametrize(
    "method", [None, "", "_", "fpx", "giro", "apple_pay", "gcash_qr", "zip", "my card", "支付宝"]
)
def test_of_other_methods_nothing_is_promised(method: str | None) -> None:
    assert arrival_of(method) is None


@pytest.mark.parametrize(("fewest", "most"), [(-1, 0), (5, 3)])
def test_an_arrival_is_a_span_of_days(fewest: int, most: int) -> None:
    with pytest.raises(ValueError, match="business days"):
        Arrival(fewest, most)
