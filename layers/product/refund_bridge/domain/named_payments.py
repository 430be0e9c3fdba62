"""Finds the processor payments that Stripe metadata name, and values that are no such ids. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.errors import PaymentNotLinkedError
from refund_bridge.domain.payment_record import PaymentRecord

REFERENCE_FIELD: Final = "processor_details.custom.payment_reference"
_STRIPES: Final = {
    "pi_": "the id of a Stripe PaymentIntent",
    "pr_": "the id of a Stripe Payment Record",
    "in_": "the id of a Stripe Invoice",
}
# Fits every processor's ids. It has no character with a meaning in URLs or in the ledger's keys.
_PAYMENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NamedPayment:
    """A value in a field that should name a processor's payment.

    Attributes:
        field: the field, as a path in the Stripe object.
        looks_like: what the value is instead of a payment's id; ``None`` if it may be one.
    """

    processor: str
    field: str
    id: str
    looks_like: str | None

    @property
    def told(self) -> dict[str, str]:
        """The field and its value, for an error's details."""
        what = {} if self.looks_like is None else {"looks_like": self.looks_like}
        return {"field": self.field, "value": self.id, **what}


def named_in(metadata: Mapping[str, str], processors: Sequence[str]) -> Iterator[NamedPayment]:
    """The payments that metadata name: for each processor its payment id, then its charge id."""
    for name in processors:
        for key in (f"{name}_payment_id", f"{name}_charge_id"):
            if value := metadata.get(key):
                yield NamedPayment(name, f"metadata.{key}", value, looks_like(value))


def referenced_by(record: PaymentRecord, processor: str) -> NamedPayment | None:
    """The payment that the record's payment reference names, if read at ``processor``."""
    value = record.payment_reference
    if not value:
        return None
    return NamedPayment(processor, REFERENCE_FIELD, value, looks_like(value))


def looks_like(value: str) -> str | None:
    """What the value is, if it cannot be a processor's payment id; ``None`` if it can be one."""
    if value != value.strip():
        return "an id with blanks around it"
    if "://" in value:
        return "an address, not an id"
    for prefix, what in _STRIPES.items():
        if value.startswith(prefix):
            return what
    return None if _PAYMENT_ID.fullmatch(value) else "text that is no id"


def ids_named_by(record: PaymentRecord, processor: str) -> list[NamedPayment]:
    """The ids that may name the record's payment, in the order in which to try them."""
    named = [*named_in(record.metadata, (processor,)), referenced_by(record, processor)]
    return [one for one in named if one is not None and one.looks_like is None]


def not_linked(
    record: PaymentRecord, names: Sequence[str], set_up: Sequence[str]
) -> PaymentNotLinkedError:
    """The error for a record that names no payment; it says what is wrong in which field.

    ``names`` are the processors that metadata may name, ``set_up`` those that are set up here.
    """
    named = [*named_in(record.metadata, names), referenced_by(record, "")]
    wrong = [one for one in named if one is not None and one.looks_like is not None]
    told = "; ".join(f'{one.field} holds "{one.id}": {one.looks_like}' for one in wrong)
    message = "The Payment Record does not name the processor's payment."
    return PaymentNotLinkedError(
        f"{message} {told}." if told else message,
        details={
            "object": record.id,
            "missing": "processor payment id",
            "expected_in": [*(f"metadata.{one}_payment_id" for one in set_up), REFERENCE_FIELD],
            **({"found": [one.told for one in wrong]} if wrong else {}),
        },
    )
