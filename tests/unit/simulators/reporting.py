"""A refund reported to Stripe through the official SDK, good unless told otherwise."""

import time

import stripe
from stripe.params import PaymentRecordReportRefundParams

from local.simulators.payments import CARD_SGD

RECORD = CARD_SGD.record_id


def report(
    client: stripe.StripeClient,
    record: str = RECORD,
    *,
    key: str | None = None,
    reference: str = "re_1",
    amount: int | None = 2500,
    currency: str = "sgd",
    refunded_at: int | None = None,
    initiated_at: int | None = None,
    metadata: dict[str, str] | None = None,
) -> stripe.PaymentRecord:
    params: PaymentRecordReportRefundParams = {
        "outcome": "refunded",
        "processor_details": {"type": "custom", "custom": {"refund_reference": reference}},
        "refunded": {"refunded_at": int(time.time()) if refunded_at is None else refunded_at},
    }
    if amount is not None:
        params["amount"] = {"value": amount, "currency": currency}
    if initiated_at is not None:
        params["initiated_at"] = initiated_at
    if metadata is not None:
        params["metadata"] = metadata
    options: stripe.RequestOptions = {} if key is None else {"idempotency_key": key}
    return client.v1.payment_records.report_refund(record, params, options)
