"""Stripe as the book, by the official SDK: what is retrieved before, what is reported after."""

import re
from collections.abc import Callable
from typing import Any, Final

import stripe
from stripe import StripeClient

from refunds.adapters.api_key import ApiKey, KeyUnavailableError, other_key
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.stripe_answers import (
    StripeRefusal,
    read_payment_record,
    read_reference,
)
from refunds.adapters.stripe_http import DeadlineStripeHttp
from refunds.ports import (
    Deadline,
    PaymentRecord,
    ProviderUnavailableError,
    ReportAccepted,
    ReportOutcome,
    ReportUnclear,
    StripeObjectNotFoundError,
    StripeReference,
    UnreadableAnswerError,
)
from refunds.refund import ReportParameters

_Ask = Callable[[StripeClient], stripe.StripeObject]

# Anything else would be quoted into the path by the SDK, or name a folder instead of an object.
_ID: Final = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)


class _RefusedError(Exception):
    """Stripe's error, read; ends an attempt."""

    def __init__(self, refusal: StripeRefusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class StripeBook:
    """``ports.Book`` on the SDK's ``StripeClient``.

    Args:
        base_url: ``https://api.stripe.com`` or a simulator's.
        key: the secret key; read anew once when Stripe answers 401.
        http: the caller whose limits and deadline bound every exchange.
    """

    def __init__(self, *, base_url: str, key: ApiKey, http: DeadlineHttp) -> None:
        # The SDK knows this only as a global. Telemetry would report the times of our calls in
        # later ones, and read an id from the home directory.
        stripe.enable_telemetry = False
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._http = http

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        """The Payment Record of that id; see ``ports.Book``."""
        return read_payment_record(
            self._read(
                payment_record,
                lambda client: client.v1.payment_records.retrieve(payment_record),
                deadline,
            )
        )

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        """The PaymentIntent of that id; see ``ports.Book``."""
        return read_reference(
            self._read(
                payment_intent,
                lambda client: client.v1.payment_intents.retrieve(payment_intent),
                deadline,
            )
        )

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        """The Invoice of that id; see ``ports.Book``."""
        return read_reference(
            self._read(invoice, lambda client: client.v1.invoices.retrieve(invoice), deadline)
        )

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        """Tell Stripe of a refund, in one attempt; see ``ports.Book``.

        Sent a second time only after 401, which books nothing, and only if the key read anew is
        another one.
        """

        def ask(client: StripeClient) -> stripe.StripeObject:
            return client.v1.payment_records.report_refund(
                parameters.payment_record,
                {
                    "outcome": "refunded",
                    "amount": {"value": parameters.amount, "currency": parameters.currency},
                    "initiated_at": parameters.initiated_at_s,
                    "processor_details": {
                        "type": "custom",
                        "custom": {"refund_reference": parameters.refund_reference},
                    },
                    "refunded": {"refunded_at": parameters.refunded_at_s},
                },
                {"idempotency_key": idempotency_key},
            )

        try:
            booked = self._ask(ask, deadline)
        except KeyUnavailableError as error:
            # What callers are shown of a report names no parameter; the log has the reason.
            return ReportUnclear(f"Stripe's key could not be read ({type(error).__name__})")
        except _RefusedError as error:
            return error.refusal.of_report()
        if booked.get("id") != parameters.payment_record:
            return ReportUnclear("Stripe's answer is a success that names another object")
        return ReportAccepted()

    def _read(self, name: str, ask: _Ask, deadline: Deadline) -> dict[str, Any]:
        """The members of an object, after at most two requests."""
        if not _ID.fullmatch(name):
            raise StripeObjectNotFoundError(f"{name!r} is not an id of a Stripe object")
        try:
            found = self._ask(ask, deadline, reads=True)
        except KeyUnavailableError as error:
            raise ProviderUnavailableError(error.reason) from error
        except _RefusedError as error:
            refusal = error.refusal
            if refusal.is_missing:
                raise StripeObjectNotFoundError(refusal.message) from error
            if refusal.status is not None and refusal.status < 300:
                raise UnreadableAnswerError("Stripe's answer is no JSON object") from error
            raise ProviderUnavailableError(
                refusal.message, retry_after_s=refusal.retry_after_s
            ) from error
        if found.get("id") != name:
            raise UnreadableAnswerError("Stripe answered with another object than was asked for")
        return found

    def _ask(self, ask: _Ask, deadline: Deadline, *, reads: bool = False) -> dict[str, Any]:
        """One SDK call, and at most one more: with a rotated key, or to repeat a failed read."""
        key = self._key.current()
        try:
            return self._once(ask, key, deadline, fresh=False)
        except _RefusedError as error:
            if error.refusal.status == 401:
                rotated = other_key(self._key, key)
                if rotated is None:
                    raise
                key = rotated
            elif not (reads and error.refusal.is_worth_another_read and deadline.remaining_ms()):
                raise
        return self._once(ask, key, deadline, fresh=reads)

    def _once(self, ask: _Ask, key: str, deadline: Deadline, *, fresh: bool) -> dict[str, Any]:
        client = StripeClient(
            key,
            base_addresses={"api": self._base_url},
            http_client=DeadlineStripeHttp(self._http, deadline, fresh=fresh),
            max_network_retries=0,
        )
        try:
            members: dict[str, Any] = ask(client).to_dict()
        except stripe.StripeError as error:
            # Not chained: the SDK's error carries the whole body, which may hold a customer's data.
            raise _RefusedError(StripeRefusal.read(error, secret=key)) from None
        return members
