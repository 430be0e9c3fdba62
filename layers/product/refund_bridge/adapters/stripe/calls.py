"""Makes one call of Stripe's SDK: under a deadline, with a rotated key if needed; reads errors.

It uses the SDK's typed services, so that mypy checks the parameters. Answers are read as plain
members, because the SDK's types promise members that a real answer may not have.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import stripe
from stripe import StripeClient, StripeObject

from refund_bridge.adapters.http.api_key import ApiKey, KeyUnavailableError, other_key
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.stripe.answers import StripeRefusal
from refund_bridge.adapters.stripe.http_client import DeadlineStripeHttp
from refund_bridge.ports.processor import (
    CredentialRefusedError,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import StripeObjectNotFoundError

Ask = Callable[[StripeClient], StripeObject]

# Any other text would name a folder instead of an object, or be no valid path.
_ID: Final = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)
# The errors that the SDK raises if a success has a member of a form that it does not expect: a text
# instead of a decimal, a list instead of an object.
_MISREAD: Final = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)


def prime() -> tuple[type, ...]:
    """Import what the first calls would import: the SDK's services and its classes for answers.

    These are hundreds of classes, and take most of the time of a first call. Sends nothing and
    needs no key.
    """
    return (
        stripe.PaymentRecordService,
        stripe.PaymentIntentService,
        stripe.InvoiceService,
        stripe.PaymentRecord,
        stripe.PaymentIntent,
        stripe.Invoice,
        stripe.InvoicePayment,
        stripe.Charge,
    )


class StripeRefusedError(Exception):
    """Ends an attempt with Stripe's error, already read."""

    def __init__(self, refusal: StripeRefusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class StripeCalls:
    """Calls Stripe by the SDK's ``StripeClient``.

    Args:
        base_url: ``https://api.stripe.com`` or a simulator's.
        key: the secret key; read anew once when Stripe refuses it.
        http: the caller whose limits and deadline bound every exchange.
    """

    def __init__(self, *, base_url: str, key: ApiKey, http: DeadlineHttp) -> None:
        # The SDK has this only as a global setting. Its telemetry would send the times of our calls
        # with later calls, and read an id from the home directory.
        stripe.enable_telemetry = False
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._http = http

    def read(self, name: str, ask: Ask, deadline: Deadline) -> dict[str, Any]:
        """Read the object ``name`` with at most two requests; returns the members of the answer.

        Raises:
            StripeObjectNotFoundError: Stripe knows no such object with this key.
            CredentialRefusedError: Stripe does not accept the key for this.
            ProviderUnavailableError: no usable answer.
        """
        if not _ID.fullmatch(name):
            raise StripeObjectNotFoundError(f"{name!r} is not an id of a Stripe object")
        try:
            return self._ask(ask, deadline, reads=True)
        except KeyUnavailableError as error:
            raise ProviderUnavailableError(error.reason, was_asked=False) from error
        except StripeRefusedError as error:
            refusal = error.refusal
            if refusal.is_missing:
                raise StripeObjectNotFoundError(refusal.message) from error
            if refusal.is_of_the_credential:
                raise CredentialRefusedError(refusal.message) from error
            if refusal.status is not None and refusal.status < 300:
                raise UnreadableAnswerError("Stripe's answer is no JSON object") from error
            raise ProviderUnavailableError(
                refusal.message, retry_after_s=refusal.retry_after_s
            ) from error

    def write(self, ask: Ask, deadline: Deadline) -> dict[str, Any]:
        """Make one attempt at a change; returns the members of Stripe's answer.

        The request is sent a second time only if Stripe refused the key, so that nothing was
        changed, and the key read anew is another one.

        Raises:
            StripeRefusedError: the change is not known to be made; the refusal says more.
        """
        try:
            return self._ask(ask, deadline, reads=False)
        except KeyUnavailableError as error:
            # Callers are not shown the parameter's name; the log has the reason.
            reason = f"Stripe's key could not be read ({type(error).__name__})"
            raise StripeRefusedError(StripeRefusal.unasked(reason)) from error

    def _ask(self, ask: Ask, deadline: Deadline, *, reads: bool) -> dict[str, Any]:
        """Make one SDK call, and at most one more: with a rotated key, or to repeat a read."""
        key = self._key.current()
        try:
            return self._once(ask, key, deadline, fresh=False)
        except StripeRefusedError as error:
            if error.refusal.is_of_the_credential:
                rotated = other_key(self._key, key)
                if rotated is None:
                    raise
                key = rotated
            elif not (reads and error.refusal.is_worth_another_read and deadline.remaining_ms()):
                raise
        return self._once(ask, key, deadline, fresh=reads)

    def _once(self, ask: Ask, key: str, deadline: Deadline, *, fresh: bool) -> dict[str, Any]:
        client = StripeClient(
            key,
            base_addresses={"api": self._base_url},
            http_client=DeadlineStripeHttp(self._http, deadline, fresh=fresh),
            max_network_retries=0,
        )
        try:
            return ask(client).to_dict()
        # Not chained: these errors contain the body or a part of it, with perhaps customers' data.
        except stripe.StripeError as error:
            raise StripeRefusedError(StripeRefusal.read(error, secret=key)) from None
        except _MISREAD as error:
            raise StripeRefusedError(StripeRefusal.misread(type(error).__name__)) from None
