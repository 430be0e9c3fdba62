"""The keys of the ledger's table, and its claims, which are little more than keys.

::

    refund#<id>                               refund
    payment#<processor>#<charge>              payment
    claim#payment_record#<payment record>     claim     holder: <processor>#<charge>
    claim#movement#<processor>#<refund id>    claim     holder: our refund's id
    payouts#<day>#<currency>                  payouts   asked: the sum of that day, minor units
"""

from collections.abc import Mapping
from typing import Any, Final

from refund_bridge.domain.payment import PaymentKey
from refund_bridge.ports.ledger import Claim, LedgerUnavailableError, PayoutCount, RecordClaim

CLAIM_SCHEMA_VERSION: Final = 1
PAYOUTS_SCHEMA_VERSION: Final = 1

_KEY_BYTES_MAX: Final = 2048

Item = dict[str, Any]


class UnreadableItemError(LedgerUnavailableError):
    """An item lacks a fact that every release writes, or has a word that this release lacks.

    A newer release may have written it; this one treats it as if the ledger gave no answer.
    """


def can_exist(key: Item) -> bool:
    """Whether DynamoDB can have an item with that key; if not, nothing of that name exists.

    The ids come from callers, who may send anything.
    """
    try:
        return len(key["pk"].encode()) <= _KEY_BYTES_MAX
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can carry and UTF-8 cannot
        return False


def refund_key(refund_id: str) -> Item:
    """The key of a refund's item."""
    return {"pk": f"refund#{refund_id}", "sk": "refund"}


def refund_id_in(key: Mapping[str, Any]) -> str:
    """The id in a refund's key."""
    return str(key["pk"]).removeprefix("refund#")


def payment_item_key(key: PaymentKey) -> Item:
    """The key of a payment's item."""
    return {"pk": f"payment#{payment_key_text(key)}", "sk": "payment"}


def claim_key(claim: Claim) -> Item:
    """The key of a claim's item."""
    if isinstance(claim, RecordClaim):
        return record_claim_key(claim.payment_record)
    return processor_refund_claim_key(claim.processor, claim.processor_refund_id)


def record_claim_key(payment_record: str) -> Item:
    """The key of the claim on a Payment Record."""
    return {"pk": f"claim#payment_record#{payment_record}", "sk": "claim"}


def processor_refund_claim_key(processor: str, processor_refund_id: str) -> Item:
    """The key of the claim on a processor's refund."""
    return {"pk": f"claim#movement#{_processor(processor)}#{processor_refund_id}", "sk": "claim"}


def payouts_key(count: PayoutCount) -> Item:
    """The key of the sum of a day's payouts in one currency."""
    return {"pk": f"payouts#{count.day}#{count.currency}", "sk": "payouts"}


def payment_key_text(key: PaymentKey) -> str:
    """A payment's identity as one string, for its key, its claims and its index."""
    return f"{_processor(key.processor)}#{key.charge_id}"


def _processor(name: str) -> str:
    # The first # ends the processor's name, so a charge id may contain any character.
    if not name or "#" in name:
        raise ValueError(f"{name!r} cannot name a processor")
    return name


def claim_holder(claim: Claim) -> str:
    """The owner of a claim, as stored."""
    if isinstance(claim, RecordClaim):
        return payment_key_text(claim.payment)
    return claim.refund_id


def former_holder(claim: Claim) -> str | None:
    """The former owner that the new one may replace, as stored; ``None``: there is none."""
    if isinstance(claim, RecordClaim):
        return None if claim.instead_of is None else payment_key_text(claim.instead_of)
    return claim.instead_of


def held_payment(item: Mapping[str, Any]) -> PaymentKey:
    """The payment that has claimed a Payment Record, from the claim's item."""
    processor, separator, charge_id = str(item.get("holder", "")).partition("#")
    if not separator:
        raise UnreadableItemError("the claim on a Payment Record does not name a payment")
    return PaymentKey(processor, charge_id)


def processor_refund_holder(item: Mapping[str, Any]) -> tuple[str, str]:
    """A processor refund's id and the refund that has claimed it, from the claim's item."""
    _, _, _, processor_refund_id = str(item["pk"]).split("#", 3)
    return processor_refund_id, str(item["holder"])
