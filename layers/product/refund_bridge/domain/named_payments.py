"""Which payments of processors metadata name, and what stands where such an id belongs. Pure."""

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
# As any processor's; nothing that means something in a URL or in the ledger's keys is among these.
_PAYMENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NamedPayment:
    """An id that stands where a processor's payment is named.

    Attributes:
        field: where it stands, as a path in the Stripe object.
        looks_like: what it is instead of a payment's id; ``None`` if it may be one.
    """

    processor: str
    field: str
    id: str
    looks_like: str | None

    @property
    def told(self) -> dict[str, str]:
        """For an error's details."""
        what = {} if self.looks_like is None else {"looks_like": self.looks_like}
        return {"field": self.field, "value": self.id, **what}


def named_in(metadata: Mapping[str, str], processors: Sequence[str]) -> Iterator[NamedPayment]:
    """What the metadata name: of each processor the payment id before the charge id."""
    for name in processors:
        for key in (f"{name}_payment_id", f"{name}_charge_id"):
            if value := metadata.get(key):
                yield NamedPayment(name, f"metadata.{key}", value, looks_like(value))


def referenced_by(record: PaymentRecord, processor: str) -> NamedPayment | None:
    """What the record's payment reference names, at the processor where it is looked up."""
    value = record.payment_reference
    if not value:
        return None
    return NamedPayment(processor, REFERENCE_FIELD, value, looks_like(value))


def looks_like(value: str) -> str | None:
    """What a value is that cannot be a processor's payment id; ``None`` if it can."""
    if value != value.strip():
        return "an id with blanks around it"
    if "://" in value:
        return "an address, not an id"
    for prefix, what in _STRIPES.items():
        if value.startswith(prefix):
            return what
    return None if _PAYMENT_ID.fullmatch(value) else "text that is no id"


def ids_named_by(record: PaymentRecord, processor: str) -> list[NamedPayment]:
    """The ids that may be that of the record's payment, in the order in which they are tried."""
    named = [*named_in(record.metadata, (processor,)), referenced_by(record, processor)]
    return [one for one in named if one is not None and one.looks_like is None]


def not_linked(
    record: PaymentRecord, names: Sequence[str], set_up: Sequence[str]
) -> PaymentNotLinkedError:
    """What is missing, and what stands where it belongs.

    ``names`` are the processors that metadata may name, ``set_up`` those that there are here.
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
