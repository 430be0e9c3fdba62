"""What somebody means who types an id, whichever id it is, into the field "Find"."""

from dataclasses import dataclass

from refundctl.console.activity import Activity
from refundctl.console.sources import Sources
from refundctl.find import said_in
from refundctl.names import NAME_MAX
from refunds.payment import PaymentKey
from refunds.refund import Refund, refund_id_of

# Stripe's own prefixes, and the parameter of the list that each is for.
_LISTS = {"pr_": "payment_record", "pi_": "payment_intent", "in_": "invoice"}


@dataclass(frozen=True)
class Found:
    """A page of the console: its path below the console's own, and its parameters."""

    path: str
    parameters: dict[str, str]


def find(sources: Sources, text: str) -> Found | None:
    """The page that shows what is called so; `None` if the ledger knows nothing of that name.

    A refund is found by its id, by its idempotency key or by the processor's id of it; a payment by
    Stripe's ids of it or by the processor's.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    if not 1 <= len(text) <= NAME_MAX or not (text.isascii() and text.isprintable()):
        return None
    for refund_id in (text, refund_id_of(text, sources.stage)):
        if sources.ledger.refund(refund_id) is not None:
            return _refund(refund_id)
    for prefix, parameter in _LISTS.items():
        if text.startswith(prefix):
            return Found("refunds", {parameter: text})
    for processor in sources.processors:
        owner = sources.ledger.claimed(processor, [text]).get(text)
        if owner is not None:
            return _refund(owner)
        if sources.ledger.payment(PaymentKey(processor, text)) is not None:
            return Found("refunds", {"processor": processor, "charge": text})
    return None


def saying(activity: Activity, text: str) -> list[Refund]:
    """Of the refunds that were read, those whose reason, metadata or key say all the words."""
    words = text.casefold().split()
    return [refund for refund in activity.refunds if said_in(refund, words)]


def _refund(refund_id: str) -> Found:
    return Found(f"refunds/{refund_id}", {})
