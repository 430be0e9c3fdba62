"""Stripe's objects as it prints them."""

from local.simulators.calls import View
from local.simulators.json_text import JsonObject
from local.simulators.stripe_book import CreditNote, Invoice, PaymentIntent, PaymentRecord


def record_body(record: PaymentRecord, view: View) -> JsonObject:
    """Return the Payment Record; its guaranteed amount is net of refunds."""
    refunded = record.refunded(view)

    def money(value: int) -> JsonObject:
        return {"currency": record.currency, "value": value}

    details: JsonObject = {"type": "custom", "custom": None}
    if record.payment_reference is not None:
        details["custom"] = {"payment_reference": record.payment_reference}
    return {
        "id": record.id,
        "object": "payment_record",
        "amount": money(record.requested),
        "amount_authorized": money(record.authorized),
        "amount_canceled": money(record.canceled),
        "amount_failed": money(record.failed),
        "amount_guaranteed": money(record.guaranteed - refunded),
        "amount_refunded": money(refunded),
        "amount_requested": money(record.requested),
        "application": None,
        "created": record.created,
        "customer_details": None,
        "customer_presence": "on_session",
        "description": None,
        "latest_payment_attempt_record": f"par_{record.id.removeprefix('pr_')}",
        "livemode": record.livemode,
        "metadata": dict(record.metadata),
        "payment_method_details": {
            "billing_details": None,
            "custom": {"display_name": "HitPay", "type": "cpmt_hitpay"},
            "payment_method": f"pm_{record.id.removeprefix('pr_')}",
            "type": "custom",
        },
        "processor_details": details,
        "reported_by": record.reported_by,
        "shipping_details": None,
    }


def intent_body(intent: PaymentIntent) -> JsonObject:
    """Return the PaymentIntent, in its main members."""
    received = intent.amount if intent.status == "succeeded" else 0
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": 0,
        "amount_received": received,
        "canceled_at": None,
        "capture_method": "automatic",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": None,
        "description": None,
        "latest_charge": (intent.latest_charge or {}).get("id"),
        "livemode": intent.livemode,
        "metadata": dict(intent.metadata),
        "payment_method": None,
        "payment_method_types": ["custom"],
        "payment_record": intent.payment_record,
        "status": intent.status,
    }


def invoice_body(invoice: Invoice, credited: int) -> JsonObject:
    """Return the Invoice, in its main members."""
    return {
        "id": invoice.id,
        "object": "invoice",
        "amount_due": invoice.amount_paid,
        "amount_paid": invoice.amount_paid,
        "amount_remaining": 0,
        "attempted": True,
        "collection_method": "charge_automatically",
        "created": invoice.created,
        "currency": invoice.currency,
        "customer": None,
        "lines": _list(f"/v1/invoices/{invoice.id}/lines"),
        "livemode": invoice.livemode,
        "metadata": dict(invoice.metadata),
        "post_payment_credit_notes_amount": credited,
        "pre_payment_credit_notes_amount": 0,
        "status": "paid",
        "subtotal": invoice.amount_paid,
        "total": invoice.amount_paid,
    }


def note_body(note: CreditNote) -> JsonObject:
    """Return the credit note with the refunds that it is tied to."""
    return {
        "id": note.id,
        "object": "credit_note",
        "amount": note.amount,
        "amount_shipping": 0,
        "created": note.created,
        "currency": note.currency,
        "customer": "cus_simulator",
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": note.created,
        "invoice": note.invoice,
        "lines": _list(f"/v1/credit_notes/{note.id}/lines"),
        "livemode": note.livemode,
        "memo": note.memo,
        "metadata": dict(note.metadata),
        "number": note.number,
        "out_of_band_amount": note.out_of_band_amount or None,
        "pdf": f"https://pay.stripe.example/credit_notes/{note.id}/pdf",
        "post_payment_amount": note.amount,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "reason": note.reason,
        "refunds": [
            {
                "amount_refunded": refund.amount,
                "payment_record_refund": {
                    "payment_record": refund.payment_record,
                    "refund_group": refund.refund_group,
                },
                "type": "payment_record_refund",
            }
            for refund in note.refunds
        ],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": note.amount,
        "subtotal_excluding_tax": note.amount,
        "total": note.amount,
        "total_excluding_tax": note.amount,
        "total_taxes": [],
        "type": "post_payment",
        "voided_at": None,
    }


def _list(url: str) -> JsonObject:
    return {"object": "list", "data": [], "has_more": False, "url": url}
