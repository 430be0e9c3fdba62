"""What no ledger may be asked to write, found before anything is sent.

Each of these is a defect of the code that made the commit. It is not a conflict, since reading
again and deciding again would end here again, and nothing of the commit was written.
"""

from itertools import chain
from typing import Any, Final

from refunds.adapters.attribute_values import plain, size_of
from refunds.adapters.ledger_items import payment_item, refund_item
from refunds.adapters.ledger_keys import claim_key, payment_item_key, refund_key
from refunds.payment import Payment
from refunds.ports import Commit
from refunds.refund import Entry, Refund
from refunds.state_machine import TRANSITIONS, IllegalTransitionError, may_follow

ITEM_BYTES_MAX: Final = 100 * 1024
EVIDENCE_BYTES_MAX: Final = 2 * 1024
WRITES_MAX: Final = 100  # DynamoDB's own limit on one transaction

BIRTH_STATES: Final = frozenset(
    after for (before, _), after in TRANSITIONS.items() if before is None
)
# What money was asked to move, and where: fixed for the life of a refund.
FIXED_FACTS: Final = ("id", "processor", "processor_payment_id", "amount", "currency")


class LedgerDefectError(Exception):
    """A commit that must not be made; nothing was written and repeating it cannot help."""


class ItemTooLargeError(LedgerDefectError):
    """An item, or the evidence of a line of history, is larger than the ledger takes."""


def require_sound(commit: Commit) -> None:
    """Refuse a commit that would break what the ledger promises about its own contents.

    Raises:
        LedgerDefectError: see the message.
        IllegalTransitionError: the transition table has no step from ``before`` to ``after``.
        TypeError: a value that cannot be stored exactly, such as a float.
    """
    _require_distinct(commit)
    for write in commit.refunds:
        _require_step(write.before, write.after)
        _require_evidence(write.before, write.after)
        _require_size(f"refund {write.after.id}", refund_item(write.after))
    for payment in commit.payments:
        _require_same_payment(payment.before, payment.after)
        _require_size("payment", payment_item(payment.after))


def _require_distinct(commit: Commit) -> None:
    keys = [
        key["pk"]
        for key in chain(
            (refund_key(write.after.id) for write in commit.refunds),
            (payment_item_key(write.after.key) for write in commit.payments),
            (claim_key(claim) for claim in dict.fromkeys(commit.claims)),
        )
    ]
    if len(keys) > WRITES_MAX:
        raise LedgerDefectError(f"{len(keys)} writes in one commit; {WRITES_MAX} are possible")
    if len(set(keys)) < len(keys):
        raise LedgerDefectError("a commit writes one item twice")


def _require_step(before: Refund | None, after: Refund) -> None:
    if before is None:
        if after.state not in BIRTH_STATES:
            raise IllegalTransitionError(f"a new refund cannot be {after.state}")
        return
    if not may_follow(before.state, after.state):
        raise IllegalTransitionError(f"{after.state} cannot follow {before.state}")
    for fact in FIXED_FACTS:
        if getattr(before, fact) != getattr(after, fact):
            raise LedgerDefectError(f"{fact} of refund {before.id} can never change")
    if after.history[: len(before.history)] != before.history:
        raise LedgerDefectError(f"history of refund {before.id} can only be appended to")


def _require_evidence(before: Refund | None, after: Refund) -> None:
    known = len(before.history) if before is not None else 0
    for entry in after.history[known:]:
        _require_entry(after.id, entry)


def _require_entry(refund_id: str, entry: Entry) -> None:
    if size_of(plain(entry.evidence)) > EVIDENCE_BYTES_MAX:
        raise ItemTooLargeError(f"line {entry.seq} of refund {refund_id}: evidence over 2 KB")


def _require_same_payment(before: Payment | None, after: Payment) -> None:
    if before is not None and (before.key, before.currency) != (after.key, after.currency):
        raise LedgerDefectError("a payment's key and currency can never change")


def _require_size(subject: str, item: dict[str, Any]) -> None:
    if size_of(item) > ITEM_BYTES_MAX:
        raise ItemTooLargeError(f"{subject} is larger than {ITEM_BYTES_MAX} bytes")
