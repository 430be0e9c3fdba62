"""The demo payments, as data: consistent at Stripe and at the processor."""

from local.simulators.seeding import DemoPayment, Seed

CARD_SGD = DemoPayment("card_sgd", 9999, about="a card payment of SGD 99.99")
PAYNOW_SGD = DemoPayment(
    "paynow_sgd",
    5000,
    about="PayNow: its refunds stay pending until a control call ends them",
    payment_method="paynow_online",
    on_charge={"refunds_come_back": "pending"},
)
CARD_JPY = DemoPayment("card_jpy", 5000, "jpy", "JPY 5000, a currency without decimals")
CARD_KWD = DemoPayment("card_kwd", 5000, "kwd", "KWD 5.000, a currency with three decimals")
CARD_IDR = DemoPayment("card_idr", 1_500_000, "idr", "IDR 15000.00, two decimals at Stripe")
PARTLY_REFUNDED = DemoPayment(
    "partly_refunded", 9999, about="SGD 25.00 is refunded, and Stripe knows", refunded=2500
)
SUBSCRIPTION = DemoPayment(
    "subscription", 2900, about="a subscription invoice, in_subscription", has_invoice=True
)
WITH_INTENT = DemoPayment(
    "with_intent", 4200, about="a PaymentIntent, pi_with_intent, names the record", has_intent=True
)

GOOD_PAYMENTS = (
    CARD_SGD,
    PAYNOW_SGD,
    CARD_JPY,
    CARD_KWD,
    CARD_IDR,
    PARTLY_REFUNDED,
    SUBSCRIPTION,
    WITH_INTENT,
)

WITHOUT_LINK = DemoPayment("without_link", 1000, about="no trace of HitPay", linked_by="nothing")
LIVE_MODE = DemoPayment("live_mode", 1000, about="a live record among test ones", livemode=True)
NEVER_CAPTURED = DemoPayment(
    "never_captured",
    1000,
    about="authorised only",
    on_charge={"status": "pending"},
    on_record={"guaranteed": 0},
)
CANCELED = DemoPayment(
    "canceled",
    1000,
    about="canceled before it was captured",
    on_charge={"status": "void"},
    on_record={"guaranteed": 0, "canceled": 1000},
)
OTHER_CURRENCY = DemoPayment(
    "other_currency",
    1000,
    about="the record says SGD, the charge USD",
    on_charge={"currency": "usd"},
)
SHARED_ONE = DemoPayment("shared_one", 3000, about="two records name one charge: the first")
SHARED_TWO = DemoPayment(
    "shared_two",
    3000,
    about="two records name one charge: the second",
    charge_name="shared_one",
)
LINK_CHARGE_ID = DemoPayment(
    "link_charge_id", 1000, about="only metadata.hitpay_charge_id", linked_by="charge_id"
)
LINK_REFERENCE = DemoPayment(
    "link_reference", 1000, about="only payment_reference, a charge id", linked_by="reference"
)
LINK_REQUEST = DemoPayment(
    "link_request", 1000, about="only payment_reference, a request id", linked_by="request"
)

AWKWARD_PAYMENTS = (
    WITHOUT_LINK,
    LIVE_MODE,
    NEVER_CAPTURED,
    CANCELED,
    OTHER_CURRENCY,
    SHARED_ONE,
    SHARED_TWO,
    LINK_CHARGE_ID,
    LINK_REFERENCE,
    LINK_REQUEST,
)

HYPERSWITCH_USD = DemoPayment(
    "hyperswitch_usd", 9999, "usd", "USD 99.99 by way of Hyperswitch", processor="hyperswitch"
)
HEDGE_USD = DemoPayment(
    "hedge_usd", 9999, "usd", "USD 99.99 by way of Hedge Payments", processor="hedge"
)
CCG_USD = DemoPayment(
    "ccg_usd", 9999, "usd", "USD 99.99 by way of the Convenient Checkout Gateway", processor="ccg"
)

STRIPE_USD = DemoPayment(
    "stripe_usd",
    9999,
    "usd",
    "USD 99.99 that Stripe took itself, pi_stripe_usd",
    processor="stripe",
)

OTHER_PROCESSORS = (HYPERSWITCH_USD, HEDGE_USD, CCG_USD)


def demo_payments() -> Seed:
    """Return the seed of all demo payments, simple and difficult ones, of every processor."""
    return seed_of(*GOOD_PAYMENTS, *AWKWARD_PAYMENTS, *OTHER_PROCESSORS, STRIPE_USD)


def fresh_payments(
    count: int, *, currency: str = "sgd", amount: int = 9999, prefix: str = "fresh"
) -> tuple[DemoPayment, ...]:
    """Return new, simple, fully linked payments (with PaymentIntents) for one test."""
    return tuple(
        DemoPayment(f"{prefix}_{number:04d}", amount, currency, has_intent=True)
        for number in range(1, count + 1)
    )


def seed_of(*payments: DemoPayment) -> Seed:
    """Return one seed for several payments."""
    whole = Seed()
    for payment in payments:
        whole = whole + payment.seed()
    return whole
