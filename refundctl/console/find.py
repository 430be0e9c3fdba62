"""What the field "Find" leads to: somebody types an id of any kind into it."""

from dataclasses import dataclass

from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refundctl.console.activity import Activity
from refundctl.console.sources import Sources
from refundctl.find import said_in
from refundctl.names import INVOICE, PAYMENT_INTENT, PAYMENT_RECORD, payments_named, refunds_named

# The parameter of the list for each of Stripe's names of a payment.
_LISTS = {
    PAYMENT_RECORD: "payment_record",
    PAYMENT_INTENT: "payment_intent",
    INVOICE: "invoice",
}


@dataclass(frozen=True)
class PageFound:
    """A page of the console: its path below the console's own, and its parameters."""

    path: str
    parameters: dict[str, str]


def find(sources: Sources, text: str) -> list[PageFound]:
    """The pages that show what has this name, each once: every kind of name is looked up.

    A refund is found by its id, by its idempotency key or by its id at the processor; a payment by
    its ids at Stripe or at the processor. The list is empty if the ledger has nothing of that name.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    found = [PageFound(f"refunds/{refund_id}", {}) for refund_id, _ in refunds_named(sources, text)]
    found += [_list_of(key, kind, text) for key, kind in payments_named(sources, text).items()]
    return [one for place, one in enumerate(found) if one not in found[:place]]


def called(sources: Sources, text: str) -> list[Refund]:
    """The refunds that have this name, and the newest refunds of each payment that has it.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    found = {refund_id: refund for refund_id, (refund, _) in refunds_named(sources, text)}
    for key in payments_named(sources, text):
        found |= {refund.id: refund for refund in sources.newest_of(key).refunds}
    return list(found.values())


def saying(activity: Activity, text: str) -> list[Refund]:
    """Of the refunds read already, those whose reason, metadata or key have all the words."""
    words = text.casefold().split()
    return [refund for refund in activity.refunds if said_in(refund, words)]


def _list_of(key: PaymentKey, kind: str, text: str) -> PageFound:
    if kind in _LISTS:
        return PageFound("refunds", {_LISTS[kind]: text})
    return PageFound("refunds", {"processor": key.processor, "charge": key.charge_id})
