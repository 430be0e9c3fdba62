"""The port of the ledger: what changes together is written in one conditional transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund


@dataclass(frozen=True, slots=True)
class RefundWrite:
    """Replace ``before`` (``None``: must not exist) by ``after``."""

    before: Refund | None
    after: Refund


@dataclass(frozen=True, slots=True)
class PaymentWrite:
    """Replace ``before`` (``None``: must not exist) by ``after``."""

    before: Payment | None
    after: Payment


@dataclass(frozen=True, slots=True)
class RecordClaim:
    """The Payment Record books this payment and no other.

    Attributes:
        instead_of: the payment that had the record until now. No refund of it moved money, so its
            link was a mistake.
    """

    payment_record: str
    payment: PaymentKey
    instead_of: PaymentKey | None = None


@dataclass(frozen=True, slots=True)
class ProcessorRefundClaim:
    """The processor's refund belongs to this refund and to no other.

    Attributes:
        instead_of: the refund that had the processor refund until a person unbound the two.
    """

    processor: str
    processor_refund_id: str
    refund_id: str
    instead_of: str | None = None


Claim = RecordClaim | ProcessorRefundClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCount:
    """An amount to add to the payouts of one day; minor units.

    Attributes:
        day: of UTC, such as ``2024-02-29``.
        at_most: the most that the day's payouts in that currency may sum up to, with this one.
    """

    day: str
    currency: str
    amount: int
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Writes that become durable together or not at all."""

    refunds: Sequence[RefundWrite] = ()
    payments: Sequence[PaymentWrite] = ()
    claims: Sequence[Claim] = ()
    payouts: Sequence[PayoutCount] = ()


class LedgerConflictError(Exception):
    """Data from which the commit was computed has changed since it was read.

    Nothing of the commit was written. Read again and decide again.
    """


class ClaimConflictError(LedgerConflictError):
    """A claim of the commit belongs to another payment or refund; nothing was written.

    Attributes:
        claim: the claim that was refused.
    """

    def __init__(self, claim: Claim) -> None:
        super().__init__(f"{claim} is already held by another")
        self.claim = claim


class PayoutsReachedError(LedgerConflictError):
    """The payouts of a day would exceed their limit; nothing of the commit was written.

    Attributes:
        count: the amount that was refused.
    """

    def __init__(self, count: PayoutCount) -> None:
        super().__init__(f"the payouts of {count.day} would exceed {count.at_most}")
        self.count = count


class LedgerUnavailableError(Exception):
    """The ledger gave no answer: a read has no result, a write may or may not be durable."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one read of the ledger says about a refund's id and a Payment Record."""

    refund: Refund | None
    payment: PaymentKey | None


DUE_SHARDS: Final = 8


class Ledger(Protocol):
    """The store of all refunds and payments, and the only authority on them.

    Every read is strongly consistent. Every method may raise ``LedgerUnavailableError``.
    """

    def refund(self, refund_id: str) -> Refund | None:
        """The refund of that id, with everything that is durable now."""

    def look_up(self, refund_id: str, payment_record: str | None) -> Known:
        """The refund of that id and the payment that has claimed the Payment Record.

        One round trip.
        """

    def payment_of_record(self, payment_record: str) -> PaymentKey | None:
        """The payment that has claimed the Payment Record."""

    def payment(self, key: PaymentKey) -> Payment | None:
        """The payment of that key."""

    def payment_and_claims(
        self, key: PaymentKey, processor_refund_ids: Sequence[str]
    ) -> tuple[Payment | None, Mapping[str, str]]:
        """``payment(key)`` and ``claimed(key.processor, processor_refund_ids)`` in one read.

        One round trip for up to 99 ids, one more for every further 100.
        """

    def claimed(self, processor: str, processor_refund_ids: Sequence[str]) -> Mapping[str, str]:
        """Which of these processor refund ids are claimed, each with the refund that claims it.

        At most 1,000 ids.
        """

    def commit(self, commit: Commit) -> None:
        """Write all of ``commit`` or nothing; on return it is durable.

        Each refund and payment is replaced only if its stored revision is still that of ``before``,
        and a refund only if the transition table allows the step from its stored state to that of
        ``after``. The stored revision becomes ``before.revision + 1`` (1 for a new item), whatever
        ``after.revision`` says. A claim is made if nobody has it, or if the owner is the one in
        ``instead_of``; it is confirmed if its owner is the same already. A payout is added to its
        day's sum if the sum stays within ``at_most``.

        Raises:
            ClaimConflictError: a claim belongs to somebody else; nothing was written.
            PayoutsReachedError: a day's limit would be exceeded; nothing was written.
            LedgerConflictError: an item has changed; nothing was written.
            LedgerUnavailableError: it is not known whether anything was written.
            IllegalTransitionError: the transition table has no such step; nothing was sent.
        """

    def take_check(self, refund_id: str, *, now_ms: int, until_ms: int) -> Refund | None:
        """Take a refund that is due for settling, in one round trip.

        If its ``next_check_ms`` is set and not after ``now_ms``, this sets it to ``until_ms``,
        raises the revision (both durable), and returns the refund as stored. Otherwise nothing
        changes and ``None`` is returned.
        """

    def due(
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]:
        """Ids of refunds of one of ``DUE_SHARDS`` shards that were due before ``before_ms``.

        Read from an index, so eventually consistent: an id may be missing for a moment, or still be
        listed when nothing is due any more.
        """
