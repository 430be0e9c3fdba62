"""Stripe's API as its SDK describes it: parameters by ``TypedDict``s, objects by classes.

The SDK is generated from https://github.com/stripe/openapi, and pinned among what is deployed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import stripe
from stripe.params import (
    ChargeRetrieveParams,
    CreditNoteCreateParams,
    CreditNoteListParams,
    InvoiceRetrieveParams,
    PaymentIntentRetrieveParams,
    PaymentRecordReportRefundParams,
    PaymentRecordRetrieveParams,
    RefundCreateParams,
    RefundListParams,
    RefundRetrieveParams,
)

from local.simulators.json_text import JsonObject
from local.simulators.stripe import ROUTES
from tests.descriptions.description import Description
from tests.descriptions.sdk_types import misfits

# What is asked with, and what a success is.
OPERATIONS: Final[Mapping[str, tuple[Any, Any]]] = {
    "payment_record.read": (PaymentRecordRetrieveParams, stripe.PaymentRecord),
    "payment_record.report_refund": (PaymentRecordReportRefundParams, stripe.PaymentRecord),
    "payment_intent.read": (PaymentIntentRetrieveParams, stripe.PaymentIntent),
    "invoice.read": (InvoiceRetrieveParams, stripe.Invoice),
    "credit_note.list": (CreditNoteListParams, stripe.ListObject[stripe.CreditNote]),
    "credit_note.create": (CreditNoteCreateParams, stripe.CreditNote),
    "charge.read": (ChargeRetrieveParams, stripe.Charge),
    "refund.find": (RefundListParams, stripe.ListObject[stripe.Refund]),
    "refund.read": (RefundRetrieveParams, stripe.Refund),
    "refund.create": (RefundCreateParams, stripe.Refund),
}


class StripeApi(Description):
    """Stripe's."""

    provider = "stripe"

    def __init__(self) -> None:
        super().__init__(ROUTES)

    def parameters(self, operation: str, given: JsonObject, *, in_form: bool) -> Iterator[str]:
        """What does not fit the operation's ``…Params``."""
        yield from misfits(given, OPERATIONS[operation][0], operation, in_form=in_form)

    def shown(self, operation: str, body: JsonObject) -> Iterator[str]:
        """What does not fit the operation's object; members may be left out."""
        yield from misfits(body, OPERATIONS[operation][1], operation, in_form=False)

    def refused(self, status: int, body: JsonObject) -> Iterator[str]:
        """What does not fit ``ErrorObject``."""
        yield from misfits(body.get("error"), stripe.ErrorObject, f"{status} error", in_form=False)

    def headers(self, headers: JsonObject) -> Iterator[str]:
        """The key."""
        if not str(headers.get("authorization", "")).startswith("Bearer "):
            yield "authorization is missing"
