"""A shop with few refunds, in front of a console, where a test adds what it is about."""

from refund_bridge.domain.refund_request import ReferenceType
from tests.fakes.shop_day import ShopDay
from tests.fakes.world import World


class SmallShop(ShopDay):
    """One refund by a PaymentIntent, one by an invoice, and `pr_other` without any."""

    def __init__(self) -> None:
        self.world = World()
        self.world.pay("1")
        link = {"hitpay_payment_id": "charge-1", "stripe_payment_record_id": "pr_1"}
        self.world.stripe.add_reference("pi_1", link)
        self.world.refund(
            "by-intent", reference_type=ReferenceType.PAYMENT_INTENT, record="pi_1", amount=100
        )
        self.invoice = self.world.pay_invoice("inv")
        self.world.refund(
            "by-invoice",
            reference_type=ReferenceType.INVOICE,
            reference_id=self.invoice,
            amount=100,
        )
        self.world.pay("other")
