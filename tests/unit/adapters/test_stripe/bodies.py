"""Bodies as Stripe sends them, and a report as the ledger froze it."""

from typing import Any

from refund_bridge.domain.report import ReportParameters

PARAMETERS = ReportParameters(
    payment_record="pr_1",
    amount=2500,
    currency="sgd",
    refund_reference="ref-1",
    initiated_at_s=1_714_528_980,
    refunded_at_s=1_714_528_984,
)


def record_body(**changes: Any) -> dict[str, Any]:
    return {
        "id": "pr_1",
        "object": "payment_record",
        "livemode": False,
        "amount_requested": {"currency": "sgd", "value": 9999},
        "amount_guaranteed": {"currency": "sgd", "value": 7499},
        "amount_refunded": {"currency": "sgd", "value": 2500},
        "metadata": {"hitpay_payment_id": "pay-1"},
        "processor_details": {"type": "custom", "custom": {"payment_reference": "pay-1"}},
        **changes,
    }


def error_body(kind: str = "invalid_request_error", **facts: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "Stripe says no.", **facts}}
