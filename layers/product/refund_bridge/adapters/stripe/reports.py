"""Reads payments at Stripe and tells Stripe of refunds, by the official SDK."""

from typing import TYPE_CHECKING, Any

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.stripe.answers import (
    read_invoice,
    read_payment_intent,
    read_payment_record,
)
from refund_bridge.adapters.stripe.calls import Ask, StripeCalls, StripeRefusedError
from refund_bridge.domain.payment_record import PaymentRecord, StripeReference
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import ReportAccepted, ReportOutcome, ReportUnclear

if TYPE_CHECKING:
    from stripe.params import (
        InvoiceRetrieveParams,
        PaymentIntentRetrieveParams,
        PaymentRecordReportRefundParams,
    )


class StripeSdkReports:
    """``ports.stripe.StripeReports``; see ``StripeCalls`` for the arguments."""

    def __init__(self, *, base_url: str, key: ApiKey, http: DeadlineHttp) -> None:
        self._calls = StripeCalls(base_url=base_url, key=key, http=http)

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        """The Payment Record of that id; see ``ports.stripe.StripeReports``."""
        return read_payment_record(
            self._read(
                payment_record,
                lambda client: client.v1.payment_records.retrieve(payment_record),
                deadline,
            )
        )

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        """The PaymentIntent of that id; see ``ports.stripe.StripeReports``."""
        shown: PaymentIntentRetrieveParams = {"expand": ["payment_record", "latest_charge"]}
        return read_payment_intent(
            self._read(
                payment_intent,
                lambda client: client.v1.payment_intents.retrieve(payment_intent, shown),
                deadline,
            )
        )

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        """The Invoice of that id; see ``ports.stripe.StripeReports``."""
        shown: InvoiceRetrieveParams = {"expand": ["payments"]}
        return read_invoice(
            self._read(
                invoice,
                lambda client: client.v1.invoices.retrieve(invoice, shown),
                deadline,
            )
        )

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        """Tell Stripe of a refund, in one attempt; see ``ports.stripe.StripeReports``."""

        told: PaymentRecordReportRefundParams = {
            "outcome": "refunded",
            "amount": {"value": parameters.amount, "currency": parameters.currency},
            "initiated_at": parameters.initiated_at_s,
            "processor_details": {
                "type": "custom",
                "custom": {"refund_reference": parameters.refund_reference},
            },
            "refunded": {"refunded_at": parameters.refunded_at_s},
        }

        try:
            booked = self._calls.write(
                lambda client: client.v1.payment_records.report_refund(
                    parameters.payment_record, told, {"idempotency_key": idempotency_key}
                ),
                deadline,
            )
        except StripeRefusedError as error:
            return error.refusal.of_report()
        if booked.get("id") != parameters.payment_record:
            return ReportUnclear("Stripe's answer is a success that names another object")
        return ReportAccepted(_shown(booked))

    def _read(self, name: str, ask: Ask, deadline: Deadline) -> dict[str, Any]:
        """The members of the object ``name``."""
        found = self._calls.read(name, ask, deadline)
        if found.get("id") != name:
            raise UnreadableAnswerError("Stripe answered with another object than was asked for")
        return found


def _shown(booked: dict[str, Any]) -> PaymentRecord | None:
    """The Payment Record in the answer to a report; if unreadable, the refund is booked anyway."""
    try:
        return read_payment_record(booked)
    except UnreadableAnswerError:
        return None
