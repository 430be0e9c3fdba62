"""The published demo's flow for an invoice, one call after the other.

Retrieve the invoice → refund → report → credit note → update the invoice.
"""

from benchmarks.plain.guide import client, refund_and_report


def refund_by_invoice(invoice_id: str, amount: int, currency: str) -> str:
    """The five calls; returns HitPay's refund id."""
    metadata = client.v1.invoices.retrieve(invoice_id).to_dict()["metadata"]
    record_id, payment_id = metadata["stripe_payment_record_id"], metadata["hitpay_payment_id"]
    refund_id = refund_and_report(record_id, payment_id, amount, currency)
    client.v1.credit_notes.create(
        {
            "invoice": invoice_id,
            "amount": amount,
            "refunds": [
                {
                    "type": "payment_record_refund",
                    "payment_record_refund": {
                        "payment_record": record_id,
                        "refund_group": refund_id,
                    },
                    "amount_refunded": amount,
                }
            ],
        }
    )
    client.v1.invoices.update(invoice_id, {"metadata": {"hitpay_refund_id": refund_id}})
    return refund_id
