"""Members that a read at Stripe shows only on request: `expand[]`, as far as it is needed here.

https://docs.stripe.com/expand; an invoice has no `payments` at all unless they are expanded.
"""

from local.simulators.calls import Refusal, View
from local.simulators.json_text import JsonObject
from local.simulators.stripe_book import Invoice, PaymentIntent, StripeBook
from local.simulators.stripe_errors import error
from local.simulators.stripe_settings import StripeSettings
from local.simulators.stripe_shapes import intent_body, invoice_body, record_body


def shown_record(
    book: StripeBook, key: str, livemode: bool, settings: StripeSettings, view: View
) -> JsonObject:
    """Return the Payment Record as it is read."""
    body = record_body(book.record(key, livemode), view)
    if settings.reported_by == "absent":
        del body["reported_by"]
    return body


def shown_intent(  # noqa: PLR0913 -- what is shown, and how
    book: StripeBook,
    intent: PaymentIntent,
    charge: JsonObject | None,
    parameters: JsonObject,
    *,
    settings: StripeSettings,
    view: View,
) -> JsonObject:
    """Return the PaymentIntent, with its record and its charge expanded if that was asked for.

    `charge` is the charge as it is in the books now; without it, the seeded one is shown.
    """
    asked = _asked(parameters, {"payment_record", "latest_charge"})
    body = intent_body(intent)
    if "payment_record" in asked and intent.payment_record is not None:
        key, mode = intent.payment_record, intent.livemode
        body["payment_record"] = shown_record(book, key, mode, settings, view)
    if "latest_charge" in asked and intent.latest_charge is not None:
        body["latest_charge"] = charge or {"object": "charge", **intent.latest_charge}
    return body


def shown_invoice(invoice: Invoice, credited: int, parameters: JsonObject) -> JsonObject:
    """Return the Invoice, with its payments if they were asked for."""
    body = invoice_body(invoice, credited)
    if "payments" in _asked(parameters, {"payments"}):
        body["payments"] = {
            "object": "list",
            "data": [
                {
                    "id": f"inpay_{invoice.id.removeprefix('in_')}_{number}",
                    "object": "invoice_payment",
                    "amount_paid": one.amount_paid,
                    "amount_requested": one.amount_paid or invoice.amount_paid,
                    "created": invoice.created,
                    "currency": invoice.currency,
                    "invoice": invoice.id,
                    "is_default": number == 0,
                    "livemode": invoice.livemode,
                    "payment": {"type": one.type, one.type: one.named},
                    "status": one.status,
                }
                for number, one in enumerate(invoice.payments)
            ],
            "has_more": False,
            "url": f"/v1/invoice_payments?invoice={invoice.id}",
        }
    return body


def _asked(parameters: JsonObject, known: set[str]) -> set[str]:
    given = parameters.get("expand")
    names = {str(name) for name in given.values()} if isinstance(given, dict) else set()
    for name in names - known:
        message = f"This property cannot be expanded ({name})."
        raise Refusal(error(400, message, param="expand"), kept=False)
    return names
