"""HitPay's guide, step by step: retrieve the Payment Record → refund → report.

From "Refunds" in HitPay's guide to Stripe custom payment methods, which is written in TypeScript.
One mistake of the guide (milliseconds where Stripe wants seconds) is corrected here, so that the
simulators accept it.
"""

import time

import stripe
import urllib3

from benchmarks.plain.settings import HITPAY_KEY, HITPAY_URL, STRIPE_KEY, STRIPE_URL

client = stripe.StripeClient(STRIPE_KEY, base_addresses={"api": STRIPE_URL})
pool = urllib3.PoolManager()


def refund_by_record(record_id: str, amount: int, currency: str) -> str:
    """The three steps of the guide; returns HitPay's refund id."""
    record = client.v1.payment_records.retrieve(record_id)
    hitpay_payment_id = record.metadata["hitpay_payment_id"]
    if not hitpay_payment_id:
        raise LookupError("Payment Record is missing the HitPay payment ID.")
    return refund_and_report(record_id, hitpay_payment_id, amount, currency)


def refund_by_intent(intent_id: str, amount: int, currency: str) -> str:
    """The PaymentIntent's metadata names the Payment Record: one more call before the three."""
    metadata = client.v1.payment_intents.retrieve(intent_id).to_dict()["metadata"]
    return refund_by_record(metadata["stripe_payment_record_id"], amount, currency)


def refund_by_invoice(invoice_id: str, amount: int, currency: str) -> str:
    """Retrieve the invoice "to get both IDs, then follow the same refund steps above": all three.

    These are the guide's words. ``refund_by_invoice_shortened`` uses both ids of the invoice, and
    does not read the Payment Record.
    """
    metadata = client.v1.invoices.retrieve(invoice_id).to_dict()["metadata"]
    return refund_by_record(metadata["stripe_payment_record_id"], amount, currency)


def refund_by_invoice_shortened(invoice_id: str, amount: int, currency: str) -> str:
    """As above, but without reading the Payment Record, since nothing of it is needed."""
    metadata = client.v1.invoices.retrieve(invoice_id).to_dict()["metadata"]
    record_id, payment_id = metadata["stripe_payment_record_id"], metadata["hitpay_payment_id"]
    return refund_and_report(record_id, payment_id, amount, currency)


def refund_and_report(record_id: str, payment_id: str, amount: int, currency: str) -> str:
    """Steps 2 and 3."""
    refund_id = refund_at_hitpay(payment_id, amount)
    try:
        report(record_id, refund_id, amount, currency)
    except stripe.StripeError as error:
        print("[Refund] Failed to report refund to Stripe:", error)
    return refund_id


def refund_at_hitpay(payment_id: str, amount: int) -> str:
    """Step 2: the amount in the major unit, as if every currency had two decimals."""
    response = pool.request(
        "POST",
        f"{HITPAY_URL}/v1/refund",
        headers={"X-BUSINESS-API-KEY": HITPAY_KEY},
        fields={"payment_id": payment_id, "amount": f"{amount // 100}.{amount % 100:02}"},
        encode_multipart=False,
    )
    answer = response.json()
    if response.status >= 300:
        raise RuntimeError(answer.get("message", "HitPay refund failed"))
    return str(answer["id"])


def report(record_id: str, refund_id: str, amount: int, currency: str) -> None:
    """Step 3."""
    client.v1.payment_records.report_refund(
        record_id,
        {
            "amount": {"value": amount, "currency": currency},
            "processor_details": {"type": "custom", "custom": {"refund_reference": refund_id}},
            "outcome": "refunded",
            "refunded": {"refunded_at": int(time.time())},
        },
    )
