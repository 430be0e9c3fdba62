"""Checks a commit before anything is sent, and refuses what must never be written.

A refused commit means a defect in the code that made it. It is not a conflict: to read and decide
again would make the same commit. Nothing of it was written.
"""

from itertools import chain
from typing import Any, Final

from refund_bridge.adapters.dynamodb.items import payment_item, refund_item
from refund_bridge.adapters.dynamodb.keys import (
    claim_key,
    payment_item_key,
    payouts_key,
    refund_key,
)
from refund_bridge.adapters.dynamodb.values import plain, size_of
from refund_bridge.domain.payment import Payment, payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import (
    TRANSITIONS,
    IllegalTransitionError,
    State,
    may_follow,
)
from refund_bridge.ports.ledger import Commit, PayoutsReachedError

# The largest size of a refund's item before money is asked to move. It is checked only then: an
# outcome, a report or a settling must be written however long the history has become, and DynamoDB
# takes four times as much.
ITEM_BYTES_MAX: Final = 100 * 1024
EVIDENCE_BYTES_MAX: Final = 2 * 1024
WRITES_MAX: Final = 100  # DynamoDB's own limit on one transaction

BIRTH_STATES: Final = frozenset(
    after for (before, _), after in TRANSITIONS.items() if before is None
)
# The facts about the money and its payment: they never change in a refund's life.
FIXED_FACTS: Final = ("id", "processor", "processor_payment_id", "amount", "currency")


class LedgerDefectError(Exception):
    """A commit that must not be made; nothing was written and repeating it cannot help."""


class ItemTooLargeError(LedgerDefectError):
    """An item, or the evidence of a line of history, is larger than the ledger takes."""


def require_sound(commit: Commit) -> None:
    """Refuse a commit that would break a rule of the ledger's contents.

    Raises:
        LedgerDefectError: see the message.
        IllegalTransitionError: the transition table has no step from ``before`` to ``after``.
        TypeError: a value that cannot be stored exactly, such as a float.
    """
    require_legal(commit)
    require_storable(commit)


def require_legal(commit: Commit) -> None:
    """Refuse steps that are not in the table, and changes of what can never change."""
    _require_distinct(commit)
    _require_own_payment(commit)
    _require_payouts(commit)
    for write in commit.refunds:
        _require_step(write.before, write.after)
    for payment in commit.payments:
        _require_same_payment(payment.before, payment.after)


def require_storable(commit: Commit) -> None:
    """Refuse values that cannot be stored exactly, and items that are too large."""
    for write in commit.refunds:
        known = 0 if write.before is None else len(write.before.history)
        for entry in write.after.history[known:]:
            _require_small(
                f"evidence of {write.after.id}", plain(entry.evidence), EVIDENCE_BYTES_MAX
            )
        if write.before is None or _begins(write.before, write.after):
            _require_small(f"refund {write.after.id}", refund_item(write.after), ITEM_BYTES_MAX)
    for payment in commit.payments:
        if payment.before is None:
            _require_small("payment", payment_item(payment.after), ITEM_BYTES_MAX)


def _begins(before: Refund, after: Refund) -> bool:
    return after.state is State.SUBMITTING and before.state is not State.SUBMITTING


def _require_distinct(commit: Commit) -> None:
    keys = [
        key["pk"]
        for key in chain(
            (refund_key(write.after.id) for write in commit.refunds),
            (payment_item_key(write.after.key) for write in commit.payments),
            (claim_key(claim) for claim in dict.fromkeys(commit.claims)),
            (payouts_key(count) for count in commit.payouts),
        )
    ]
    if len(keys) > WRITES_MAX:
        raise LedgerDefectError(f"{len(keys)} writes in one commit; {WRITES_MAX} are possible")
    if len(set(keys)) < len(keys):
        raise LedgerDefectError("a commit writes one item twice")


def _require_own_payment(commit: Commit) -> None:
    """Refuse to reserve or release a refund's amount on another payment."""
    keys = {write.after.key for write in commit.payments}
    for write in commit.refunds:
        if keys and payment_key_of(write.after) not in keys:
            raise LedgerDefectError(f"refund {write.after.id} is written with another's payment")


def _require_payouts(commit: Commit) -> None:
    """Refuse to count a payout without its refund, or one that alone exceeds the day's limit."""
    for count in commit.payouts:
        if not commit.refunds or count.amount < 0:
            raise LedgerDefectError("a payout is counted without its refund, or taken back")
        if count.amount > count.at_most:
            raise PayoutsReachedError(count)


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


def _require_same_payment(before: Payment | None, after: Payment) -> None:
    if before is not None and (before.key, before.currency) != (after.key, after.currency):
        raise LedgerDefectError("a payment's key and currency can never change")


def _require_small(subject: str, value: Any, bytes_max: int) -> None:
    if size_of(value) > bytes_max:
        raise ItemTooLargeError(f"{subject} is larger than {bytes_max} bytes")
