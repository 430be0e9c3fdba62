"""How long a refund takes to arrive, as HitPay says by payment method.

Facts: https://docs.hitpayapp.com/payments/refund lists cards with 3 to 5 business days, and as
instant PayNow QR, GrabPay, PayLater by Grab, ShopeePay, SPayLater, Atome, WeChat Pay, Alipay+ and
ShopBack Pay. The API's names of the methods are not listed in one place (`paynow_online`,
`grabpay_direct`, `grabpay_paylater`, `shopee_pay`, `wechat` and `wechat_pay` were found), so
different spellings are accepted. For any other method nothing is promised.
"""

from typing import Final

from refund_bridge.domain.arrival import AT_ONCE, Arrival

CARDS: Final = Arrival(3, 5)
# The beginnings of the names, without case, spaces and punctuation.
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
    """When a refund's money arrives; ``None`` if HitPay does not say so for this method."""
    name = "".join(c for c in (method or "").casefold() if c.isalnum())
    for beginning, arrival in _BEGINNINGS.items():
        if name.startswith(beginning):
            return arrival
    return None
