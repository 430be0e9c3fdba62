"""One payment as its processor and Stripe know it, and the objects that seed it on both sides."""

import uuid
from dataclasses import dataclass, field

from local.simulators.currency import major
from local.simulators.json_text import JsonObject

_NAMESPACE = uuid.UUID("6f0c7a52-52ab-5d1c-9d0e-0a5c3c1f7b11")


@dataclass(frozen=True)
class Seed:
    """Objects to put into the simulators, as POST /_control/seed takes them.

    elsewhere: payments at processors other than HitPay, each with its processor's name.
    """

    charges: tuple[JsonObject, ...] = ()
    payment_requests: tuple[JsonObject, ...] = ()
    payment_records: tuple[JsonObject, ...] = ()
    payment_intents: tuple[JsonObject, ...] = ()
    invoices: tuple[JsonObject, ...] = ()
    elsewhere: tuple[tuple[str, JsonObject], ...] = ()

    def __add__(self, other: "Seed") -> "Seed":
        return Seed(
            self.charges + other.charges,
            self.payment_requests + other.payment_requests,
            self.payment_records + other.payment_records,
            self.payment_intents + other.payment_intents,
            self.invoices + other.invoices,
            self.elsewhere + other.elsewhere,
        )

    @property
    def others(self) -> list[str]:
        """The processors other than HitPay that have objects here."""
        return sorted({processor for processor, _ in self.elsewhere})

    def for_other(self, processor: str) -> JsonObject:
        """Return the part of a processor other than HitPay."""
        return {"payments": [item for name, item in self.elsewhere if name == processor]}

    def for_hitpay(self) -> JsonObject:
        """Return HitPay's part."""
        return {"charges": self.charges, "payment_requests": self.payment_requests}

    def for_stripe(self) -> JsonObject:
        """Return Stripe's part."""
        return {
            "payment_records": self.payment_records,
            "payment_intents": self.payment_intents,
            "invoices": self.invoices,
        }


@dataclass(frozen=True)
class DemoPayment:
    """One payment on both sides; amounts in minor units, as Stripe counts them.

    linked_by: "payment_id" or "charge_id" (metadata), "reference" (processor_details holds the
    charge id), "request" (it holds the payment-request id), or "nothing".
    stripe_links: whether intent and invoice lead to the record by Stripe's own members, without
        metadata of ours.
    processor: where the payment was made; if not at HitPay, linked_by must be "payment_id". A
        payment at "stripe" has no link: Stripe took it itself.
    """

    name: str
    amount: int
    currency: str = "sgd"
    about: str = ""
    payment_method: str = "card"
    refunded: int = 0
    linked_by: str = "payment_id"
    livemode: bool = False
    charge_name: str | None = None
    has_intent: bool = False
    has_invoice: bool = False
    stripe_links: bool = False
    on_charge: JsonObject = field(default_factory=dict)
    on_record: JsonObject = field(default_factory=dict)
    processor: str = "hitpay"

    @property
    def record_id(self) -> str:
        """Stripe's Payment Record."""
        return f"pr_{self.name}"

    @property
    def intent_id(self) -> str:
        """Stripe's PaymentIntent, where there is one."""
        return f"pi_{self.name}"

    @property
    def invoice_id(self) -> str:
        """Stripe's Invoice, where there is one."""
        return f"in_{self.name}"

    @property
    def charge_id(self) -> str:
        """The processor's payment; two payments may name one charge of HitPay's."""
        if self.processor in ("hyperswitch", "hedge"):
            return f"pay_{self.name}"
        if self.processor == "stripe":
            return f"ch_{self.name}"
        return hitpay_id(f"charge/{self.charge_name or self.name}")

    @property
    def request_id(self) -> str:
        """HitPay's payment request."""
        return hitpay_id(f"request/{self.charge_name or self.name}")

    def seed(self) -> Seed:
        """Return the objects of this payment on both sides."""
        if self.processor == "stripe":
            # The simulator itself adds what Stripe makes of it: a PaymentIntent and a record.
            payment = self._payment() | {"more": {"payment_intent": self.intent_id}}
            return Seed(elsewhere=((self.processor, payment),))
        link = {
            f"{self.processor}_payment_id": self.charge_id,
            "stripe_payment_record_id": self.record_id,
        }
        common: JsonObject = {
            "amount": self.amount,
            "currency": self.currency,
            "livemode": self.livemode,
        }
        intent = {"id": self.intent_id, **common}
        intent["metadata"] = {"stripe_payment_record_id": self.record_id}
        invoice = {"id": self.invoice_id, **common, "metadata": link}
        if self.stripe_links:
            intent |= {"metadata": {}, "payment_record": self.record_id}
            paid = {"type": "payment_record", "id": self.record_id, "amount_paid": self.amount}
            unused = {"type": "payment_intent", "id": self.intent_id, "status": "canceled"}
            invoice |= {"metadata": {}, "payments": [unused, paid]}
        is_at_hitpay = self.processor == "hitpay"
        has_charge = is_at_hitpay and self.charge_name is None
        return Seed(
            charges=(self._charge(),) if has_charge else (),
            payment_requests=(self._request(),) if has_charge else (),
            elsewhere=() if is_at_hitpay else ((self.processor, self._payment()),),
            payment_records=(self._record(common),),
            payment_intents=(intent,) if self.has_intent else (),
            invoices=(invoice,) if self.has_invoice else (),
        )

    def _charge(self) -> JsonObject:
        return {
            "id": self.charge_id,
            "amount": str(major(self.amount, self.currency)),
            "currency": self.currency,
            "payment_method": self.payment_method,
            "payment_request_id": self.request_id,
            "order_reference_number": self.name,
            "refunds": [
                {"id": self._refund_id(), "amount": str(major(self.refunded, self.currency))}
            ]
            if self.refunded
            else [],
            **self.on_charge,
        }

    def _payment(self) -> JsonObject:
        refunded = [{"id": self._refund_id(), "amount": self.refunded}] if self.refunded else []
        return {
            "id": self.charge_id,
            "amount": self.amount,
            "currency": self.currency,
            "payment_method": self.payment_method,
            "refunds": refunded,
            **self.on_charge,
        }

    def _request(self) -> JsonObject:
        return {
            "id": self.request_id,
            "reference_number": self.intent_id if self.has_intent else self.name,
            "amount": str(major(self.amount, self.currency)),
            "currency": self.currency,
            "payment_ids": [self.charge_id],
        }

    def _record(self, common: JsonObject) -> JsonObject:
        metadata: dict[str, str] = {}
        reference: str | None = None
        if self.processor != "hitpay":
            metadata = {f"{self.processor}_payment_id": self.charge_id}
            reference = self.charge_id
        elif self.linked_by == "payment_id":
            metadata = {
                "hitpay_payment_id": self.charge_id,
                "hitpay_payment_request_id": self.request_id,
            }
            reference = self.charge_id
            if self.has_intent:
                metadata["stripe_payment_intent_id"] = self.intent_id
        elif self.linked_by == "charge_id":
            metadata = {"hitpay_charge_id": self.charge_id}
        elif self.linked_by == "reference":
            reference = self.charge_id
        elif self.linked_by == "request":
            reference = self.request_id
        reported = [{"refund_reference": self._refund_id(), "amount": self.refunded}]
        return {
            "id": self.record_id,
            **common,
            "metadata": metadata,
            "payment_reference": reference,
            "refunds": reported if self.refunded else [],
            **self.on_record,
        }

    def _refund_id(self) -> str:
        return hitpay_id(f"refund/{self.name}")


def hitpay_id(name: str) -> str:
    """Return the HitPay-like id that always belongs to this name."""
    return str(uuid.uuid5(_NAMESPACE, name))
