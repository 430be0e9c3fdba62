"""How long HitPay says that a refund travels, by the payment's method.

Facts: https://docs.hitpayapp.com/payments/refund lists cards with 3 to 5 business days, and as
instant PayNow QR, GrabPay, PayLater by Grab, ShopeePay, SPayLater, Atome, WeChat Pay, Alipay+ and
ShopBack Pay. What a method is called in the API is not listed in one place (`paynow_online`,
`grabpay_direct`, `grabpay_paylater`, `shopee_pay`, `wechat` and `wechat_pay` were found), so
spellings are tolerated. Of any other method nothing is promised.
"""

from typing import Final

from refund_bridge.domain.arrival import AT_ONCE, Arrival

CARDS: Final = Arrival(3, 5)
# How names begin once case, spaces and punctuation are taken out of them.
_BEGINNINGS: Final = {
    "card": CARDS,
    "creditcard": CARDS,
    "debitcard": CARDS,
    "visa": CARDS,
    "mastercard": CARDS,
    "amex": CARDS,
    "americanexpress": CARDS,
    "paynow": AT_ONCE,
    "grab": AT_ONCE,
    "paylaterbygrab": AT_ONCE,
    "shopee": AT_ONCE,
    "spaylater": AT_ONCE,
    "atome": AT_ONCE,
    "wechat": AT_ONCE,
    "alipay": AT_ONCE,
    "shopback": AT_ONCE,
}


def arrival_of(method: str | None) -> Arrival | None:
    """When the money of a refund arrives; ``None`` if HitPay does not say it of this method."""
    name = "".join(c for c in (method or "").casefold() if c.isalnum())
    for beginning, arrival in _BEGINNINGS.items():
        if name.startswith(beginning):
            return arrival
    return None
